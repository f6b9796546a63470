"""The bucket: everything that a transfer does with it, on scratch objects that go again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
from botocore.exceptions import BotoCoreError, ClientError

from jobs.buckets import bucket, bucket_for_links
from jobs.settings import Settings
from jobs.steps.store_refusals import REACH, REPLACES, remedy
from jobs.steps.store_trial import StoreTrial
from rushes.doctor.findings import Finding, Findings, fail, ok, warn
from rushes.doctor.store_mending import Mending, Others, otherwise_addressed, otherwise_conditional, otherwise_put
from storage.bucket import Bucket, BucketConfig, connect
from storage.errors import BucketRefuses, BucketUnavailable, ObjectExists
from storage.keys import poster_key
from storage.outbound import trust
from storage.outbound.addresses import literal_address
from storage.rules import LOOK

TIMEOUT_S = (3, 5)
LINK_LIFE_S = 60
WITHOUT_RULES = "NoSuchLifecycleConfiguration"


def look(settings: Settings) -> Findings:
    """HEAD, the three PUTs, a second one, HEAD, GET, both links, DELETE and the lifecycle, as the service does them."""
    mending = Mending(bucket(settings).config)
    try:
        yield from _trial(mending, settings)
    finally:
        yield from _remove(mending)
    if not mending.stuck:
        yield _lifecycle(connect(mending.config), settings)


def _trial(mending: Mending, settings: Settings) -> Iterator[Finding]:
    """Each refusal is told once, and what comes after it is done by the rules that mend it."""
    is_bent = False
    for name, do, others in STAGES:
        if refusal := mending.run(name, do, others):
            yield refusal
            is_bent = True
        if mending.stuck:
            return
    if not is_bent:
        yield ok("bucket", f"{settings.s3_bucket} answers, and takes a video with its poster and sidecar")
        yield _condition(mending.config.rules.condition)
    try:
        yield from _read_back(mending.trial)
        by_rules = replace(bucket_for_links(settings).config, rules=mending.config.rules)
        yield _links(by_rules, mending.trial, may_be_beyond=_is_beyond(settings))
    except BucketUnavailable as error:
        yield fail("get", str(error), remedy(error, mending.config.rules))


def put_once(trial: StoreTrial) -> None:
    """The three PUTs, and a second video for the same key. Raises BucketRefuses if it replaces the first, too."""
    with suppress(ObjectExists):  # the answer to the first was lost
        trial.put()
    if not trial.keeps_the_first():
        raise BucketRefuses("a second video for the same key replaced the first", code=REPLACES)


STAGES: list[tuple[str, Callable[[StoreTrial], object], Others]] = [
    ("bucket", StoreTrial.find_keys, lambda _: ()),
    ("bucket", StoreTrial.look, otherwise_addressed),
    ("put", StoreTrial.put_small, otherwise_put),
    ("conditional put", put_once, otherwise_conditional),
]


def _condition(condition: str) -> Finding:
    if condition == LOOK:
        said = "a second video is refused by looking first; of two PUTs at the same moment the later one stays"
        return warn("conditional put", said, "use a store that honours If-None-Match on PutObject, where you can")
    return ok("conditional put", "a second video for the same key is refused")


def _read_back(trial: StoreTrial) -> Iterator[Finding]:
    then = "look at what stands between here and the store"
    stored = trial.stored()
    if stored is None or stored.bytes != len(trial.video) or trial.read() != trial.video:
        yield fail("get", "what was put is not what comes back", then)
    elif not trial.metadata.items() <= stored.metadata.items():
        lost = ", ".join(sorted(dict(trial.metadata.items() - stored.metadata.items())))
        yield fail("get", f"what a video says of itself does not come back as it was put: {lost}", then)
    else:
        yield ok("get", "the same bytes come back, and what they say of themselves")


def _is_beyond(settings: Settings) -> bool:
    """Whether links lead to the loopback of another machine: of the host, say, seen from a container on it."""
    links, own = settings.s3_public_endpoint_url, settings.s3_endpoint_url
    return links is not None and own is not None and _is_loopback(links) and not _is_loopback(own)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    address = literal_address(host)
    return host == "localhost" if address is None else address.is_loopback


def _links(config: BucketConfig, trial: StoreTrial, *, may_be_beyond: bool) -> Finding:
    where = config.endpoint_url or "AWS"
    then = f"those who follow links must reach {where}; RUSHES_S3_PUBLIC_ENDPOINT_URL names another way in"
    links = Bucket(config)
    for key, body in ((trial.key, trial.video), (poster_key(trial.key), trial.poster)):
        try:
            link = links.link(key, expires_s=LINK_LIFE_S)
            answer = trust.session().get(link, timeout=TIMEOUT_S, auth=_nobody)
        except requests.RequestException as error:
            if may_be_beyond:
                said = f"{where} is the host's own loopback, and cannot be tried from in here"
                return warn("presigned link", said, then)
            return fail("presigned link", f"{where} cannot be reached ({type(error).__name__})", then)
        if not answer.ok:
            return fail("presigned link", f"it answers {answer.status_code}", f"{then}; clocks must agree, too")
        if answer.content != body:
            return fail("presigned link", "it leads to other bytes", then)
    return ok("presigned link", "those to video and poster lead to them")


def _remove(mending: Mending) -> Iterator[Finding]:
    words = [trial.remove() for trial in mending.trials]
    if mending.stuck:
        return
    if words[-1] is None:
        yield ok("delete", "the test objects are gone; a transfer never deletes")
    else:
        # A transfer never deletes, so that a key which may not is a good one.
        left = ", ".join(key for trial in mending.trials for key in trial.keys)
        yield ok("delete", f"not allowed ({words[-1]}), and not needed; {left} are left for you to delete")


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Says who we are to nobody: a netrc must not spoil the link's own signature."""
    return request


def _lifecycle(client: Any, settings: Settings) -> Finding:
    try:
        # Some answer without any rule, where AWS says that there is no configuration.
        rules = client.get_bucket_lifecycle_configuration(Bucket=settings.s3_bucket).get("Rules", [])
    except ClientError as error:
        if _code(error) == WITHOUT_RULES:
            return ok("lifecycle", "no rules")
        return ok("lifecycle", f"cannot be read ({_code(error)}); see that no rule expires {_videos(settings)}*")
    except BotoCoreError as error:
        return fail("lifecycle", _code(error), REACH)
    if not rules:
        return ok("lifecycle", "no rules")
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
