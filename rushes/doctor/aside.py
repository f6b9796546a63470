"""The folders beside the archive: what a transfer and what prune do there with a film that the proof refused."""

from __future__ import annotations

import hashlib
import io
import secrets

from jobs.buckets import bucket
from jobs.settings import Settings
from jobs.steps.store_trial import StoreTrial
from rushes.doctor.findings import Findings, ok, warn
from storage.bucket import ASIDE_TYPE, Bucket
from storage.errors import BucketUnavailable
from storage.keys import CONTESTED, UNPROVEN, unproven_key
from storage.spool import Spooled

CHECK = "kept aside"
NEARLY_FULL = 0.9


def look(settings: Settings) -> Findings:
    """Put a scratch object where refused films are kept, list, and delete it; tell whether there is room for more.

    Nothing where the bucket is away, or takes no video either: that is told of the bucket itself.
    """
    store = bucket(settings)
    try:
        store.check()
    except BucketUnavailable:
        return
    body, folder = secrets.token_bytes(64), f"{store.config.prefix}{UNPROVEN}"
    sha256 = hashlib.sha256(body).hexdigest()
    key = unproven_key(store.config.prefix, sha256)
    try:
        store.head(key)
        held = sum(each.bytes for each in store.listing(folder))
        with Spooled(io.BytesIO(body), len(body), sha256) as spooled:
            store.put_video(key, spooled, {"rushes-sha256": sha256}, content_type=ASIDE_TYPE)
    except BucketUnavailable as error:
        if not _takes_a_video(store):
            return
        then = f"let the key do s3:PutObject, s3:GetObject and s3:ListBucket below {folder}, as below videos/"
        yield warn(CHECK, f"a film that the proof refuses could not be kept ({error})", then)
        return
    try:
        store.delete(key)
    except BucketUnavailable as error:
        folders = f"{store.config.prefix}{CONTESTED} and {folder}"
        then = f"let the key do s3:DeleteObject below {folders}, or give the bucket lifecycle rules for them"
        yield warn(CHECK, f"`rushes db prune` cannot delete what is kept aside ({error})", then)
        return
    most = settings.max_unproven_bytes
    if held >= NEARLY_FULL * most:
        then = "accept or delete what is kept (`rushes attention --reason unproven_film`), or raise it"
        yield warn(CHECK, f"{folder} holds {held} bytes, and RUSHES_MAX_UNPROVEN_BYTES is {most}", then)
    else:
        yield ok(CHECK, f"{folder} takes an object, and lets it go again; it holds {held} of {most} bytes")


def _takes_a_video(store: Bucket) -> bool:
    trial = StoreTrial(store, secrets.token_hex(8))
    try:
        trial.put()
    except BucketUnavailable:
        return False
    finally:
        trial.remove()
    return True
