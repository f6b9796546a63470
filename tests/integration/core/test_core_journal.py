"""An answer to a POST outlives a database that is away, a killed worker and a full disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from workshop import RUN, Workshop

from jobs.machine.rows import AttemptOutcome, Origin, Standing
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.reports import attention
from jobs.reports.attention_items import Looking
from jobs.steps import late_answers, submission
from jobs.store import journal, tables
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.journal import Journal

pytestmark = pytest.mark.both_databases  # late news and steps meet on the rows

SILENT = ("easyrouter", "gravitex")  # they call nobody back


class Away:
    """A database that can be cut off from one worker, whose waiting then takes no time."""

    def __init__(self, workshop: Workshop) -> None:
        self.is_away = False
        self._now = 0.0
        self.resources = workshop.another_worker(
            database=_Cut(workshop.database, self),
            monotonic=lambda: self._now,
            pause=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        self._now += seconds


class _Cut:
    def __init__(self, real: Database, cut: Away) -> None:
        self._real, self._cut = real, cut

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextlib.contextmanager
    def write(self) -> Iterator[Any]:
        if self._cut.is_away:
            raise DatabaseUnavailable("connection refused")
        with self._real.write() as db:
            yield db


@pytest.fixture
def away(workshop: Workshop) -> Away:
    return Away(workshop)


@pytest.fixture
def later(workshop: Workshop) -> Iterator[list[float]]:
    """The journal's clock; entries are as old as a test says."""
    clock = [1000.0]
    folder = workshop.resources.journal._folder
    workshop.resources.journal = Journal(folder, clock=lambda: clock[0])
    yield clock
    assert not list(folder.glob("*.draft"))


Answered = Callable[[str], str]


@pytest.fixture
def answered(workshop: Workshop, away: Away, later: list[float], monkeypatch: pytest.MonkeyPatch) -> Answered:
    """Orders; with the answer the database goes away, for longer than anybody waits for it. Gives the job's id."""
    read_answer = submission.read_answer

    def cut(*args: Any) -> Any:
        away.is_away = True
        return read_answer(*args)

    def order(provider: str) -> str:
        job_id = workshop.create(provider=provider)
        away.resources.journal = workshop.resources.journal
        with monkeypatch.context() as patched:
            patched.setattr(submission, "read_answer", cut)
            with pytest.raises(DatabaseUnavailable):
                RUN["jobs.submit"](job_id, away.resources)
        away.is_away = False
        case = workshop.case(job_id)
        assert (case.job.state, case.attempts[1].task_id) == (State.SUBMITTING, None)
        return job_id

    return order


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_a_task_that_was_paid_while_the_database_was_away_is_known_once_it_is_back(
    workshop: Workshop, answered: Answered, later: list[float], sandbox: Any, provider: str
) -> None:
    job_id = answered(provider)
    assert late_answers.bring(workshop.resources) == 0, "its writer has a little time to write it himself"
    later[0] += 60
    assert late_answers.bring(workshop.resources) == 1
    [task] = sandbox.tasks(provider)
    attempt = workshop.case(job_id).attempts[1]
    assert (attempt.task_id, attempt.accepted_at) == (task["task_id"], attempt.sending_at)
    assert workshop.history(job_id).count("answered") == 1, "what was answered proves the order"
    assert late_answers.bring(workshop.resources) == 0


def test_the_thread_that_waits_for_the_database_is_free_after_half_a_minute(
    workshop: Workshop, answered: Answered, away: Away
) -> None:
    answered("evolink")
    assert 30 <= away.resources.monotonic() <= 33


@pytest.mark.parametrize("provider", SILENT)
def test_a_lost_job_comes_home_by_its_journal_alone(
    workshop: Workshop, answered: Answered, later: list[float], sandbox: Any, provider: str
) -> None:
    job_id = answered(provider)
    expire_lease(workshop, job_id)
    RUN["jobs.lose"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.UNCONFIRMED
    later[0] += 60
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].standing is Standing.CHARGED
    assert len(sandbox.tasks(provider)) == 1


def expire_lease(workshop: Workshop, job_id: str) -> None:
    with workshop.database.write() as db:
        past = workshop.database.clock(db) - timedelta(seconds=1)
        db.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(leased_until=past, alarm_at=past))


class Killed(BaseException):
    """As kill -9 in the middle of a step."""


def test_a_worker_killed_between_the_answer_and_its_first_write_leaves_it_behind(
    workshop: Workshop, later: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    job_id = workshop.create(provider="gravitex")
    with monkeypatch.context() as patched:
        patched.setattr(submission, "count", die)
        with pytest.raises(Killed):
            RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.case(job_id).attempts[1].task_id is None
    expire_lease(workshop, job_id)
    later[0] += 60
    workshop.until(job_id, State.ARCHIVED)


def test_what_was_written_leaves_nothing_behind(workshop: Workshop, later: list[float]) -> None:
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    assert list(workshop.resources.journal._folder.iterdir()) == []


def test_where_the_disk_is_full_the_log_has_the_id_and_the_job_goes_on(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Any
) -> None:
    (tmp_path / "full").write_text("")
    monkeypatch.setattr(journal, "log", structlog.get_logger())  # one that no earlier test has bound to its own output
    workshop.resources.journal = Journal(tmp_path / "full" / "journal")
    job_id = workshop.create(provider="gravitex")
    with structlog.testing.capture_logs() as logged:
        RUN["jobs.submit"](job_id, workshop.resources)
    [task] = sandbox.tasks("gravitex")
    assert task["task_id"] in [line.get("task_id") for line in logged if line["event"] == "answer_not_in_journal"]
    assert workshop.case(job_id).attempts[1].task_id == task["task_id"]


def test_what_a_full_disk_and_a_database_that_is_away_both_refuse_is_brought_by_the_process_that_was_answered(
    workshop: Workshop, answered: Answered, later: list[float], tmp_path: Path, sandbox: Any
) -> None:
    (tmp_path / "full").write_text("")
    workshop.resources.journal = Journal(tmp_path / "full" / "journal", clock=lambda: later[0])
    job_id = answered("gravitex")
    later[0] += 60
    assert late_answers.bring(workshop.resources) == 1
    [task] = sandbox.tasks("gravitex")
    assert workshop.case(job_id).attempts[1].task_id == task["task_id"]
    assert late_answers.bring(workshop.resources) == 0


def test_an_acceptance_opens_an_order_that_was_given_up_meanwhile(
    workshop: Workshop, answered: Answered, later: list[float]
) -> None:
    job_id = answered("gravitex")
    with workshop.database.write() as db:
        over = {"outcome": AttemptOutcome.EXPIRED.value, "standing": Standing.UNCERTAIN.value}
        db.execute(sa.update(tables.attempts).values(**over, closed_at=workshop.database.clock(db)))
        failed = {"state": State.FAILED.value, "lease_holder": None, "leased_until": None, "alarm_at": None}
        db.execute(sa.update(tables.jobs).values(**failed, error_code="submit_unconfirmed"))
    later[0] += 60
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].standing is Standing.CHARGED


@pytest.mark.parametrize(("sends", "outcome"), [(1, AttemptOutcome.REFUSED), (2, AttemptOutcome.OPEN)])
def test_a_refusal_counts_only_if_no_later_post_has_left(
    workshop: Workshop, answered: Answered, later: list[float], sandbox: Any, sends: int, outcome: AttemptOutcome
) -> None:
    sandbox.fault("apiframe", "refuse", status=429)
    job_id = answered("apiframe")
    with workshop.database.write() as db:
        db.execute(sa.update(tables.attempts).values(sends=sends))
    later[0] += 60
    late_answers.bring(workshop.resources)
    assert workshop.case(job_id).attempts[1].outcome is outcome


def test_what_was_not_told_of_an_order_says_nothing_once_its_task_is_known(
    workshop: Workshop, answered: Answered, later: list[float], sandbox: Any
) -> None:
    sandbox.fault("gravitex", "lose_answer", how="502")
    job_id = answered("gravitex")
    [task] = sandbox.tasks("gravitex")
    change_attempt(workshop, task_id=task["task_id"], adopted=True, standing=Standing.HELD.value)  # by its callback
    later[0] += 60
    assert late_answers.bring(workshop.resources) == 1
    attempt = workshop.case(job_id).attempts[1]
    assert (attempt.task_id, attempt.standing) == (task["task_id"], Standing.HELD)


@pytest.mark.parametrize("told", ["its own", "another"])
def test_what_a_callback_had_told_already_is_proven_by_the_answer_or_gives_way_to_it(
    workshop: Workshop, answered: Answered, later: list[float], sandbox: Any, told: str
) -> None:
    job_id = answered("evolink")
    [task] = sandbox.tasks("evolink")
    change_attempt(workshop, task_id=task["task_id"] if told == "its own" else "t-9", adopted=True)
    later[0] += 60
    late_answers.bring(workshop.resources)
    attempt = workshop.case(job_id).attempts[1]
    assert (attempt.task_id, attempt.adopted) == (task["task_id"], False)


def change_attempt(workshop: Workshop, **columns: Any) -> None:
    with workshop.database.write() as db:
        db.execute(sa.update(tables.attempts).values(**columns))


def test_twice_is_once(workshop: Workshop, later: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer died after the commit and before it could drop it."""
    monkeypatch.setattr(Journal, "drop", lambda *_: None)
    job_id = workshop.create(provider="gravitex")
    workshop.until(job_id, State.ARCHIVED)
    before = workshop.case(job_id)
    later[0] += 60
    assert late_answers.bring(workshop.resources) == 1
    assert workshop.case(job_id) == before


@pytest.mark.parametrize("elsewhere", [False, True])
def test_one_of_an_order_that_nobody_remembers_has_its_row_again_beside_whatever_bears_its_number(
    workshop: Workshop, answered: Answered, later: list[float], sandbox: Any, tmp_path: Path, elsewhere: bool
) -> None:
    """Its own worker does not order again what its journal knows; another one cannot know."""
    job_id = answered("gravitex")
    [task] = sandbox.tasks("gravitex")
    with workshop.database.write() as db:
        db.execute(sa.delete(tables.attempts))
        fresh = {"state": State.QUEUED.value, "attempt": 0, "lease_holder": None, "leased_until": None}
        db.execute(sa.update(tables.jobs).values(**fresh))
    other = workshop.another_worker(journal=Journal(tmp_path / "elsewhere"))
    RUN["jobs.submit"](job_id, other if elsewhere else workshop.resources)
    later[0] += 60
    for _ in range(2):
        late_answers.bring(workshop.resources)
    case = workshop.until(job_id, State.ARCHIVED)
    [row] = [a for a in case.attempts.values() if a.task_id == task["task_id"]]
    assert (row.number, row.origin, row.adopted) == (1 + elsewhere, Origin.FORGOTTEN, False)
    assert len(sandbox.tasks("gravitex")) == len(case.attempts) == 1 + elsewhere


def test_one_of_a_job_that_nobody_knows_is_shown_to_a_person(
    workshop: Workshop, answered: Answered, later: list[float]
) -> None:
    job_id = answered("gravitex")
    with workshop.database.write() as db:
        for table in (tables.events, tables.attempts, tables.jobs):
            db.execute(sa.delete(table))
    later[0] += 60
    assert late_answers.bring(workshop.resources) == 1
    with workshop.database.read() as db:
        looking = Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        assert ("unknown_job", job_id) in [(item.reason, item.job_id) for item in attention.items(db, looking)]


def test_an_entry_that_cannot_be_read_is_set_aside_and_keeps_no_other_back(
    workshop: Workshop, answered: Answered, later: list[float]
) -> None:
    answered("gravitex")
    folder = workshop.resources.journal._folder
    (folder / "broken.json").write_text('{"kept_at": 1, "answer": {')
    later[0] += 60
    assert late_answers.bring(workshop.resources) == 1
    assert [path.name for path in folder.iterdir()] == ["broken.unreadable"]


def test_one_that_cannot_be_brought_keeps_no_other_back_and_is_tried_again(
    workshop: Workshop, answered: Answered, later: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = answered("gravitex"), answered("easyrouter")
    later[0] += 60
    bring_facts = late_answers.late_facts.bring_facts

    def stumble(db: Any, job_id: str, *args: Any, **named: Any) -> None:
        if job_id == first:
            raise ValueError
        bring_facts(db, job_id, *args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(late_answers.late_facts, "bring_facts", stumble)
        assert late_answers.bring(workshop.resources) == 1
    assert workshop.case(second).attempts[1].task_id
    assert late_answers.bring(workshop.resources) == 1
    assert workshop.case(first).attempts[1].task_id
