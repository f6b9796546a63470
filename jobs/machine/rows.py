"""The rows as values: what a step reads, and what it may write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from jobs.errors import BadRequest
from jobs.machine.states import State
from jobs.machine.unproven_film import UnprovenFilm
from jobs.request.as_taken import as_taken
from jobs.request.generation import Generation, JobRequest
from jobs.request.schema import load_request


class AttemptOutcome(StrEnum):
    OPEN = "open"  # no last word on it yet
    NOT_SENT = "not_sent"  # provably nothing left this machine; the same attempt is tried again
    REFUSED = "refused"  # the gateway said no: nothing was taken
    FAILED = "failed"  # the gateway's verdict
    FINISHED = "finished"  # the gateway made the video; it was paid for
    DELIVERED = "delivered"  # and it is in the bucket
    UNDELIVERED = "undelivered"  # paid for, and its link is dead
    EXPIRED = "expired"  # the window or its life is over without a word
    NOT_MADE = "not_made"  # a person says so of an order whose answer was lost


# Over without a video, as far as is known: a later word of the gateway may still bring one.
WITHOUT_VIDEO = frozenset({AttemptOutcome.FAILED, AttemptOutcome.EXPIRED, AttemptOutcome.NOT_MADE})
# Of which nothing was bought.
OF_ONE_POST = frozenset({AttemptOutcome.NOT_SENT, AttemptOutcome.REFUSED})  # said of it, and of no other
UNBOUGHT = OF_ONE_POST | {AttemptOutcome.NOT_MADE}


class Settled(StrEnum):
    """What a person said of an attempt, while its standing rests on that."""

    NOT_MADE = "not_made"
    CHARGED = "charged"
    NOT_CHARGED = "not_charged"


class Origin(StrEnum):
    """How we know of an attempt."""

    ORDERED = "ordered"  # we sent it, or were about to
    FORGOTTEN = "forgotten"  # a backup was put back: it may have been made since
    CALLED_BACK = "called_back"  # a callback under our own token names it, and no row did


class Standing(StrEnum):
    """Where an attempt's money is."""

    NONE = "none"
    HELD = "held"
    CHARGED = "charged"
    REFUNDED = "refunded"
    UNCERTAIN = "uncertain"


KEPT_ASIDE = "kept_aside"  # a film stands beside the archive; also the last word of one that waits for whose it is
ACCEPTED = "accepted"  # how the last word of a transfer begins that copies what a person has accepted
FREE = frozenset({Standing.NONE, Standing.REFUNDED})
ABSURD = 10  # times the estimate: a cost beyond that counts once a person has settled it


class Money(NamedTuple):
    """What is known of an order's money, by the columns of its row."""

    standing: Standing
    settled: str | None
    estimated_credits: float | None
    estimated_usd: float | None
    reported_credits: float | None
    reported_usd: float | None

    @property
    def is_doubted(self) -> bool:
        """Whether the gateway tells a cost that cannot be true, and no person has settled that it is."""
        if self.settled == Settled.CHARGED:
            return False
        in_usd, in_credits = (self.reported_usd, self.estimated_usd), (self.reported_credits, self.estimated_credits)
        told, expected = in_credits if None in in_usd else in_usd
        return told is not None and expected is not None and told > ABSURD * expected

    @property
    def usd(self) -> float | None:
        """What the order counts for: what is reported, else what is expected."""
        return self.estimated_usd if self.reported_usd is None or self.is_doubted else self.reported_usd


@dataclass(frozen=True)
class Job:
    """A row of `jobs`; the names and meanings are the columns'."""

    id: str
    state: State
    version: int
    alarm_at: datetime | None
    lease_holder: str | None
    leased_until: datetime | None
    holder_deaths: int
    set_aside_until: datetime | None
    mode: str
    request: Mapping[str, Any]
    provider: str | None
    attempt: int
    progress: int | None
    overdue: bool
    flagged: str | None
    troubles: int
    cancel_requested_at: datetime | None
    strange_since: datetime | None
    error_code: str | None
    error_message: str | None
    error_retryable: bool | None
    error_said: str | None
    waiting: Mapping[str, Any] | None
    on_unconfirmed: str
    start_by: datetime
    inputs_until: datetime | None
    link_dies_at: datetime | None
    archive_key: str
    bucket: str | None
    bytes: int | None
    sha256: str | None
    duration_s: float | None
    width: int | None
    height: int | None
    fps: float | None
    accepted_by: str | None
    notify_url: str | None
    notices: int
    metadata: Mapping[str, str]
    batch: str | None
    api_key_id: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @cached_property
    def wanted(self) -> JobRequest:
        """The request, read when it is first asked for. Raises BadRequest: an earlier version took it in."""
        return _read(json.dumps(self.request, sort_keys=True))

    @property
    def taken(self) -> dict[str, Any]:
        """The request as it was taken, defaults filled in.

        Of one that cannot be read, such as a strange sidecar's, the mode alone: no view and no step may fail for it.
        """
        try:
            return as_taken(self.request, notify_url=self.notify_url)
        except (ValueError, KeyError, TypeError, AttributeError):
            return as_taken({"mode": self.mode}, notify_url=self.notify_url)

    @property
    def ordered(self) -> Generation | None:
        """The video that is wanted; None where that cannot be read any more."""
        try:
            return self.wanted.generation
        except BadRequest:
            return None


@lru_cache(maxsize=256)
def _read(request: str) -> JobRequest:
    """A row is read anew many times on its job's way, and its request never changes."""
    return load_request(json.loads(request))


@dataclass(frozen=True)
class Attempt:
    """A row of `attempts`."""

    job_id: str
    number: int
    origin: Origin
    provider: str
    base_url: str
    account: str
    with_callback: bool
    request: Mapping[str, Any]
    outcome: AttemptOutcome
    standing: Standing
    task_id: str | None
    adopted: bool
    contested: bool
    rejected_task_ids: list[str]
    last_word: str | None
    news_by: str | None
    news_at: datetime | None
    link: str | None
    error_code: str | None
    error_message: str | None
    error_retryable: bool | None
    error_said: str | None
    day: str
    estimated_credits: float | None
    estimated_usd: float | None
    estimate_exact: bool
    reported_credits: float | None
    reported_usd: float | None
    reserved_micro_usd: int
    created_at: datetime
    sending_at: datetime | None
    sends: int
    age_unknown: bool
    lost_at: datetime | None
    accepted_at: datetime | None
    last_unfinished_at: datetime | None
    finished_at: datetime | None
    closed_at: datetime | None
    polls: int
    answered_at: datetime | None
    unanswered_since: datetime | None
    settled: Settled | None
    named_task_id: str | None
    named_refused: str | None
    unproven: list[dict[str, Any]] | None
    accepted_sha256: str | None
    accepted_by: str | None

    @property
    def is_open(self) -> bool:
        return self.outcome is AttemptOutcome.OPEN

    @property
    def idempotency_key(self) -> str:
        """What each of its POSTs bears, at a gateway that honours such a key."""
        return f"{self.job_id}-{self.number}"

    @property
    def is_by_hearsay(self) -> bool:
        """Whether callbacks alone have named its task: neither the answer to its own POST nor a person has."""
        return self.task_id is not None and self.adopted and self.task_id != self.named_task_id

    @property
    def is_failed_in_doubt(self) -> bool:
        """Whether its task failed, and may be another order's; `closed_at` is when that was first heard."""
        return self.is_open and self.task_id is not None and self.closed_at is not None

    @property
    def hears(self) -> bool:
        """Whether its task may be another one that callbacks tell of than it has, if it has one."""
        is_over = not self.is_open and self.outcome is not AttemptOutcome.FINISHED and not self.can_still_deliver
        return self.may_have_a_task or (self.is_by_hearsay and not is_over)

    @property
    def unproven_films(self) -> tuple[UnprovenFilm, ...]:
        """What is kept of its task's film, the first one first. What was kept of a task that it gave back is not."""
        films = (UnprovenFilm.from_json(kept) for kept in self.unproven or ())
        return tuple(film for film in films if film.task_id == self.task_id)

    @property
    def unproven_film(self) -> UnprovenFilm | None:
        """The longest of these: the one that a person would take."""
        return max(self.unproven_films, key=lambda film: film.bytes, default=None)

    @property
    def accepted_film(self) -> UnprovenFilm | None:
        """The one that a person has taken, to be archived as it is."""
        return next((film for film in self.unproven_films if film.sha256 == self.accepted_sha256), None)

    @property
    def is_without_video(self) -> bool:
        """Whether it is over without a video, as far as is known: a later word of its gateway may still bring one."""
        unlinked = self.outcome is AttemptOutcome.UNDELIVERED and self.link is None
        return unlinked or self.outcome in WITHOUT_VIDEO

    @property
    def can_still_deliver(self) -> bool:
        """Whether it is over, its video is not in the bucket, and a later word of its gateway may bring it there."""
        return self.outcome is AttemptOutcome.UNDELIVERED or self.outcome in WITHOUT_VIDEO

    @property
    def money(self) -> Money:
        return Money(*(getattr(self, name) for name in Money._fields))

    @property
    def is_forgotten(self) -> bool:
        """Whether a backup that was put back had forgotten it. Then `created_at` is the earliest that it may be."""
        return self.origin is not Origin.ORDERED

    @property
    def is_unheeded(self) -> bool:
        """Whether it may have been made and no decision rests on that yet."""
        return self.is_forgotten and self.standing is Standing.NONE

    @property
    def made_nothing(self) -> bool:
        """Whether no gateway has taken it, as far as this database knows: a callback under its URL says otherwise."""
        return self.outcome in OF_ONE_POST

    @property
    def may_have_a_task(self) -> bool:
        """Whether what it is told of may be its task: nobody knows one, and it may have been made."""
        return self.task_id is None and (self.is_open or self.can_still_deliver)

    @property
    def is_named(self) -> bool:
        """Whether a person named its task, and the gateway has yet to say what that is."""
        return self.named_task_id is not None and self.named_refused is None and self.task_id is None
