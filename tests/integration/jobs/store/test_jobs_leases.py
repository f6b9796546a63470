"""Claims, last writes, news and facts: the guarded writes, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from rows import ACCOUNT, DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.errors import IllegalTransition, UnknownJob
from jobs.intake import settling
from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Move, Note, Outcome
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import Event, State
from jobs.store import attempt_rows, cases, due, hearsay, history, late_facts, leases, spending, tables
from jobs.store.leases import Lease
from jobs.store.tables import attempts, events, jobs, notices

pytestmark = pytest.mark.both_databases

A = AttemptOutcome


def hold(rows: Rows, job_id: str) -> str | None:
    return rows.case(job_id).job.lease_holder


def version(rows: Rows, job_id: str) -> int:
    return rows.case(job_id).job.version


def finish(rows: Rows, lease: Lease, outcome: Outcome | None = None, **more: Any) -> bool:
    done = outcome or Outcome(alarm_at=rows.now + MINUTE)
    return rows.write(lambda db: leases.finish_step(db, lease, done, now=rows.now, **more))


def bring(rows: Rows, job_id: str, changes: Mapping[str, Any], number: int = 1) -> None:
    rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({number: changes}), now=rows.now))


def news(rows: Rows, job_id: str) -> bool:
    return rows.write(lambda db: leases.bring_news(db, job_id, now=rows.now))


def test_an_unknown_job_cannot_be_read(rows: Rows) -> None:
    with pytest.raises(UnknownJob, match="job_none"):
        rows.case("job_none")


@pytest.mark.parametrize(("told", "was", "becomes"), [("another", False, True), ("its own", True, False)])
def test_what_was_told_of_tasks_moves_without_the_version_and_is_read_again(
    rows: Rows, told: str, was: bool, becomes: bool
) -> None:
    job_id = rows.job(State.GENERATING)
    rows.attempt(job_id, task_id="its own", adopted=True)
    rows.callback(job_id, task_id=told)
    rows.write(lambda db: hearsay.contest(db, job_id, 1, told, is_contested=was))
    seen = rows.case(job_id)
    rows.write(lambda db: hearsay.contest(db, job_id, 1, told, is_contested=becomes))
    lease = rows.claim(job_id, case=seen)
    assert lease is not None
    assert [each.is_contested for each in lease.case.hearsay] == [becomes]


class TestClaim:
    def test_it_takes_the_lease_raises_the_version_and_leaves_the_alarm(self, rows: Rows) -> None:
        job_id = rows.job()
        lease = rows.lease(job_id)
        job = rows.case(job_id).job
        assert (job.lease_holder, job.leased_until) == ("A", NOW + 90 * SECOND)
        assert (job.alarm_at, job.version) == (NOW, 1)
        assert lease.case == rows.case(job_id)

    def test_a_second_claim_of_the_same_reading_comes_too_late(self, rows: Rows) -> None:
        job_id = rows.job()
        seen = rows.case(job_id)
        assert rows.claim(job_id, "A", case=seen)
        assert rows.claim(job_id, "B", case=seen) is None
        assert hold(rows, job_id) == "A"

    def test_a_second_claim_of_a_fresh_reading_finds_it_held(self, rows: Rows) -> None:
        job_id = rows.job()
        rows.lease(job_id)
        assert rows.claim(job_id, "B") is None

    def test_of_twenty_claims_at_once_one_wins(self, rows: Rows) -> None:
        job_id = rows.job()
        seen = rows.case(job_id)
        with ThreadPoolExecutor(20) as pool:
            won = list(pool.map(lambda n: rows.claim(job_id, f"w{n}", case=seen), range(20)))
        assert sum(lease is not None for lease in won) == 1
        assert version(rows, job_id) == 1

    def test_a_lease_that_has_run_out_can_be_claimed(self, rows: Rows) -> None:
        job_id = rows.job()
        rows.lease(job_id)
        rows.now += 90 * SECOND
        assert rows.claim(job_id, "B")
        assert hold(rows, job_id) == "B"

    def test_a_lease_that_was_pushed_after_the_reading_cannot(self, rows: Rows) -> None:
        job_id = rows.job()
        lease = rows.lease(job_id)
        rows.now += 90 * SECOND
        seen = rows.case(job_id)  # the lease has run out, and a push raises no version
        assert rows.write(lambda db: leases.renew_lease(db, lease, lease_s=90, now=rows.now))
        assert rows.claim(job_id, "B", case=seen) is None

    def test_a_claim_may_move_the_job_in_the_same_breath(self, rows: Rows) -> None:
        job_id = rows.job()
        outcome = Outcome(alarm_at=NOW, moves=(Move(Event.CLAIM, 1),), job={"attempt": 1})
        lease = rows.write(
            lambda db: leases.claim(db, cases.read_case(db, job_id), holder="A", lease_s=90, now=NOW, outcome=outcome)
        )
        assert lease is not None
        assert lease.job.state is State.SUBMITTING
        assert rows.history(job_id)[-1] == ("claim", "queued", "submitting")


class TestDue:
    def test_a_job_is_due_when_its_alarm_has_rung_and_nobody_holds_it(self, rows: Rows) -> None:
        job = rows.case(rows.job()).job
        assert due.is_due(job, now=NOW)
        assert not due.is_due(replace(job, alarm_at=NOW + SECOND), now=NOW)
        assert not due.is_due(replace(job, alarm_at=None), now=NOW)
        assert not due.is_due(replace(job, lease_holder="A", leased_until=NOW + SECOND), now=NOW)
        assert due.is_due(replace(job, lease_holder="A", leased_until=NOW), now=NOW)

    def test_a_row_from_the_future_is_due_because_the_clock_was_set_back(self, rows: Rows) -> None:
        job = rows.case(rows.job()).job
        future = replace(job, updated_at=NOW + HOUR, alarm_at=NOW + HOUR, lease_holder="A", leased_until=NOW + 2 * HOUR)
        assert due.is_due(future, now=NOW)
        assert not due.is_due(replace(future, alarm_at=None), now=NOW)
        assert not due.is_due(replace(future, updated_at=NOW + 2 * SECOND), now=NOW)

    def test_and_it_can_be_claimed(self, rows: Rows) -> None:
        job_id = rows.job(updated_at=NOW + HOUR, lease_holder="A", leased_until=NOW + 2 * HOUR)
        assert rows.claim(job_id, "B")


class TestFinishStep:
    def test_it_lets_go_of_the_lease_sets_the_alarm_and_raises_the_version(self, rows: Rows) -> None:
        job_id = rows.job()
        lease = rows.lease(job_id)
        assert finish(rows, lease)
        job = rows.case(job_id).job
        assert (job.lease_holder, job.leased_until, job.alarm_at, job.version) == (None, None, NOW + MINUTE, 2)

    def test_it_fails_when_news_has_come(self, rows: Rows) -> None:
        job_id = rows.job()
        lease = rows.lease(job_id)
        assert news(rows, job_id)
        assert not finish(rows, lease)
        job = rows.case(job_id).job
        assert (job.lease_holder, job.alarm_at) == ("A", NOW)

    def test_read_again_it_succeeds(self, rows: Rows) -> None:
        job_id = rows.job()
        lease = rows.lease(job_id)
        news(rows, job_id)
        again = rows.write(lambda db: leases.reread(db, lease))
        assert again is not None
        assert finish(rows, again)

    def test_a_failed_last_write_leaves_no_trace(self, rows: Rows) -> None:
        job_id = rows.job(State.SUBMITTING)
        rows.attempt(job_id)
        lease = rows.lease(job_id)
        news(rows, job_id)
        before = rows.case(job_id), rows.history(job_id)
        outcome = Outcome(
            alarm_at=None,
            moves=(Move(Event.ACCEPT, 1),),
            facts=Facts({1: {"task_id": "t"}}, notes=(Note("said", 1),)),
        )
        assert not finish(rows, lease, outcome)
        assert (rows.case(job_id), rows.history(job_id)) == before

    def test_a_zombies_late_write_does_not_free_anothers_lease(self, rows: Rows) -> None:
        job_id = rows.job()
        zombie = rows.lease(job_id, "A")
        rows.now += 2 * MINUTE
        rows.lease(job_id, "B")
        assert not finish(rows, zombie)
        assert not finish(rows, replace(zombie, case=rows.case(job_id)))  # even had it read the row afresh
        assert rows.write(lambda db: leases.reread(db, zombie)) is None
        job = rows.case(job_id).job
        assert (job.lease_holder, job.leased_until) == ("B", rows.now + 90 * SECOND)

    def test_a_lease_that_ran_out_is_still_ours_while_nobody_took_it(self, rows: Rows) -> None:
        lease = rows.lease(rows.job())
        rows.now += HOUR
        assert finish(rows, lease)

    def test_the_lease_may_be_kept(self, rows: Rows) -> None:
        job_id = rows.job()
        assert finish(rows, rows.lease(job_id), keep_lease=True)
        assert (hold(rows, job_id), version(rows, job_id)) == ("A", 2)

    def test_moves_write_their_history_in_order(self, rows: Rows) -> None:
        job_id = rows.job(State.SUBMITTING)
        rows.attempt(job_id)
        moves = (Move(Event.LOSE, 1), Move(Event.FINISH, 1, {"by": "callback"}))
        assert finish(rows, rows.lease(job_id), Outcome(alarm_at=NOW, moves=moves))
        assert rows.case(job_id).job.state is State.ARCHIVING
        assert rows.history(job_id)[1:] == [
            ("lose", "submitting", "unconfirmed"),
            ("finish", "unconfirmed", "archiving"),
        ]

    def test_a_move_off_the_table_is_refused(self, rows: Rows) -> None:
        job_id = rows.job(State.ARCHIVED, alarm_at=NOW)
        lease = rows.lease(job_id)
        with pytest.raises(IllegalTransition):
            finish(rows, lease, Outcome(alarm_at=None, moves=(Move(Event.CANCEL, 1),)))
        assert rows.case(job_id).job.state is State.ARCHIVED

    def test_an_end_is_dated_and_a_way_back_undates_it(self, rows: Rows) -> None:
        job_id = rows.job(State.GENERATING)
        rows.attempt(job_id)
        finish(rows, rows.lease(job_id), Outcome(alarm_at=NOW, moves=(Move(Event.FAIL, 1),)))
        assert rows.case(job_id).job.ended_at == NOW
        finish(rows, rows.lease(job_id), Outcome(alarm_at=NOW, moves=(Move(Event.PROVE, 1),)))
        assert rows.case(job_id).job.ended_at is None

    def test_callbacks_are_read_with_the_step_that_served_them(self, rows: Rows) -> None:
        job_id = rows.job(State.GENERATING)
        rows.attempt(job_id)
        rows.callback(job_id, b"1")
        lease = rows.lease(job_id)
        (first,) = lease.case.unread
        rows.callback(job_id, b"2")
        again = rows.write(lambda db: leases.reread(db, lease))
        assert again is not None
        assert finish(rows, again, Outcome(alarm_at=NOW, facts=Facts(read=(first.id,))))
        assert [x.read_at is None for x in rows.case(job_id).callbacks] == [False, True]


class TestNews:
    def test_it_sets_the_alarm_to_now_and_never_touches_a_lease(self, rows: Rows) -> None:
        job_id = rows.job(alarm_at=NOW + DAY)
        rows.lease(job_id)
        assert news(rows, job_id)
        job = rows.case(job_id).job
        assert (job.alarm_at, job.lease_holder, job.leased_until) == (NOW, "A", NOW + 90 * SECOND)
        assert job.version == 2

    def test_it_wakes_nobody_whose_alarm_is_null(self, rows: Rows) -> None:
        job_id = rows.job(State.ARCHIVED, alarm_at=None)
        assert not news(rows, job_id)
        assert rows.case(job_id).job.version == 0

    def test_nor_a_job_that_is_not_here(self, rows: Rows) -> None:
        assert not news(rows, "job_none")


class TestHold:
    def test_pushing_keeps_it_and_is_no_news(self, rows: Rows) -> None:
        job_id = rows.job()
        lease = rows.lease(job_id)
        rows.now += MINUTE
        assert rows.write(lambda db: leases.renew_lease(db, lease, lease_s=90, now=rows.now))
        job = rows.case(job_id).job
        assert (job.leased_until, job.version) == (NOW + 150 * SECOND, 1)
        assert finish(rows, lease)

    def test_pushing_a_lost_one_fails(self, rows: Rows) -> None:
        job_id = rows.job()
        zombie = rows.lease(job_id)
        rows.now += 2 * MINUTE
        rows.lease(job_id, "B")
        assert not rows.write(lambda db: leases.renew_lease(db, zombie, lease_s=90, now=rows.now))
        assert rows.case(job_id).job.leased_until == rows.now + 90 * SECOND

    def test_an_unleased_write_is_refused_while_somebody_holds(self, rows: Rows) -> None:
        job_id = rows.job(State.SUBMITTING)
        rows.attempt(job_id)
        rows.lease(job_id)
        outcome = Outcome(alarm_at=NOW, moves=(Move(Event.LOSE, 1),))
        seen = rows.case(job_id)
        assert not rows.write(lambda db: leases.move_unleased(db, seen, outcome, now=rows.now))
        rows.now += 90 * SECOND
        assert rows.write(lambda db: leases.move_unleased(db, seen, outcome, now=rows.now))
        assert rows.case(job_id).job.state is State.UNCONFIRMED
        assert hold(rows, job_id) is None

    def test_postponing_needs_an_unmoved_and_unleased_row(self, rows: Rows) -> None:
        job_id = rows.job()
        seen = rows.case(job_id).job

        def postpone() -> bool:
            return rows.write(lambda db: leases.postpone(db, seen, until=NOW + HOUR, now=NOW, flagged="full"))

        rows.lease(job_id)
        assert not postpone()
        seen = rows.case(job_id).job
        assert not postpone()
        finish(rows, Lease(rows.case(job_id), "A"))
        seen = rows.case(job_id).job
        assert postpone()
        assert (rows.case(job_id).job.alarm_at, rows.case(job_id).job.flagged) == (NOW + HOUR, "full")


class TestMarkSending:
    @pytest.fixture
    def job_id(self, rows: Rows) -> str:
        job_id = rows.job(State.SUBMITTING)
        rows.attempt(job_id, sending_at=None, sends=0)
        return job_id

    def mark(self, rows: Rows, lease: Lease) -> bool:
        return rows.write(lambda db: leases.mark_sending(db, lease, 1, lease_s=90, now=rows.now))

    def test_it_says_so_pushes_the_lease_and_raises_the_version(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        rows.now += 10 * SECOND
        assert self.mark(rows, lease)
        case = rows.case(job_id)
        assert (case.attempts[1].sending_at, case.attempts[1].sends) == (rows.now, 1)
        assert (case.job.leased_until, case.job.version) == (rows.now + 90 * SECOND, 2)

    def test_whoever_has_read_that_nothing_was_sent_must_read_again(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        rows.now += 89 * SECOND
        seen = rows.case(job_id)
        assert self.mark(rows, lease)
        rows.now += 2 * MINUTE  # the lease has run out
        outcome = decide(seen, Facts(), now=rows.now, rules=rows.rules)
        assert [move.event for move in outcome.moves] == [Event.DEFER]
        assert not rows.write(lambda db: leases.move_unleased(db, seen, outcome, now=rows.now))

    def test_it_is_refused_once_the_lease_has_run_out(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        rows.now += 90 * SECOND
        assert not self.mark(rows, lease)
        assert rows.case(job_id).attempts[1].sending_at is None

    def test_it_is_refused_once_news_has_come_since_the_claim(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        rows.callback(job_id, task_id="task-of-an-earlier-order")
        assert not self.mark(rows, lease)
        assert rows.case(job_id).attempts[1].sending_at is None

    def test_it_is_refused_when_the_lease_is_anothers(self, rows: Rows, job_id: str) -> None:
        zombie = rows.lease(job_id)
        rows.now += 90 * SECOND
        rows.lease(job_id, "B")
        assert not self.mark(rows, zombie)
        assert rows.case(job_id).attempts[1].sends == 0


class TestFactsOfALostHold:
    """What was learnt without a lease is written on the attempt's row and brought as news."""

    def test_an_open_attempt_takes_every_word(self, rows: Rows) -> None:
        job_id = rows.job(State.UNCONFIRMED, alarm_at=NOW + DAY)
        rows.attempt(job_id)
        bring(rows, job_id, {"task_id": "t", "standing": Standing.HELD})
        case = rows.case(job_id)
        assert (case.attempts[1].task_id, case.attempts[1].accepted_at) == ("t", NOW)
        assert (case.job.alarm_at, case.job.version) == (NOW, 1)

    def test_it_never_touches_a_lease(self, rows: Rows) -> None:
        job_id = rows.job(State.UNCONFIRMED)
        rows.attempt(job_id)
        rows.lease(job_id, "B")
        bring(rows, job_id, {"task_id": "t"})
        assert hold(rows, job_id) == "B"

    @pytest.mark.parametrize("outcome", [A.EXPIRED, A.REFUSED, A.NOT_SENT, A.FAILED])
    def test_a_late_task_id_reopens_an_attempt_and_sets_the_alarm(self, rows: Rows, outcome: A) -> None:
        job_id = rows.job(State.FAILED, alarm_at=None)
        rows.attempt(job_id, outcome=outcome, standing=Standing.UNCERTAIN, closed_at=NOW)
        bring(rows, job_id, {"task_id": "t"})
        case = rows.case(job_id)
        attempt = case.attempts[1]
        assert (attempt.outcome, attempt.task_id, attempt.standing) == (A.OPEN, "t", Standing.HELD)
        assert attempt.closed_at is None
        assert case.job.alarm_at == NOW
        assert rows.history(job_id)[-1][0] == "late_answer"

    def test_a_task_id_that_is_known_reopens_nothing(self, rows: Rows) -> None:
        job_id = rows.job(State.FAILED, alarm_at=None)
        rows.attempt(job_id, outcome=A.FAILED, task_id="t")
        bring(rows, job_id, {"task_id": "t"})
        case = rows.case(job_id)
        assert (case.attempts[1].outcome, case.job.alarm_at) == (A.FAILED, None)

    def test_a_second_task_of_a_delivered_attempt_needs_a_person(self, rows: Rows) -> None:
        job_id = rows.job(State.ARCHIVED, alarm_at=None)
        rows.attempt(job_id, outcome=A.DELIVERED, task_id="t")
        bring(rows, job_id, {"task_id": "other"})
        case = rows.case(job_id)
        assert (case.job.flagged, case.attempts[1].task_id) == ("foreign_task", "t")

    @pytest.mark.parametrize("word", [{"outcome": A.FAILED}, {"outcome": A.NOT_SENT}, {"last_word": "running"}])
    @pytest.mark.parametrize("outcome", [A.FINISHED, A.DELIVERED, A.UNDELIVERED, A.REFUSED])
    def test_a_closed_attempt_keeps_its_word(self, rows: Rows, outcome: A, word: dict[str, Any]) -> None:
        job_id = rows.job(State.ARCHIVING)
        rows.attempt(job_id, outcome=outcome, task_id="t")
        before = rows.case(job_id).attempts[1]
        bring(rows, job_id, word)
        assert rows.case(job_id).attempts[1] == before

    @pytest.mark.parametrize("outcome", [A.FAILED, A.EXPIRED])
    def test_a_finished_video_outweighs_a_failure_and_wakes_the_job(self, rows: Rows, outcome: A) -> None:
        job_id = rows.job(State.FAILED, alarm_at=None)
        rows.attempt(job_id, outcome=outcome, task_id="t")
        bring(rows, job_id, {"outcome": A.FINISHED, "link": "https://host/v.mp4"})
        case = rows.case(job_id)
        assert (case.attempts[1].outcome, case.attempts[1].link) == (A.FINISHED, "https://host/v.mp4")
        assert case.job.alarm_at == NOW  # else nobody would take the proof
        assert [m.event for m in decide(case, Facts(), now=NOW, rules=rows.rules).moves] == [Event.PROVE]

    def test_a_video_that_a_slow_put_stored_after_its_transfer_was_given_up_is_looked_for(self, rows: Rows) -> None:
        job_id = rows.job(State.FAILED, alarm_at=None)
        rows.attempt(job_id, outcome=A.UNDELIVERED, task_id="t")
        bring(rows, job_id, {"outcome": A.DELIVERED})
        case = rows.case(job_id)
        assert case.job.alarm_at == NOW
        assert [m.event for m in decide(case, Facts(), now=NOW, rules=rows.rules).moves] == [Event.PROVE]

    def test_not_sent_is_said_of_one_post_alone(self, rows: Rows) -> None:
        job_id = rows.job(State.UNCONFIRMED)
        rows.attempt(job_id, sends=2)  # since the sleeper began, it went out again under its idempotency key
        bring(rows, job_id, {"outcome": A.NOT_SENT, "standing": Standing.NONE, "sending_at": None})
        assert rows.case(job_id).attempts[1].outcome is A.OPEN

    def test_not_sent_of_the_only_post_is_believed(self, rows: Rows) -> None:
        job_id = rows.job(State.UNCONFIRMED)
        rows.attempt(job_id)
        bring(rows, job_id, {"outcome": A.NOT_SENT, "standing": Standing.NONE, "sending_at": None})
        assert rows.case(job_id).attempts[1].outcome is A.NOT_SENT


class TestTaskIds:
    """No task id of an account is borne twice."""

    def settle(self, rows: Rows, case: Case, changes: dict[str, Any]) -> Facts:
        return rows.write(lambda db: late_facts.resolve_task_ids(db, case, Facts({1: changes}), now=rows.now))

    def test_a_task_id_that_nobody_bears_stands(self, rows: Rows) -> None:
        job_id = rows.job(State.UNCONFIRMED)
        rows.attempt(job_id)
        assert self.settle(rows, rows.case(job_id), {"task_id": "t"}).attempts == {
            1: {"task_id": "t", **late_facts.PROVEN}
        }

    def test_the_same_id_at_another_account_is_another_task(self, rows: Rows) -> None:
        bearer, job_id = rows.job(State.GENERATING), rows.job(State.UNCONFIRMED)
        rows.attempt(bearer, task_id="t", account="e" * 16)
        rows.attempt(job_id)
        assert self.settle(rows, rows.case(job_id), {"task_id": "t"}).attempts == {
            1: {"task_id": "t", **late_facts.PROVEN}
        }

    def test_an_adoption_gives_way_to_a_bearer(self, rows: Rows) -> None:
        bearer, job_id = rows.job(State.GENERATING), rows.job(State.UNCONFIRMED)
        rows.attempt(bearer, task_id="t")
        rows.attempt(job_id)
        settled = self.settle(rows, rows.case(job_id), {"task_id": "t", "adopted": True})
        assert settled.attempts[1]["rejected_task_ids"] == ["t"]
        assert "task_id" not in settled.attempts[1]
        assert settled.notes[0].detail["by"] == bearer
        assert rows.case(bearer).attempts[1].task_id == "t"

    @pytest.mark.parametrize(("adopted", "standing"), [(True, Standing.UNCERTAIN), (False, Standing.REFUNDED)])
    def test_what_a_contested_task_says_of_money_is_no_knowledge_unless_its_bearer_is_proven(
        self, rows: Rows, adopted: bool, standing: Standing
    ) -> None:
        bearer, job_id = rows.job(State.FAILED, alarm_at=None), rows.job(State.UNCONFIRMED)
        rows.attempt(bearer, task_id="t", adopted=adopted, outcome=A.FAILED, standing=Standing.REFUNDED)
        rows.attempt(job_id)
        self.settle(rows, rows.case(job_id), {"task_id": "t", "adopted": True})
        attempt = rows.case(bearer).attempts[1]
        assert (attempt.contested, attempt.standing) == (adopted, standing)

    @pytest.mark.parametrize(("state", "flag"), [(State.GENERATING, None), (State.ARCHIVED, "foreign_task")])
    def test_the_answer_to_our_own_post_takes_it_from_an_adopter(
        self, rows: Rows, state: State, flag: str | None
    ) -> None:
        adopter, job_id = rows.job(state, alarm_at=None), rows.job(State.SUBMITTING)
        rows.attempt(adopter, task_id="t", adopted=True, accepted_at=NOW, outcome=A.FINISHED, link="https://host/v")
        rows.attempt(job_id)
        assert self.settle(rows, rows.case(job_id), {"task_id": "t"}).attempts == {
            1: {"task_id": "t", **late_facts.PROVEN}
        }
        case = rows.case(adopter)
        attempt = case.attempts[1]
        assert (attempt.task_id, attempt.outcome, attempt.link) == (None, A.OPEN, None)
        assert attempt.rejected_task_ids == ["t"]
        assert (case.job.alarm_at, case.job.flagged) == (NOW, flag)
        assert rows.history(adopter)[-1][0] == "task_given_back"

    def test_the_adopter_is_unconfirmed_again_at_its_next_step(self, rows: Rows) -> None:
        adopter, job_id = rows.job(State.GENERATING), rows.job(State.SUBMITTING)
        rows.attempt(adopter, task_id="t", adopted=True, accepted_at=NOW)
        rows.attempt(job_id)
        bring(rows, job_id, {"task_id": "t"})
        assert rows.case(job_id).attempts[1].task_id == "t"
        outcome = decide(rows.case(adopter), Facts(), now=NOW, rules=rows.rules)
        assert [move.event for move in outcome.moves] == [Event.GIVE_BACK]

    def test_the_table_itself_refuses_a_second_bearer(self, rows: Rows) -> None:
        one, two = rows.job(State.GENERATING), rows.job(State.GENERATING)
        rows.attempt(one, task_id="t")
        with pytest.raises(sa.exc.IntegrityError):
            rows.attempt(two, task_id="t", account=ACCOUNT)


class TestNotices:
    @pytest.fixture
    def job_id(self, rows: Rows) -> str:
        job_id = rows.job(State.GENERATING, notify_url="https://hook")
        rows.attempt(job_id)
        return job_id

    def test_it_is_written_in_the_transaction_that_made_the_fact(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        outcome = Outcome(alarm_at=None, moves=(Move(Event.FAIL, 1),), job={"error_code": "generation_failed"})
        with rows.database.engine.connect() as db:  # rolled back
            assert leases.finish_step(db, lease, outcome, now=NOW)
            found = db.execute(sa.select(notices)).mappings().all()
            assert [n["type"] for n in found] == ["job.failed"]
            db.rollback()
        assert rows.told(job_id) == []
        assert finish(rows, lease, outcome)
        assert rows.told(job_id) == [(1, "job.failed")]
        assert rows.case(job_id).job.notices == 1

    def test_it_carries_the_whole_job_as_it_stands_there_and_is_due(self, rows: Rows, job_id: str) -> None:
        finish(rows, rows.lease(job_id), Outcome(alarm_at=None, moves=(Move(Event.FAIL, 1),)))
        with rows.database.read() as db:
            row = db.execute(sa.select(notices)).mappings().one()
        assert row["body"]["data"]["state"] == "failed"
        assert (row["body"]["sequence"], row["url"], row["alarm_at"]) == (1, "https://hook", NOW)

    def test_a_failed_last_write_tells_nothing(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        news(rows, job_id)
        assert not finish(rows, lease, Outcome(alarm_at=None, moves=(Move(Event.FAIL, 1),)))
        assert rows.told(job_id) == []

    def test_later_facts_have_higher_numbers(self, rows: Rows, job_id: str) -> None:
        finish(rows, rows.lease(job_id), Outcome(alarm_at=NOW, moves=(Move(Event.FAIL, 1),)))
        finish(rows, rows.lease(job_id), Outcome(alarm_at=NOW, moves=(Move(Event.PROVE, 1),)))
        finish(rows, rows.lease(job_id), Outcome(alarm_at=None, moves=(Move(Event.STORE, 1),)))
        assert rows.told(job_id) == [(1, "job.failed"), (2, "job.archived")]

    def test_a_job_without_notify_url_tells_nobody(self, rows: Rows) -> None:
        job_id = rows.job(State.GENERATING)
        rows.attempt(job_id)
        finish(rows, rows.lease(job_id), Outcome(alarm_at=None, moves=(Move(Event.FAIL, 1),)))
        assert rows.told(job_id) == []


def test_an_unsent_attempt_is_written_once_more_under_its_number(rows: Rows) -> None:
    job_id = rows.job(State.SUBMITTING)
    rows.attempt(job_id, outcome=A.NOT_SENT, error_message="no route", sends=0)
    with rows.database.read() as db:
        row = dict(db.execute(sa.select(attempts)).mappings().one())
    rows.write(lambda db: attempt_rows.add_attempt(db, {**row, "outcome": A.OPEN, "error_message": None}))
    (only,) = rows.case(job_id).attempts.values()
    assert (only.outcome, only.error_message) == (A.OPEN, None)


def test_what_a_person_said_that_it_took_is_given_back_where_its_number_is_used_again(rows: Rows) -> None:
    job_id = rows.job(State.QUEUED)
    rows.attempt(job_id, outcome=A.REFUSED, estimated_usd=0.24, closed_at=NOW)
    with rows.database.write() as db:
        spending.open_day(db, "evolink", rows.case(job_id).attempts[1].day)
    settling.settle(job_id, 1, Settled.CHARGED, rows.core)
    assert spent(rows) == 240_000
    with rows.database.read() as db:
        row = dict(db.execute(sa.select(attempts)).mappings().one())
    anew = {**row, "outcome": A.OPEN, "standing": Standing.NONE, "settled": None, "reserved_micro_usd": 0}
    known = rows.case(job_id).attempts[1]
    rows.write(lambda db: attempt_rows.add_attempt(db, anew, instead_of=known))
    assert spent(rows) == rows.case(job_id).attempts[1].reserved_micro_usd == 0


def spent(rows: Rows) -> int:
    with rows.database.read() as db:
        return int(db.execute(sa.select(sa.func.sum(tables.spending.c.micro_usd))).scalar_one())


def test_the_history_is_told_oldest_first(rows: Rows) -> None:
    job_id = rows.job()
    with rows.database.write() as db:
        db.execute(sa.insert(events).values(job_id=job_id, at=NOW - DAY, event="later", attempt=0, detail={}))
    with rows.database.read() as db:
        assert [line["event"] for line in history.of_job(db, job_id)] == ["created", "later"]


def test_a_half_lease_is_refused_by_the_table(rows: Rows) -> None:
    job_id = rows.job()
    with pytest.raises(sa.exc.IntegrityError):
        rows.write(lambda db: db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(lease_holder="A")))
