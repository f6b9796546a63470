"""Task ids that callbacks tell of, as whoever has an order's callback URL can: whose turn it is, and how often."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from benches import Pacer, worker
from callback_bench import Knows, hear, look, lost
from rows import HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered
from jobs.steps import reconciliation
from jobs.steps.resources import Resources
from jobs.store import callbacks, hearsay
from jobs.store.tables import jobs

pytestmark = pytest.mark.both_databases

KEY = Account("evolink", "https://gateway", "sk-1")
UNKNOWN = Answered(404, {}, b'{"error": {"message": "Task not found"}}')


@pytest.fixture
def gateway() -> Knows:
    return Knows()


@pytest.fixture
def resources(rows: Rows, gateway: Knows) -> Resources:
    return worker(rows, gateway)


def test_what_is_told_of_an_order_that_was_not_sent_is_read_once(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    job_id = lost(rows, outcome=AttemptOutcome.NOT_SENT, standing=Standing.NONE)
    rows.attempt(job_id, 2, account=KEY.fingerprint, lost_at=NOW)
    rows.write(lambda db: db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(attempt=2)))
    hear(rows, job_id, "made-up")
    look(rows, job_id, resources)
    assert rows.case(job_id).unread == ()


@pytest.mark.parametrize("made_up", [0, 2, 3, 32, 200])
def test_whatever_was_made_up_before_it_the_true_one_has_its_turn_at_once(
    rows: Rows, resources: Resources, gateway: Knows, made_up: int
) -> None:
    job_id = lost(rows)
    gateway.tasks = {"true"}
    for number in range(made_up):
        rows.now += SECOND
        hear(rows, job_id, f"made-up-{number}")
    rows.now += SECOND
    hear(rows, job_id, "true")
    look(rows, job_id, resources)
    case = rows.case(job_id)
    assert (case.job.state, case.attempts[1].task_id) == (State.GENERATING, "true")
    assert gateway.asked[0] == "true"
    assert case.unread == ()


def test_all_have_their_turn_and_then_each_a_pause_that_grows(rows: Rows, resources: Resources, gateway: Knows) -> None:
    job_id = lost(rows)
    hear(rows, job_id, *(f"made-up-{n}" for n in range(7)))
    while rows.now == NOW:
        look(rows, job_id, resources)
    assert sorted(gateway.asked[:7]) == sorted(f"made-up-{n}" for n in range(7))
    gaps = []
    for _ in range(40):
        before, asked = rows.now, len(gateway.asked)
        look(rows, job_id, resources)
        assert len(gateway.asked) - asked <= reconciliation.AT_ONCE
        gaps.append((rows.now - before).total_seconds())
    assert max(gaps) > 60
    assert rows.case(job_id).attempts[1].rejected_task_ids == []


def test_one_that_the_gateway_does_not_know_yet_is_found_later(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    """A callback can be ahead of what questions are told."""
    job_id = lost(rows)
    hear(rows, job_id, "early")
    for _ in range(5):
        look(rows, job_id, resources)
    assert rows.case(job_id).job.state is State.UNCONFIRMED
    gateway.tasks = {"early"}
    look(rows, job_id, resources)
    assert rows.case(job_id).attempts[1].task_id == "early"


def test_a_callback_that_tells_of_it_again_makes_us_ask_at_once(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    job_id = lost(rows)
    hear(rows, job_id, "t")
    look(rows, job_id, resources)
    gateway.asked.clear()
    rows.callback(job_id, b"other words", task_id="t")
    look(rows, job_id, resources)
    assert (gateway.asked, rows.now) == (["t"], NOW)


def test_where_the_gateway_is_silent_the_others_have_their_turn(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    job_id = lost(rows)
    hear(rows, job_id, *(f"t{n}" for n in range(5)))
    gateway.is_silent = True
    look(rows, job_id, resources)
    look(rows, job_id, resources)
    assert set(gateway.asked) == {f"t{n}" for n in range(5)}
    assert rows.case(job_id).unread != ()


def test_what_bears_the_gateways_signature_comes_first(
    rows: Rows, resources: Resources, gateway: Knows, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = lost(rows)
    hear(rows, job_id, "signed")
    rows.now += SECOND
    hear(rows, job_id, *(f"t{n}" for n in range(5)))
    with rows.database.read() as db:
        first = callbacks.unjudged(db, job_id, 1)[0]
    rows.write(lambda db: callbacks.judge(db, first.id, is_genuine=True))
    look(rows, job_id, resources)
    assert gateway.asked[0] == "signed"


def test_only_so_many_are_kept_and_each_once(rows: Rows) -> None:
    job_id = lost(rows)
    noted = [
        rows.write(lambda db, n=n: hearsay.note(db, job_id, 1, "evolink", f"t{n}", again=False, now=NOW))  # type: ignore[misc]
        for n in range(hearsay.MOST + 1)
    ]
    assert (sum(noted), noted[-1]) == (hearsay.MOST, False)
    assert not rows.write(lambda db: hearsay.note(db, job_id, 1, "evolink", "t0", again=False, now=NOW))
    assert rows.write(lambda db: hearsay.note(db, job_id, 2, "evolink", "t0", again=False, now=NOW))


@pytest.mark.parametrize(("adopted", "kept"), [(False, 0), (True, 1)])
def test_an_order_whose_post_was_answered_hears_nothing_and_one_that_was_told_its_task_may_hear_better(
    rows: Rows, adopted: bool, kept: int
) -> None:
    job_id = rows.job(State.GENERATING)
    rows.attempt(job_id, task_id="t", adopted=adopted, accepted_at=NOW)
    hear(rows, job_id, "other")
    assert len(rows.case(job_id).hearsay) == kept


def test_guesses_have_a_quarter_of_the_keys_budget(rows: Rows, resources: Resources, gateway: Knows) -> None:
    asked: list[tuple[float, str]] = []

    class Counts(Pacer):
        def slot(self, account: Any, per_s: float, *_: Any, only: str = "", **__: Any) -> float:
            asked.append((per_s, only))
            return 7.0 if only else 0

    resources.query_budget = Counts()  # type: ignore[assignment]
    job_id = lost(rows)
    hear(rows, job_id, "t")
    reconciliation.reconcile(job_id, resources)
    whole = resources.providers["evolink"].polling.budget_per_s
    assert asked == [(whole / 4, "guesses")]
    assert (gateway.asked, rows.case(job_id).job.alarm_at) == ([], NOW + 7 * SECOND)


def test_of_an_order_that_is_over_without_a_video_it_is_asked_about_while_the_task_can_live(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    job_id = rows.job(State.FAILED, alarm_at=None)
    over = {"outcome": AttemptOutcome.EXPIRED, "lost_at": NOW, "closed_at": NOW, "standing": Standing.UNCERTAIN}
    rows.attempt(job_id, account=KEY.fingerprint, **over)
    hear(rows, job_id, "t")
    for _ in range(4):
        look(rows, job_id, resources)
    assert (rows.case(job_id).job.state, len(gateway.asked)) == (State.FAILED, 4)
    gateway.tasks = {"t"}
    look(rows, job_id, resources)
    assert rows.case(job_id).attempts[1].task_id == "t"


class TestAnOrderThatNoRowKnows:
    def test_is_asked_about_for_an_hour_where_its_gateway_is_silent_and_its_job_is_not_ordered(
        self, rows: Rows, resources: Resources, gateway: Knows
    ) -> None:
        gateway.is_silent = True
        job_id = rows.job(start_by=NOW + 30 * HOUR)
        hear(rows, job_id, "t")
        while rows.case(job_id).unread:
            look(rows, job_id, resources)
            assert rows.case(job_id).job.state is State.QUEUED
            assert gateway.sent == 0
        assert HOUR <= rows.now - NOW <= HOUR + 11 * MINUTE
        assert ("unknown_order", None, None) in rows.history(job_id)

    def test_is_none_if_its_task_is_another_orders(self, rows: Rows, resources: Resources, gateway: Knows) -> None:
        gateway.tasks = {"t"}
        owner = rows.job(State.GENERATING, provider="evolink")
        rows.attempt(owner, account=KEY.fingerprint, task_id="t", accepted_at=NOW)
        job_id = rows.job()
        hear(rows, job_id, "t")
        look(rows, job_id, resources)
        assert rows.case(job_id).attempts == {}
        assert rows.case(job_id).unread == ()

    def test_is_none_if_its_task_is_older_than_the_job(
        self, rows: Rows, resources: Resources, gateway: Knows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = (NOW - HOUR).timestamp()
        told = Answered(200, {}, b'{"id": "t", "status": "processing", "created": %d}' % old)
        monkeypatch.setattr(gateway, "ask", lambda *_, **__: told)
        job_id = rows.job()
        hear(rows, job_id, "t")
        look(rows, job_id, resources)
        assert rows.case(job_id).attempts == {}

    def test_is_recognised_if_the_gateway_knows_its_task(
        self, rows: Rows, resources: Resources, gateway: Knows
    ) -> None:
        gateway.tasks = {"t"}
        job_id = rows.job()
        hear(rows, job_id, "made-up", "t")
        look(rows, job_id, resources)
        case = rows.case(job_id)
        assert (case.job.state, case.attempts[1].task_id, case.unread) == (State.GENERATING, "t", ())
        assert gateway.sent == 0

    def test_of_an_ended_job_is_asked_about_as_well(self, rows: Rows, resources: Resources, gateway: Knows) -> None:
        job_id = rows.job(State.CANCELLED, alarm_at=None, attempt=0)
        gateway.is_silent = True
        hear(rows, job_id, "t")
        look(rows, job_id, resources)
        gateway.is_silent, gateway.tasks = False, {"t"}
        look(rows, job_id, resources)
        assert rows.case(job_id).attempts[1].task_id == "t"
