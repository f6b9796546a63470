"""Builders of rows with everything that a test does not care about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.machine.alarms import Rules
from jobs.machine.callbacks import Hearsay, KeptCallback
from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome, Job, Origin, Standing
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.settings import Settings, load

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
JOB_ID = "job_01J000000000000000000000AA"


def settings(**variables: str) -> Settings:
    """Settings of an environment with a bucket and these variables, named without RUSHES_."""
    return load({"RUSHES_S3_BUCKET": "videos", **{f"RUSHES_{name}": value for name, value in variables.items()}})


SETTINGS = settings()


def job(state: State = State.QUEUED, **changes: Any) -> Job:
    """A job of this state; it was created a minute ago and has no error, no holder and no wish to cancel."""
    values: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    values |= {
        "id": JOB_ID,
        "state": state,
        "version": 3,
        "alarm_at": NOW,
        "mode": "text-to-video",
        "request": {"prompt": "A fox"},
        "attempt": 0 if state is State.QUEUED else 1,
        "overdue": False,
        "troubles": 0,
        "holder_deaths": 0,
        "on_unconfirmed": "wait",
        "start_by": NOW + DAY,
        "archive_key": f"videos/2026/03/04/{JOB_ID}.mp4",
        "notices": 0,
        "metadata": {},
        "api_key_id": "key_1",
        "created_at": NOW - MINUTE,
        "updated_at": NOW - SECOND,
    }
    return Job(**{**values, **changes})


def attempt(number: int = 1, **changes: Any) -> Attempt:
    """An open attempt at EvoLink that was sent a minute ago with a callback URL; its answer is not there yet."""
    values: dict[str, Any] = dict.fromkeys(Attempt.__dataclass_fields__)
    values |= {
        "job_id": JOB_ID,
        "number": number,
        "origin": Origin.ORDERED,
        "provider": "evolink",
        "base_url": "https://api.evolink.ai",
        "account": "f" * 16,
        "with_callback": True,
        "request": {},
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.NONE,
        "adopted": False,
        "polls": 0,
        "rejected_task_ids": [],
        "created_at": NOW - MINUTE,
        "sending_at": NOW - MINUTE,
        "sends": 1,
        "day": "2026-03-04",
        "estimate_exact": True,
        "reserved_micro_usd": 0,
    }
    return Attempt(**{**values, **changes})


def accepted(number: int = 1, **changes: Any) -> Attempt:
    """An attempt whose task runs since a minute ago."""
    known = {"task_id": f"task-{number}", "accepted_at": NOW - MINUTE, "standing": Standing.HELD}
    return attempt(number, **{**known, **changes})


def lost(number: int = 1, **changes: Any) -> Attempt:
    """An attempt whose answer was lost a minute ago."""
    return attempt(number, **{"lost_at": NOW - MINUTE, "standing": Standing.UNCERTAIN, **changes})


def finished(number: int = 1, **changes: Any) -> Attempt:
    """An attempt whose video the gateway has made."""
    known = {"outcome": AttemptOutcome.FINISHED, "standing": Standing.CHARGED, "link": "https://host/v.mp4"}
    return accepted(number, **{**known, "finished_at": NOW - SECOND, "closed_at": NOW, **changes})


def failed(number: int = 1, **changes: Any) -> Attempt:
    """An attempt that the gateway has failed, and that may be tried again."""
    said = {"error_code": "generation_failed", "error_message": "no", "error_retryable": True, "closed_at": NOW}
    return accepted(number, **{"outcome": AttemptOutcome.FAILED, "standing": Standing.REFUNDED, **said, **changes})


def refused(number: int = 1, code: str = "content_refused", **changes: Any) -> Attempt:
    """An attempt that the gateway has not taken."""
    said = {"error_code": code, "error_message": "no", "error_retryable": False, "closed_at": NOW}
    return attempt(number, **{"outcome": AttemptOutcome.REFUSED, **said, **changes})


def callback(number: int = 1, **changes: Any) -> KeptCallback:
    """An unread callback of an attempt."""
    values: dict[str, Any] = {"id": 1, "attempt": number, "readable": True, "task_id": f"task-{number}"}
    return KeptCallback(**{**values, "received_at": NOW, "read_at": None, "provider": "evolink", **changes})


def case(job_: Job, *attempts: Attempt, callbacks: Iterable[KeptCallback] = ()) -> Case:
    """With what callbacks tell of as hearsay, as the receiver keeps it; what was read has been asked about."""
    kept = tuple(callbacks)
    heard = {(x.attempt, x.task_id): x for x in kept if x.task_id}
    hearsay = tuple(
        Hearsay(number, str(task_id), x.received_at, 0, x.received_at, False, False, x.provider)
        if x.read_at is None
        else Hearsay(number, str(task_id), x.received_at, 1, x.read_at + 10 * MINUTE, False, False, x.provider)
        for (number, task_id), x in heard.items()
    )
    return Case(job_, {a.number: a for a in attempts}, kept, hearsay)


def rules(
    remaining: Iterable[str] = ("evolink",),
    settings_: Settings = SETTINGS,
    jitter: Callable[[float], float] = lambda s: s,
) -> Rules:
    """Rules without chance; `remaining` are the gateways that are still open to every case."""
    left = list(remaining)
    return Rules(settings_, PROVIDERS, lambda _: left, jitter)
