"""What the service tells, as values. A newer service may tell more: `raw` holds all of it, as it came.

Credits are a gateway's own unit. Times are aware. What the service does not tell is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rushes_client.errors import JobCancelled, JobFailed, NotArchived

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class Cost:
    """An order's money. `standing` is none, held, charged, refunded or uncertain."""

    standing: str
    estimated_credits: float | None
    estimated_usd: float | None
    estimate_exact: bool
    reported_credits: float | None
    reported_usd: float | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Named:
    """A task that a person named for an order. `state` is asking, believed or refused, for a `reason`."""

    task_id: str
    state: str
    reason: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Unproven:
    """A film that the service's proof refused for a `reason`, and keeps aside to be accepted.

    `accepted_by` is the API key of who took it, while it is copied.
    """

    sha256: str
    bytes: int
    reason: str
    kept_at: datetime
    accepted_by: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Attempt:
    """One order at one gateway, numbered from 1. `link` is that of a video which was paid for and not delivered.

    `settled` is what a person said of it (not_made, charged or not_charged), while its standing rests on that; `named`
    is the task that they named last; `unproven` a film of it that can be accepted.
    """

    number: int
    provider: str
    task_id: str | None
    outcome: str
    cost: Cost
    link: str | None
    settled: str | None
    named: Named | None
    unproven: Unproven | None
    created_at: datetime
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class JobError:
    """Why a job has failed; `code` is stable, `provider_code` the gateway's own."""

    code: str
    message: str
    retryable: bool
    provider_code: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Waiting:
    """Why a queued job is not ordered yet, and when it is looked at again.

    `position` is its place in line, from 1, where `get` and `wait` have counted it. A job that no gateway has accepted
    by `start_by` fails.
    """

    provider: str | None
    code: str
    reason: str
    until: datetime | None
    position: int | None
    start_by: datetime
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Video:
    """The archived object. Its length is in bytes, its SHA-256 in hexadecimal.

    What an accepted film does not show of itself is None.
    """

    bucket: str
    key: str
    bytes: int
    sha256: str
    duration_s: float | None
    width: int | None
    height: int | None
    fps: float | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Job:
    """A request for one video, and how it stood when it was read.

    `state` is queued, submitting, unconfirmed, generating, archiving, archived, failed or cancelled; a newer service
    may have more, so compare with those you mean. `progress` is in percent, `cost` the current attempt's. `accepted_by`
    is the API key of who took an archived film as it is, in place of the proof that it plays; None: it was proven.
    `request` has every field of it, with what is meant where nothing was said.
    """

    id: str
    state: str
    accepted_by: str | None
    mode: str
    provider: str | None
    attempt: int
    task_id: str | None
    progress: int | None
    overdue: bool
    waiting: Waiting | None
    needs_person: str | None
    cancel_requested: bool
    error: JobError | None
    cost: Cost | None
    attempts: tuple[Attempt, ...]
    video: Video | None
    request: Mapping[str, Any] = field(hash=False)
    metadata: Mapping[str, str] = field(hash=False)
    batch: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Job:
        """Read a job as the service writes it: in its answers, and in the `data` of a notice."""
        return read(cls, told)

    @property
    def ended(self) -> bool:
        """Whether it is archived, failed or cancelled."""
        return self.ended_at is not None

    def raise_unless_archived(self) -> None:
        """Raises JobFailed, JobCancelled, or NotArchived while it is on its way."""
        if self.state == "archived":
            return
        if self.state == "failed" and self.error:
            raise JobFailed(f"{self.id} failed: {self.error.message}", code=self.error.code, job=self)
        if self.state == "cancelled":
            raise JobCancelled(f"{self.id} was cancelled.", job=self)
        raise NotArchived(f"{self.id} is {self.state}; its video is there once it is archived.", job=self)


@dataclass(frozen=True)
class Event:
    """A line of a job's history."""

    at: datetime
    event: str
    attempt: int
    from_state: str | None
    to_state: str | None
    detail: Mapping[str, Any] = field(hash=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Price:
    """What an order would cost. Not `exact` where it rests on the unknown length of an input."""

    seconds: float
    credits: float | None
    usd: float | None
    exact: bool
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class QuotedWait:
    """What a job would wait for, for so many seconds at first, and its place in line."""

    provider: str
    code: str
    reason: str
    seconds: float
    position: int | None
    start_by: datetime
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Quote:
    """Where a request would go now. `provider` is None if the job would wait; `raw` has the other gateways too.

    `made` is the job that the idempotency key has made already, where one was sent.
    """

    made: str | None
    provider: str | None
    price: Price | None
    waits: QuotedWait | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


TIMES = frozenset({"at", "created_at", "updated_at", "ended_at", "until", "start_by", "kept_at"})
INNER: dict[str, type[Any]] = {
    "waiting": Waiting,
    "error": JobError,
    "cost": Cost,
    "named": Named,
    "unproven": Unproven,
    "video": Video,
    "price": Price,
    "waits": QuotedWait,
}


def read(kind: type[T], told: Mapping[str, Any]) -> T:
    """The service's JSON as one of the values above."""
    return kind(**{each.name: _value(each.name, told) for each in fields(kind)})


def _value(name: str, told: Mapping[str, Any]) -> Any:
    value = told.get(name)
    if name == "raw":
        return told
    if name == "attempts":
        return tuple(read(Attempt, each) for each in value or ())
    if name in ("metadata", "request"):
        return value or {}
    if value is not None and name in TIMES:
        return datetime.fromisoformat(value)
    return read(INNER[name], value) if value is not None and name in INNER else value
