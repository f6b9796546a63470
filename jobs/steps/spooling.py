"""A job's bytes on their way into the spool: from its link, from a fresh one, or from where its film is kept aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.environment.numbers import STALL_BYTES_PER_S
from jobs.machine.case import Case
from jobs.machine.rows import Attempt
from jobs.settings import Settings
from jobs.steps import aside, reconciliation
from jobs.steps.resources import Resources
from storage.errors import BucketUnavailable, LinkDead, LinkForbidden, LinkUnavailable, StorageError
from storage.fetch import FetchLimits, Spooled
from storage.outbound.guard import is_at

LINK_S = 3600


class NoLink(StorageError):
    """The gateway answers that it has no link to the video."""


def fetch(case: Case, resources: Resources, keep_going: Callable[[], None]) -> Spooled:
    """The link's bytes; one that is dead or forbidden is asked for anew, once, and then the film is looked for aside.

    Should a forbidden link be all that the gateway has, its first fault stands.
    """
    attempt = case.current
    assert attempt is not None

    def follow(link: str) -> Spooled:
        return _spool(link, resources, keep_going, is_inside=_is_stand_ins(link, attempt, resources.settings))

    fault: StorageError = NoLink(f"{attempt.provider} calls the task finished, and gives no link that can be used")
    if attempt.link is not None:
        try:
            return follow(attempt.link)
        except (LinkDead, LinkForbidden) as e:
            fault = e
    try:
        fresh = reconciliation.fresh_link(attempt, resources)
        if fresh is None or (fresh == attempt.link and isinstance(fault, LinkForbidden)):
            raise fault
        return follow(fresh)
    except (LinkDead, LinkForbidden, LinkUnavailable, NoLink):
        key = aside.contested(attempt, resources)
        if resources.bucket.head(key) is None:
            raise
        return fetch_aside(key, resources, keep_going)


def fetch_aside(key: str, resources: Resources, keep_going: Callable[[], None]) -> Spooled:
    """The bytes of an object that is kept aside. A refusal is the bucket's: no gateway's link is dead for that."""
    link = resources.bucket.link(key, expires_s=LINK_S)
    try:
        return _spool(link, resources, keep_going, is_inside=True)
    except LinkDead as e:
        for _ in resources.bucket.open(key):  # asked by our key the store says why, in its own words
            break
        raise BucketUnavailable(f"GET {key}: {e.status}") from e


def _spool(link: str, resources: Resources, keep_going: Callable[[], None], *, is_inside: bool) -> Spooled:
    """`is_inside`: it may lead to a private address, to this one place, and not on from there to another."""
    settings = resources.settings
    limits = FetchLimits(
        max_bytes=settings.max_video_bytes,
        deadline_s=settings.transfer_deadline_s,
        stall_bytes_per_s=STALL_BYTES_PER_S,
        stall_window_s=settings.transfer_stall_s,
    )
    is_exempt = is_inside and not settings.allow_private_addresses
    return resources.fetch(
        resources.inner_session if is_exempt else resources.session,
        link,
        folder=resources.spool_dir,
        limits=replace(limits, redirects=0) if is_exempt else limits,
        allow_private=is_inside or settings.allow_private_addresses,
        keep_going=keep_going,
    )


def _is_stand_ins(link: str, attempt: Attempt, settings: Settings) -> bool:
    """Whether the attempt's gateway is a stand-in, and the link leads to it."""
    name = attempt.provider
    account = settings.accounts.get(name) or settings.previous_accounts.get(name)
    return account is not None and account.is_stand_in and is_at(link, account.base_url)
