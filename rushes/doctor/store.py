"""The bucket: everything that the service asks of it, on an object of our own that goes again."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from botocore.exceptions import BotoCoreError, ClientError

from jobs.buckets import bucket, bucket_for_links
from jobs.settings import Settings
from rushes.doctor.findings import Finding, Findings, fail, ok, warn
from storage.bucket import Bucket, connect
from storage.errors import BucketUnavailable, ObjectExists
from storage.outbound.addresses import literal_address
from storage.spool import Spooled

FOLDER = ".rushes-doctor"
TIMEOUT_S = (3, 5)
LINK_LIFE_S = 60
WITHOUT_RULES = "NoSuchLifecycleConfiguration"
REACH = (
    "RUSHES_S3_ENDPOINT_URL and RUSHES_S3_BUCKET say where it is, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY who asks"
)
PERMIT = "let the key do s3:PutObject, s3:GetObject and s3:ListBucket in this bucket"


def look(settings: Settings) -> Findings:
    """Put, put again, HEAD, GET, link and lifecycle, each as the service does it."""
    store, client = bucket(settings), connect(bucket(settings).config)
    name = settings.s3_bucket
    try:
        store.check()
    except BucketUnavailable as error:
        yield fail("bucket", str(error), REACH)
        return
    key, body = f"{settings.s3_prefix}{FOLDER}/{secrets.token_hex(8)}", secrets.token_bytes(1024)
    try:
        _put(store, key, body)
        yield ok("bucket", f"{name} answers, and takes an object")
        yield conditional_put(store, key)
        yield _get(store, key, body)
        yield _link(bucket_for_links(settings), key, body, may_be_beyond=_is_beyond(settings))
    except BucketUnavailable as error:
        yield fail("bucket", str(error), PERMIT)
    finally:
        yield from _remove(client, name, key)
    yield _lifecycle(client, settings)


def _put(store: Bucket, key: str, body: bytes) -> None:
    with Spooled(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest()) as spooled:
        store.put_video(key, spooled, {"rushes-doctor": "may be deleted"})


def conditional_put(store: Bucket, key: str) -> Finding:
    """A store that takes a second object for the same key would let one video replace another."""
    try:
        _put(store, key, b"another")
    except ObjectExists:
        return ok("conditional put", "a second object for the same key is refused (412)")
    then = "use a store that honours If-None-Match on PutObject (AWS S3, SeaweedFS, R2, Ceph), at a version that does"
    return fail("conditional put", "a second object replaced the first: the store ignores If-None-Match", then)


def _get(store: Bucket, key: str, body: bytes) -> Finding:
    stored = store.head(key)
    if stored is None or stored.bytes != len(body) or b"".join(store.open(key)) != body:
        return fail("get", "what was put is not what comes back", "look at what stands between here and the store")
    return ok("get", "the same bytes come back")


def _is_beyond(settings: Settings) -> bool:
    """Whether links lead to the loopback of another machine: of the host, say, seen from a container on it."""
    links, own = settings.s3_public_endpoint_url, settings.s3_endpoint_url
    return links is not None and own is not None and _is_loopback(links) and not _is_loopback(own)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    address = literal_address(host)
    return host == "localhost" if address is None else address.is_loopback


def _link(links: Bucket, key: str, body: bytes, *, may_be_beyond: bool) -> Finding:
    where = links.config.endpoint_url or "AWS"
    then = f"those who follow links must reach {where}; RUSHES_S3_PUBLIC_ENDPOINT_URL names another way in"
    try:
        link = links.link(key, expires_s=LINK_LIFE_S)
        answer = requests.get(link, timeout=TIMEOUT_S, auth=_nobody)
    except requests.RequestException as error:
        if may_be_beyond:
            return warn("presigned link", f"{where} is the host's own loopback, and cannot be tried from in here", then)
        return fail("presigned link", f"{where} cannot be reached ({type(error).__name__})", then)
    if not answer.ok:
        return fail("presigned link", f"it answers {answer.status_code}", f"{then}; clocks must agree, too")
    if answer.content != body:
        return fail("presigned link", "it leads to other bytes", then)
    return ok("presigned link", "it leads to the object")


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Says who we are to nobody: a netrc must not spoil the link's own signature."""
    return request


def _remove(client: Any, name: str, key: str) -> Iterator[Finding]:
    try:
        client.delete_object(Bucket=name, Key=key)
    except (ClientError, BotoCoreError) as error:
        # The service itself never deletes, so that a key which may not is a good one.
        yield ok("delete", f"not allowed ({_code(error)}), and not needed; {key} is left for you to delete")
    else:
        yield ok("delete", "the test object is gone; the service itself never deletes")


def _lifecycle(client: Any, settings: Settings) -> Finding:
    try:
        rules = client.get_bucket_lifecycle_configuration(Bucket=settings.s3_bucket)["Rules"]
    except ClientError as error:
        if _code(error) == WITHOUT_RULES:
            return ok("lifecycle", "no rules")
        return ok("lifecycle", f"cannot be read ({_code(error)}); see that no rule expires {_videos(settings)}*")
    except BotoCoreError as error:
        return fail("lifecycle", _code(error), REACH)
    if found := expiring(rules, _videos(settings)):
        then = "leave our folder out of them, unless videos are to go after a while"
        return warn("lifecycle", f"rules delete what stands under {_videos(settings)}: {', '.join(found)}", then)
    return ok("lifecycle", f"{len(rules)} rules, none deletes videos")


def expiring(rules: Sequence[Mapping[str, Any]], folder: str) -> list[str]:
    """The names of the rules that delete objects whose keys may begin with `folder`. Pure.

    Rules about earlier versions and unfinished uploads are none of them: we neither replace nor upload in parts.
    """
    named = enumerate(rules, 1)
    return [
        str(rule.get("ID") or f"rule {number}")
        for number, rule in named
        if rule.get("Status") == "Enabled" and _deletes(rule) and _meet(_prefix(rule), folder)
    ]


def _deletes(rule: Mapping[str, Any]) -> bool:
    expiration = rule.get("Expiration", {})
    return "Days" in expiration or "Date" in expiration


def _prefix(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter", {})
    return str(rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or "")


def _meet(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _videos(settings: Settings) -> str:
    return f"{settings.s3_prefix}videos/"


def _code(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "refused")
    return type(error).__name__
