"""The folders beside the archive: what a transfer and what prune do there with a film."""

from __future__ import annotations

import secrets

from jobs.buckets import bucket
from jobs.settings import Settings
from jobs.steps import aside_trial
from jobs.steps.aside_trial import AsideTrial
from jobs.steps.store_trial import StoreTrial
from rushes.doctor.findings import Findings, fail, ok, warn
from storage.bucket import Bucket
from storage.errors import BucketUnavailable
from storage.keys import UNPROVEN

CHECK = "kept aside"
NEARLY_FULL = 0.9


def look(settings: Settings) -> Findings:
    """Put scratch objects where films are kept aside, list, and delete them; tell whether there is room for more.

    Nothing where the bucket is away, or takes no video either: that is told of the bucket itself.
    """
    store = bucket(settings)
    try:
        store.check()
    except BucketUnavailable:
        return
    trial, refused = AsideTrial(store, secrets.token_hex(8)), f"{store.config.prefix}{UNPROVEN}"
    folders = " and ".join(trial.folders)
    try:
        held = sum(each.bytes for each in store.listing(refused))
        trial.put()
    except BucketUnavailable as error:
        if _takes_a_video(store):
            then = aside_trial.remedy(error, trial, store.config.rules)
            yield fail(CHECK, f"a film that the proof refuses could not be kept, and would be lost ({error})", then)
        return
    try:
        trial.remove()
    except BucketUnavailable as error:
        then = f"let the key do s3:DeleteObject below {folders}, or give the bucket lifecycle rules for them"
        yield warn(CHECK, f"`rushes db prune` cannot delete what is kept aside ({error})", then)
        return
    most = settings.max_unproven_bytes
    if held >= NEARLY_FULL * most:
        then = "accept or delete what is kept (`rushes attention --reason unproven_film`), or raise it"
        yield warn(CHECK, f"{refused} holds {held} bytes, and RUSHES_MAX_UNPROVEN_BYTES is {most}", then)
    else:
        yield ok(CHECK, f"{folders} take an object, and let it go again; refused films hold {held} of {most} bytes")


def _takes_a_video(store: Bucket) -> bool:
    trial = StoreTrial(store, secrets.token_hex(8))
    try:
        trial.put()
    except BucketUnavailable:
        return False
    finally:
        trial.remove()
    return True
