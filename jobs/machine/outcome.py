"""What a step learns, and what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from jobs.machine.changes import AttemptChanges, JobChanges
from jobs.machine.rows import Attempt
from jobs.machine.states import Event

ANSWERED = "answered"  # the line of history that bears the answer of a gateway that took an order


@dataclass(frozen=True)
class Note:
    """A line of history that moves nothing."""

    event: str
    attempt: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Move:
    """A line of history that moves the job."""

    event: Event
    attempt: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cooldown:
    """A gateway's key rests. `reason` is a code of refusal: rate_limited, insufficient_credits or unauthorized."""

    reason: str
    seconds: float


class Inquired(NamedTuple):
    """What came of asking about a task that a callback told of: whether there was an answer, and when to ask again.

    `is_rival`: whether it may be its order's as well as the task that this one has. None: nothing was learnt of that.
    """

    answered: bool
    again_at: datetime
    is_rival: bool | None = None


@dataclass(frozen=True)
class PostAnswer:
    """What a gateway answered to one POST: which of its attempt's sends, and when it left by the database's clock.

    `base_url`: where it was sent; `told`: the answer of an acceptance, for the history. None in what an earlier version
    has written.
    """

    job_id: str
    attempt: int
    provider: str
    account: str
    send: int
    left_at: datetime
    said: AttemptChanges
    base_url: str | None = None
    told: Mapping[str, Any] | None = None


class About(NamedTuple):
    """An attempt's task, and the one that a person had named for it, as its row had them when something was learnt.

    `order`, its gateway, key and time, tells it from another one that bears its number since: nothing of the first was
    sent, or a callback has corrected a guess.
    """

    task_id: str | None
    named_task_id: str | None
    order: tuple[str, str, datetime] | None

    @classmethod
    def seen(cls, attempt: Attempt | None) -> About:
        """None: it had no row yet."""
        if attempt is None:
            return cls(None, None, None)
        return cls(attempt.task_id, attempt.named_task_id, (attempt.provider, attempt.account, attempt.created_at))


@dataclass(frozen=True)
class Facts:
    """What a step has learnt, in the words of the rows: changes by attempt number, callbacks read, lines of history."""

    attempts: Mapping[int, AttemptChanges] = field(default_factory=dict)
    read: tuple[int, ...] = ()
    inquired: Mapping[tuple[int, str], Inquired] = field(default_factory=dict)  # by attempt number and task id
    contested: frozenset[tuple[int, str]] = frozenset()  # tasks, by attempt number, that another order bears as well
    notes: tuple[Note, ...] = ()
    # Which task changes speak of, by attempt number. Of one that is not among these, they speak of the order itself.
    about: Mapping[int, About] = field(default_factory=dict)
    progress: int | None = None
    # The stored video's columns of the job's row, and the attempt that made it.
    video: JobChanges = field(default_factory=JobChanges)
    took_s: float | None = None  # to fetch, prove and put it; None: it stood there already
    cooldown: Cooldown | None = None  # what the gateway asked for, or had better be given
    trouble: bool = False
    answer: PostAnswer | None = None  # the one that these facts rest on; the journal has it until they are written


@dataclass(frozen=True)
class Outcome:
    """What a step writes: facts, moves in order, further columns, and when the job next wants attention."""

    alarm_at: datetime | None
    moves: tuple[Move, ...] = ()
    job: JobChanges = field(default_factory=JobChanges)
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Turn:
    """One move, with what it writes on the job and on its current attempt."""

    move: Move
    job: JobChanges
    attempt: AttemptChanges


def turn_of(
    event: Event,
    attempt: Attempt,
    job: JobChanges | None = None,
    attempt_changes: AttemptChanges | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Turn:
    return Turn(Move(event, attempt.number, detail or {}), job or {}, attempt_changes or {})
