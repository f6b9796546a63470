"""What must hold of the ends of tasks: when a job stops waiting for one, and what its gateway was asked before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sim_world import World

from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State

if TYPE_CHECKING:
    from sim_rows import AttemptRow, JobRow
    from sim_rules import Rules

A = AttemptOutcome
HOUR_S = 3_600
LONGEST_REST_S = 900  # of questions: so far are two tries apart
MARGIN_S = 2_400  # a lease that ran on, a sleep, a pause between two tries, and a round of the sweep
CLOCKS_DIFFER = timedelta(minutes=5, seconds=1)
STEP_S = 300  # between a question and the commit that rests on it


class Question(NamedTuple):
    """When one was asked, by the database's clock and by the world's, and the state that its answer named, if any."""

    asked_at: datetime
    is_answered: bool
    said: str | None
    at: float


class Lives:
    """What was asked about each task in one run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._questions: dict[tuple[str, str], list[Question]] = defaultdict(list)
        self._unreached: dict[str, list[datetime]] = defaultdict(list)  # when a gateway could not be asked, of whatever
        self.has_key: Callable[[str, str], bool] = lambda provider, account: True  # the service may still use it

    def asked(self, provider: str, task_id: str, asked_at: datetime, *, is_answered: bool, said: str | None) -> None:
        self._questions[provider, task_id].append(Question(asked_at, is_answered, said, self._world.now))

    def restored(self, taken_at: float) -> None:
        """What was answered since a backup was taken is known to nobody."""
        for questions in self._questions.values():
            questions[:] = [q._replace(said=None) if q.at > taken_at else q for q in questions]

    def unreached(self, provider: str, asked_at: datetime) -> None:
        self._unreached[provider].append(asked_at)

    def is_out_of_reach(self, provider: str, since: datetime) -> bool:
        """Whether questions about whichever tasks were tried in vain since then, for most of an hour."""
        tried = [asked_at for asked_at in self._unreached[provider] if asked_at >= since]
        return bool(tried) and max(tried) - min(tried) >= timedelta(seconds=HOUR_S - 2 * LONGEST_REST_S)

    def was_asked(self, provider: str, task_id: str) -> bool:
        return (provider, task_id) in self._questions

    def about(self, row: AttemptRow) -> list[Question]:
        return self._questions[row.provider, row.task_id or ""]


def check_end(rules: Rules, old: AttemptRow | None, row: AttemptRow, now: str) -> None:
    """An order's row has just been changed."""
    is_given_up = old is not None and old.is_open and row.outcome in (A.EXPIRED, A.UNDELIVERED)
    if is_given_up and row.task_id is None:
        check_heard_of(rules, row, now)
    if not is_given_up or row.task_id is None or row.accepted_at is None:
        return
    asked = rules.lives.about(row)
    if row.outcome == A.EXPIRED:
        last = asked[-1].said if asked and asked[-1].is_answered else None
        rules.check("finished-is-paid", last != "finished", f"{row.owner} is {row.outcome}; its gateway said finished")
    end = datetime.fromisoformat(row.accepted_at) + timedelta(seconds=2 * rules.settings.life_s)
    if row.outcome == A.UNDELIVERED:  # its link's life alone, which began after the order, by the gateway's clock
        end = datetime.fromisoformat(row.created_at) + timedelta(seconds=rules.settings.life_s) - CLOCKS_DIFFER
    since = [question for question in asked if question.asked_at >= end]
    hour_ago = datetime.fromisoformat(now) - timedelta(seconds=HOUR_S - STEP_S)
    in_vain = any(question.asked_at <= hour_ago for question in since)  # the clock may have been set back between two
    enough = any(question.is_answered for question in since) or in_vain
    enough = enough or rules.lives.is_out_of_reach(row.provider, end)
    rules.check(
        "asked-before-the-end",
        enough or not rules.lives.has_key(row.provider, row.account),
        f"{row.owner} is {row.outcome} at {now}; since the end of its life, {end}, {row.task_id} was asked {since}",
    )


def check_heard_of(rules: Rules, row: AttemptRow, now: str) -> None:
    """A lost order is given up: what callbacks told of it was asked about, whatever came before it."""
    told = rules.database.rows(
        "SELECT task_id FROM hearsay WHERE job_id = ? AND attempt = ? AND provider = ? AND heard_at < ?",
        *row.owner,
        row.provider,
        (datetime.fromisoformat(now) - timedelta(seconds=2 * HOUR_S)).isoformat(timespec="microseconds"),
    )
    unheard = [task_id for (task_id,) in told if not rules.lives.was_asked(row.provider, task_id)]
    has_key = rules.lives.has_key(row.provider, row.account)
    rules.check("heard-of", not (unheard and has_key), f"{row.owner} is given up; nobody has asked about {unheard}")


def check_in_time(rules: Rules, job: JobRow, calm_at: datetime, now: datetime) -> None:
    """At a look of the sweep, once the faults have stopped."""
    row = rules.attempts.get((job.id, job.attempt))
    if job.state != State.GENERATING or row is None or row.accepted_at is None:
        return
    over = max(datetime.fromisoformat(row.accepted_at) + timedelta(seconds=2 * rules.settings.life_s), calm_at)
    left = over + timedelta(seconds=HOUR_S + MARGIN_S) - now
    rules.check("ends-in-time", left > timedelta(), f"{job.id} is generating, and {row.task_id} cannot live any more")
