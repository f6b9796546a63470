"""Where the model asks the real code: its rows become real ones, and `decide` is asked what they amount to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from jobs.intake import settling
from jobs.machine.alarms import Rules
from jobs.machine.callbacks import KeptCallback
from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import Attempt, AttemptOutcome, Job, Origin, Standing
from jobs.machine.states import State, next_state
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.steps import planning

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AGES = (timedelta(minutes=1), timedelta(minutes=20), timedelta(days=3))  # fresh, ripe for a resubmit, past its life
SETTINGS = load({"RUSHES_S3_BUCKET": "model"})
PROVIDER = "evolink"  # it calls back, and honours no idempotency key
A, Z = AttemptOutcome, Standing

# What a step's words say on an attempt's row: jobs.submission.read_answer, jobs.reconcile.learn, jobs.archiving.
WORDS: dict[str, dict[str, Any]] = {
    "accepted": {},
    "refused": {"outcome": A.REFUSED, "standing": Z.NONE, "error_code": "rate_limited"},
    "rejected": {"outcome": A.REFUSED, "standing": Z.NONE, "error_code": "content_refused"},
    "not_sent": {"outcome": A.NOT_SENT, "standing": Z.NONE, "sending_at": None},
    "lost": {"standing": Z.UNCERTAIN},
    "running": {"last_unfinished_at": NOW, "answered_at": NOW},
    "adopted": {"outcome": A.OPEN, "standing": Z.HELD, "closed_at": None},
    "finished": {"outcome": A.FINISHED, "standing": Z.CHARGED, "link": "https://host/video"},
    "failed": {"outcome": A.FAILED, "standing": Z.REFUNDED, "error_code": "generation_failed", "error_retryable": True},
    "gone": {"answered_at": NOW},  # no life ends before its gateway has been asked
    "stored": {"outcome": A.DELIVERED},
    "undelivered": {"outcome": A.UNDELIVERED, "error_code": "link_expired"},
}
# By an answer, or by the adoption of a candidate.
NAMES_TASK = frozenset({"accepted", "running", "adopted", "finished", "failed"})


class Judgement(NamedTuple):
    """What a step writes: the job's columns, changes by attempt number, callbacks read, callbacks postponed."""

    state: State
    current: int
    alarm: str
    changes: tuple[tuple[int, tuple[tuple[str, Any], ...]], ...]
    read: tuple[int, ...]
    postponed: tuple[int, ...]


@cache
def judge(
    state: State, current: int, rows: tuple[tuple[Any, ...], ...], facts: Any, late: bool, risk: bool
) -> Judgement:
    """`decide` on rows of (outcome, sent, task, lost, age, callback). `risk`: on_unconfirmed is resubmit."""
    case = _case(state, current, rows, late, risk)
    known = {n: _real(n, word) for n, word in facts.words if word}
    video = {"attempt": facts.words[0][0]} if facts.words and facts.words[0][1] == "stored" else {}
    outcome = decide(case, Facts(known, facts.read, video=video, trouble=facts.trouble), now=NOW, rules=_rules())
    left = tuple(x.id for x in case.unread if x.id not in facts.read)
    return _judgement(state, current, outcome, facts.read, left if facts.trouble else ())


def _judgement(
    state: State, current: int, outcome: Outcome, read: tuple[int, ...] = (), postponed: tuple[int, ...] = ()
) -> Judgement:
    for move in outcome.moves:
        state = next_state(state, move.event)
    alarm = "none" if outcome.alarm_at is None else "now" if outcome.alarm_at <= NOW else "later"
    changes = tuple((n, _abstract(said)) for n, said in sorted(outcome.facts.attempts.items()))
    return Judgement(state, outcome.job.get("attempt", current), alarm, changes, read, postponed)


@cache
def settle(state: State, current: int, rows: tuple[tuple[Any, ...], ...], n: int, late: bool, risk: bool) -> Judgement:
    """What a person's word that attempt `n` was not made comes to."""
    case = _case(state, current, rows, late, risk)
    return _judgement(state, current, settling.not_made(case, case.attempts[n], {}, NOW, _rules()))


@cache
def what_it_says(word: str) -> tuple[tuple[str, Any], ...]:
    """A word as changes of a row of the model."""
    return _abstract(_real(0, word))


@cache
def next_number(current: int, rows: tuple[tuple[Any, ...], ...]) -> int:
    """The number of the attempt that a submit would make."""
    return planning.next_number(_case(State.QUEUED, current, rows, late=False, risk=False), PROVIDER)


def _real(n: int, word: str) -> dict[str, Any]:
    return WORDS[word] | ({"task_id": f"task {n}"} if word in NAMES_TASK else {})


def _abstract(said: Any) -> tuple[tuple[str, Any], ...]:
    """Changes of a real attempt's row as changes of the model's."""
    changes: dict[str, Any] = {}
    if "outcome" in said:
        changes["outcome"] = "rejected" if said.get("error_code") == "content_refused" else said["outcome"].value
    if "sending_at" in said:
        changes["sent"] = said["sending_at"] is not None
    if said.get("task_id"):
        changes |= {"task": True, "age": 0}  # accepted now: its life begins
    if "lost_at" in said:
        changes["lost"] = True
    return tuple(changes.items())


def _rules() -> Rules:
    def remaining(case: Case) -> list[str]:
        return [] if any(a.error_code == "content_refused" for a in case.attempts.values()) else [PROVIDER]

    return Rules(SETTINGS, PROVIDERS, remaining, jitter=lambda s: s)


def _case(state: State, current: int, rows: tuple[tuple[Any, ...], ...], late: bool, risk: bool) -> Case:
    attempts = {n: _attempt(n, *row[:5]) for n, row in enumerate(rows, 1)}
    callbacks = [
        KeptCallback(n, n, True, f"task {n}", NOW, NOW if row[5] == "read" else None, "evolink")
        for n, row in enumerate(rows, 1)
        if row[5]
    ]
    empty: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    job = {
        "id": "job",
        "state": state,
        "mode": "text-to-video",
        "request": {},
        "attempt": current,
        "overdue": False,
        "troubles": 0,
        "on_unconfirmed": "resubmit" if risk else "wait",
        "start_by": NOW - AGES[0] if late else NOW + AGES[2],
    }
    return Case(Job(**{**empty, **job}), attempts, tuple(callbacks))


def _attempt(n: int, outcome: str, sent: bool, task: bool, lost: bool, age: int) -> Attempt:
    at = NOW - AGES[age]
    empty: dict[str, Any] = dict.fromkeys(Attempt.__dataclass_fields__)
    known = {
        "number": n,
        "origin": Origin.ORDERED,
        "provider": PROVIDER,
        "with_callback": True,
        "request": {},
        "outcome": A.REFUSED if outcome == "rejected" else A(outcome),
        "task_id": f"task {n}" if task else None,
        "rejected_task_ids": [],
        "created_at": at,
        "sending_at": at if sent else None,
        "sends": int(sent),
        "lost_at": at if lost else None,
        "accepted_at": at if task else None,
        "error_code": "content_refused" if outcome == "rejected" else "rate_limited" if outcome == A.REFUSED else None,
        "error_retryable": True if outcome == A.FAILED else None,
    }
    return Attempt(**{**empty, **known})
