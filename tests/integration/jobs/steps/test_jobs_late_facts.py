"""What was learnt of a task that is not its order's any more: under the lease, or by a worker that slept past it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from benches import worker
from callback_bench import KEY, Knows, hear, look, lost
from rows import MINUTE, NOW, Rows

from jobs.intake import settling
from jobs.machine.changes import OF_TASK, AttemptChanges
from jobs.machine.outcome import About, Facts
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.client import Answered
from jobs.steps import reconciliation, step
from jobs.steps.step import conclude
from jobs.store import contests, hearsay, late_facts, spending
from jobs.store.leases import Lease
from jobs.store.tables import attempts, events

pytestmark = pytest.mark.both_databases

A = AttemptOutcome
REPORTS = {
    "processing": b'{"id": "x", "status": "processing"}',
    "completed": b'{"id": "x", "status": "completed", "results": ["https://files.evolink.ai/x.mp4"]}',
    "failed": b'{"id": "x", "status": "failed", "error": {"code": "service_error", "message": "no"}}',
}
# Another value than "nothing is known" for each of these columns.
OF_X: dict[str, Any] = {
    **dict.fromkeys(("adopted", "contested", "error_retryable"), True),
    **dict.fromkeys(("last_word", "news_by", "error_code", "error_message", "error_said"), "x"),
    **dict.fromkeys(("reported_credits", "reported_usd"), 7.0),
    **dict.fromkeys(("accepted_at", "last_unfinished_at", "finished_at", "closed_at"), NOW - MINUTE),
    **dict.fromkeys(("answered_at", "unanswered_since", "news_at"), NOW - MINUTE),
    "link": "https://cdn/x.mp4",
    "accepted_sha256": "x",
    "accepted_by": "key_x",
}
# What says nothing of a task, but of the order, or of what is asked about beside it.
OF_ORDER = {
    *("job_id", "number", "origin", "provider", "base_url", "account", "with_callback", "request", "created_at"),
    *("day", "estimated_credits", "estimated_usd", "estimate_exact", "reserved_micro_usd", "age_unknown"),
    *("sending_at", "sends", "lost_at", "outcome", "standing", "settled", "task_id", "rejected_task_ids"),
    *("named_task_id", "named_refused", "polls"),
    "unproven",  # its entries say of which task each is
}


def bring(rows: Rows, job_id: str, changes: AttemptChanges) -> None:
    rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({1: changes}), now=rows.now))


def answer_t(rows: Rows, job_id: str) -> None:
    """The answer to the order's own POST, from a worker that slept or from the journal."""
    bring(rows, job_id, {"task_id": "t"})


def told_x(rows: Rows) -> str:
    """A lost order that a callback told another order's task."""
    job_id = lost(rows)
    hear(rows, job_id, "x")
    return job_id


def bears_x(rows: Rows) -> str:
    """One that has taken it for its own, and is about to ask about it."""
    job_id = rows.job(State.GENERATING, alarm_at=NOW)
    rows.attempt(job_id, account=KEY.fingerprint, lost_at=NOW, accepted_at=NOW, task_id="x", adopted=True)
    hear(rows, job_id, "x")
    return job_id


class Meanwhile(Knows):
    """Says something of task x, and something else happens before its answer is there."""

    def __init__(self, said: bytes, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.said, self.meanwhile = said, meanwhile

    def ask(self, *_: Any, **__: Any) -> Any:
        self.meanwhile()
        return Answered(200, {}, self.said)


@pytest.mark.parametrize("is_zombie", [False, True], ids=["under the lease", "after it"])
@pytest.mark.parametrize(
    ("order", "word"),
    [(told_x, "processing"), (told_x, "completed"), (told_x, "failed"), (bears_x, "completed"), (bears_x, "failed")],
)
def test_what_was_learnt_of_anothers_task_is_not_written_on_the_true_one(
    rows: Rows, order: Callable[[Rows], str], word: str, is_zombie: bool
) -> None:
    job_id = order(rows)

    def meanwhile() -> None:
        answer_t(rows, job_id)
        if is_zombie:
            rows.now += 2 * MINUTE
            rows.lease(job_id, "B")

    gateway = Meanwhile(REPORTS[word], meanwhile)
    reconciliation.reconcile(job_id, worker(rows, gateway))
    case = rows.case(job_id)
    attempt = case.attempts[1]
    assert (attempt.task_id, attempt.adopted, attempt.outcome, attempt.link) == ("t", False, A.OPEN, None)
    assert (attempt.last_word, attempt.standing is Standing.REFUNDED) == (None, False)
    assert not attempt.rejected_task_ids
    assert [heard.task_id for heard in case.hearsay] == ["x"], "what was heard is forgotten"
    events = [event for event, *_ in rows.history(job_id)]
    assert "task_adopted" not in events
    is_told = "told_of_another" in events or "task_replaced" in events
    assert is_told, "nothing tells of the task that was asked about"
    assert case.unread, "nobody asks about the true one at once"


def test_that_the_true_task_was_found_by_hearsay_too_takes_nothing_from_its_proof(rows: Rows) -> None:
    job_id = told_x(rows)
    gateway = Meanwhile(REPORTS["processing"], lambda: bring(rows, job_id, {"task_id": "x"}))
    reconciliation.reconcile(job_id, worker(rows, gateway))
    attempt = rows.case(job_id).attempts[1]
    assert (attempt.task_id, attempt.adopted) == ("x", False)


def test_a_film_of_another_task_that_was_stored_meanwhile_is_not_called_the_true_ones(rows: Rows) -> None:
    job_id = rows.job(State.ARCHIVING, alarm_at=NOW)
    rows.attempt(job_id, task_id="x", adopted=True, outcome=A.FINISHED, standing=Standing.CHARGED)
    lease = rows.lease(job_id)
    answer_t(rows, job_id)
    stored: AttemptChanges = {"outcome": A.DELIVERED, "standing": Standing.CHARGED}
    conclude(lease, Facts({1: stored}, video={"attempt": 1, "sha256": "x"}), worker(rows, Knows()))
    case = rows.case(job_id)
    assert (case.attempts[1].task_id, case.attempts[1].outcome, case.job.sha256) == ("t", A.OPEN, None)
    assert case.job.state is State.GENERATING


def test_that_the_first_post_was_lost_says_nothing_once_its_answer_is_there(rows: Rows) -> None:
    job_id = rows.job(State.SUBMITTING)
    rows.attempt(job_id, standing=Standing.HELD)
    lease = rows.lease(job_id)
    answer_t(rows, job_id)
    rows.now += 2 * MINUTE
    rows.lease(job_id, "B")
    conclude(lease, Facts({1: {"standing": Standing.UNCERTAIN}}), worker(rows, Knows()))
    assert rows.case(job_id).attempts[1].standing is Standing.HELD


def test_what_was_refused_of_one_named_task_says_nothing_of_the_one_that_is_named_now(rows: Rows) -> None:
    job_id = lost(rows, named_task_id="x")

    def name_another() -> None:
        rows.write(lambda db: db.execute(sa.update(attempts).values(named_refused="it is none")))
        settling.name_task(job_id, 1, "t", rows.core)

    class Refuses(Knows):
        def ask(self, *_: Any, **__: Any) -> Answered:
            name_another()
            return Answered(404, {}, b'{"error": {"message": "no"}}')

    reconciliation.reconcile(job_id, worker(rows, Refuses()))
    attempt = rows.case(job_id).attempts[1]
    assert (attempt.named_task_id, attempt.named_refused) == ("t", None)


def test_what_others_have_rejected_meanwhile_stays_rejected(rows: Rows) -> None:
    job_id = lost(rows)
    facts = Facts({1: {"rejected_task_ids": ["x"]}}, about={1: About(None, None, None)})
    rows.write(lambda db: db.execute(sa.update(attempts).values(rejected_task_ids=["y"])))
    rows.write(lambda db: late_facts.bring_facts(db, job_id, facts, now=NOW))
    assert rows.case(job_id).attempts[1].rejected_task_ids == ["y", "x"]


@pytest.mark.parametrize("next_one", [{"created_at": NOW + MINUTE}, {"provider": "apiframe"}, {"account": "another"}])
def test_what_was_learnt_of_an_order_says_nothing_of_the_next_one_under_its_number(
    rows: Rows, next_one: dict[str, Any]
) -> None:
    """Nothing of the first was sent, or a callback has corrected where a forgotten one went."""
    job_id = told_x(rows)

    def meanwhile() -> None:
        rows.now += 2 * MINUTE
        rows.lease(job_id, "B")
        rows.write(lambda db: db.execute(sa.update(attempts).values(**next_one)))

    reconciliation.reconcile(job_id, worker(rows, Meanwhile(REPORTS["completed"], meanwhile)))
    attempt = rows.case(job_id).attempts[1]
    assert (attempt.task_id, attempt.outcome, attempt.last_word) == (None, A.OPEN, None)


@pytest.mark.parametrize("outcome", [A.OPEN, A.FINISHED])
def test_a_second_answer_takes_no_paid_tasks_place_and_a_person_hears_of_it(
    rows: Rows, outcome: AttemptOutcome
) -> None:
    """A backup that was put back has forgotten the first order, and another one bore its number."""
    job_id = rows.job(State.GENERATING if outcome is A.OPEN else State.ARCHIVING, alarm_at=NOW)
    rows.attempt(job_id, task_id="first", outcome=outcome, link="https://cdn/first.mp4")
    before = rows.case(job_id).attempts[1]
    answer_t(rows, job_id)
    case = rows.case(job_id)
    assert (case.attempts[1], case.job.flagged) == (before, "unknown_attempt")
    with rows.database.read() as db:
        said = db.execute(sa.select(events.c.detail).where(events.c.event == "late_answer")).scalar_one()
    assert said == {"task_id": "t"}


def test_every_column_of_an_order_is_its_tasks_or_its_own() -> None:
    assert {column.name for column in attempts.columns} == OF_TASK.keys() | OF_ORDER
    assert OF_X.keys() == OF_TASK.keys()


def _given_back(rows: Rows, job_id: str) -> None:
    bearer = rows.case(job_id).attempts[1]
    rows.write(lambda db: contests.give_back(db, bearer, "x", "it is another's", now=rows.now))


def _answered_under_a_lease(rows: Rows, job_id: str) -> None:
    lease: Lease = rows.lease(job_id)
    conclude(lease, Facts({1: {"task_id": "t"}}), worker(rows, Knows()))


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (_answered_under_a_lease, A.OPEN),
        *product((answer_t, _given_back), (A.OPEN, A.FINISHED, A.FAILED, A.UNDELIVERED)),
    ],
)
def test_what_is_known_of_a_task_goes_with_it(
    rows: Rows, change: Callable[[Rows, str], None], outcome: AttemptOutcome
) -> None:
    job_id = rows.job(State.GENERATING if outcome is A.OPEN else State.FAILED, alarm_at=NOW)
    known = {**OF_X, "task_id": "x", "outcome": outcome, "standing": Standing.CHARGED, "estimated_usd": 0.5}
    rows.attempt(job_id, lost_at=NOW, **known, reserved_micro_usd=7_000_000)
    rows.write(lambda db: spending.open_day(db, "evolink", "2026-03-04"))
    change(rows, job_id)
    attempt: Attempt = rows.case(job_id).attempts[1]
    kept = [name for name in OF_X if getattr(attempt, name) == OF_X[name]]
    assert not kept
    assert attempt.outcome is A.OPEN
    assert attempt.reserved_micro_usd == 500_000
    assert rows.write(lambda db: spending.spent_usd(db, "evolink", "2026-03-04")) == -6.5


def test_a_link_of_a_task_that_was_given_back_is_followed_for_no_other(rows: Rows) -> None:
    job_id = bears_x(rows)
    gateway = Meanwhile(REPORTS["completed"], lambda: None)
    resources = worker(rows, gateway)
    look(rows, job_id, resources)
    assert rows.case(job_id).attempts[1].link is not None
    answer_t(rows, job_id)
    assert (rows.case(job_id).attempts[1].task_id, rows.case(job_id).attempts[1].link) == ("t", None)


def test_a_contest_that_began_under_the_lease_is_seen_by_its_last_write(rows: Rows) -> None:
    """It begins on what was told of tasks, which moves without the job's version."""
    job_id = rows.job(State.GENERATING)
    rows.attempt(job_id, task_id="its own", adopted=True)
    rows.callback(job_id, task_id="another")
    lease = rows.lease(job_id)
    rows.write(lambda db: hearsay.contest(db, job_id, 1, "another"))
    conclude(lease, Facts(), worker(rows, Knows()))
    assert rows.case(job_id).job.flagged == contests.FLAG


def test_money_that_moved_under_the_lease_is_read_again(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another order, in a contest: without the job's version."""
    monkeypatch.setattr(step, "CONCLUDE_FOR_S", 1)
    job_id = rows.job(State.GENERATING)
    rows.attempt(job_id, task_id="its own", standing=Standing.REFUNDED)
    lease = rows.lease(job_id)
    rows.write(lambda db: db.execute(sa.update(attempts).values(standing=Standing.UNCERTAIN)))
    conclude(lease, Facts({1: {"standing": Standing.CHARGED}}), worker(rows, Knows()))
    assert rows.case(job_id).attempts[1].standing is Standing.CHARGED


def test_what_was_learnt_of_an_order_that_has_moved_since_touches_no_other(rows: Rows) -> None:
    """An answer has told the true task under the lease; what a callback told of is another order's alone."""
    job_id, other = rows.job(State.UNCONFIRMED), rows.job(State.GENERATING)
    rows.attempt(job_id)
    rows.attempt(other, task_id="told", adopted=True)
    lease = rows.lease(job_id)
    late = Facts({1: {"task_id": "its own", "accepted_at": NOW, "adopted": False}})
    rows.write(lambda db: late_facts.bring_facts(db, job_id, late, now=NOW))
    conclude(lease, Facts({1: {"task_id": "told", "adopted": True}}), worker(rows, Knows()))
    bearer = rows.case(other).attempts[1]
    assert (bearer.task_id, bearer.contested) == ("told", False)
    assert rows.case(job_id).attempts[1].task_id == "its own"
