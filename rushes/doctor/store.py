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
from jobs.steps.store_refusals import BETWEEN, REACH, REPLACES, remedy
from jobs.steps.store_trial import StoreTrial
from rushes.doctor.findings import Finding, Findings, fail, ok, warn
from rushes.doctor.store_mending import Mending, Others, otherwise_addressed, otherwise_conditional, otherwise_put
from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketRefuses, BucketUnavailable, ObjectExists
from storage.keys import poster_key
from storage.outbound import trust
from storage.outbound.addresses import literal_address
from storage.rules import LOOK
from storage.store_client import connect
from storage.store_errors import told_of_link

TIMEOUT_S = (3, 5)
LINK_LIFE_S = 60
MOST_READ = 4096  # characters of a refusal
OF_THE_LINK = ("SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed")
FROZEN = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # whose objects are read after hours, when somebody has asked for them
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
    stored = trial.stored()
    if stored is None:
        yield fail("get", "what was put cannot be found", BETWEEN)
    elif told := trial.altered(stored):
        yield fail("get", told, BETWEEN)
    elif trial.read() != trial.video:
        yield fail("get", "what was put is not what comes back", BETWEEN)
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
            return _refused_link(key, answer, config, then)
        if answer.content != body:
            return fail("presigned link", "it leads to other bytes", then)
    return ok("presigned link", "those to video and poster lead to them")


def _refused_link(key: str, answer: requests.Response, config: BucketConfig, then: str) -> Finding:
    """By the store's own words where it is the store that answers. The key itself is good: it has put and read."""
    refusal = told_of_link(f"link to {key}", answer.status_code, answer.text[:MOST_READ], config.secrets)
    if refusal.code and not refusal.code.startswith(OF_THE_LINK):
        then = remedy(refusal, config.rules)
    else:
        then = f"{then}, and must come there with host, path and query as they are; clocks must agree, too"
    return fail("presigned link", f"it answers otherwise than with the video: {refusal}", then)


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
    if found := [name for name, rule in _about(rules, _videos(settings)) if _freezes(rule)]:
        then = "leave our folder out of them: until somebody has such an object restored, its links answer 403"
        said = f"rules move what stands under {_videos(settings)} to where it cannot be read: {', '.join(found)}"
        return warn("lifecycle", said, then)
    if found := expiring(rules, _videos(settings)):
        then = "leave our folder out of them, unless videos are to go after a while"
        return warn("lifecycle", f"rules delete what stands under {_videos(settings)}: {', '.join(found)}", then)
    return ok("lifecycle", f"{len(rules)} rules, none deletes videos")


def expiring(rules: Sequence[Mapping[str, Any]], folder: str) -> list[str]:
    """The names of the rules that delete objects whose keys may begin with `folder`. Pure.

    Rules about earlier versions and unfinished uploads are none of them: we neither replace nor upload in parts.
    """
    return [name for name, rule in _about(rules, folder) if _deletes(rule)]


def _about(rules: Sequence[Mapping[str, Any]], folder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rules in force, by name, that may meet objects of ours in this folder. Ours bear no tags."""
    for number, rule in enumerate(rules, 1):
        if rule.get("Status") == "Enabled" and _meet(_prefix(rule), folder) and not _is_for_tags(rule):
            yield str(rule.get("ID") or f"rule {number}"), rule


def _is_for_tags(rule: Mapping[str, Any]) -> bool:
    chosen = rule.get("Filter", {})
    return bool(chosen.get("Tag") or chosen.get("And", {}).get("Tags"))


def _freezes(rule: Mapping[str, Any]) -> bool:
    return any(each.get("StorageClass") in FROZEN for each in rule.get("Transitions", ()))


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
