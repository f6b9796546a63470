"""What a person says became of an order: it was not made, or it was charged, or not."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from persons import HTML, KEY, lines, lost, refuses, spent, submit
from workshop import Workshop

from jobs.errors import MayBePaid, UnderWay
from jobs.intake import changes
from jobs.intake.settling import settle
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.store import leases

pytestmark = pytest.mark.both_databases  # words race with steps, and guarded writes decide


class TestNotMade:
    def test_an_unconfirmed_job_is_ordered_anew_with_a_fresh_limit(self, workshop: Workshop, sandbox: Any) -> None:
        job_id = lost(workshop, sandbox, "easyrouter", made=False)
        before = workshop.case(job_id)
        assert spent(workshop, before) > 0
        case = settle(job_id, 1, Settled.NOT_MADE, workshop.core, api_key_id=KEY)
        assert (case.job.state, case.job.alarm_at is not None) == (State.QUEUED, True)
        assert case.job.start_by > before.job.start_by
        assert (case.attempts[1].outcome, case.attempts[1].standing) == (AttemptOutcome.NOT_MADE, Standing.NONE)
        assert (case.attempts[1].settled, spent(workshop, case)) == (Settled.NOT_MADE, 0)
        assert lines(workshop, job_id) == [({"said": "not_made", "api_key": KEY}, "queued")]
        case = workshop.until(job_id, State.ARCHIVED)
        assert [a.outcome for a in case.attempts.values()] == [AttemptOutcome.NOT_MADE, AttemptOutcome.DELIVERED]
        assert len(sandbox.tasks("easyrouter")) == 1

    def test_under_a_wish_it_is_cancelled(self, workshop: Workshop, sandbox: Any) -> None:
        job_id = lost(workshop, sandbox, made=False)
        changes.cancel(job_id, workshop.core)
        case = settle(job_id, 1, Settled.NOT_MADE, workshop.core, api_key_id=KEY)
        assert (case.job.state, case.job.alarm_at) == (State.CANCELLED, None)
        assert ({"said": "not_made", "api_key": KEY}, "cancelled") in lines(workshop, job_id, "cancel")
        assert ({"said": "not_made", "api_key": KEY}, None) in lines(workshop, job_id)

    def test_a_failed_job_stays_failed_and_may_be_tried_again_without_a_double_charge(
        self, make_workshop: Any, sandbox: Any
    ) -> None:
        workshop: Workshop = make_workshop(unconfirmed_window_s=0.1)
        job_id = lost(workshop, sandbox, made=False)
        workshop.until(job_id, State.FAILED)
        with pytest.raises(MayBePaid):
            changes.retry(job_id, workshop.core)
        case = settle(job_id, 1, Settled.NOT_MADE, workshop.core, api_key_id=KEY)
        assert (case.job.state, case.job.flagged, case.job.alarm_at) == (State.FAILED, None, None)
        assert lines(workshop, job_id) == [({"said": "not_made", "api_key": KEY}, None)]
        changes.retry(job_id, workshop.core)
        workshop.until(job_id, State.ARCHIVED)

    def test_the_order_is_not_sent_again_under_its_key(self, make_workshop: Any, sandbox: Any) -> None:
        workshop: Workshop = make_workshop(resend_unit_s=0.05)
        job_id = lost(workshop, sandbox, "apiframe", made=False)
        settle(job_id, 1, Settled.NOT_MADE, workshop.core)
        case = workshop.until(job_id, State.ARCHIVED)
        assert (case.attempts[1].sends, case.attempts[2].sends) == (1, 1)

    def test_saying_it_again_changes_nothing(self, workshop: Workshop, sandbox: Any) -> None:
        job_id = lost(workshop, sandbox, made=False)
        first = settle(job_id, 1, Settled.NOT_MADE, workshop.core)
        assert settle(job_id, 1, Settled.NOT_MADE, workshop.core) == first

    def test_nothing_is_settled_while_a_step_holds_the_job(self, workshop: Workshop, sandbox: Any) -> None:
        job_id = lost(workshop, sandbox, made=False)
        held = workshop.case(job_id)
        with workshop.database.write() as db:
            now = workshop.database.clock(db)
            assert leases.claim(db, held, holder="A", lease_s=60, now=now)
        assert "in a moment" in refuses(workshop, job_id, UnderWay, Settled.NOT_MADE)

    def test_a_dead_workers_lease_is_in_nobodys_way_and_it_may_not_send_any_more(
        self, workshop: Workshop, sandbox: Any
    ) -> None:
        job_id = lost(workshop, sandbox, "apiframe", made=False)
        with workshop.database.write() as db:
            now = workshop.database.clock(db)
            lease = leases.claim(db, workshop.case(job_id), holder="A", lease_s=0, now=now)
        assert lease
        case = settle(job_id, 1, Settled.NOT_MADE, workshop.core)
        assert (case.job.state, case.job.lease_holder) == (State.QUEUED, None)
        with workshop.database.write() as db:
            assert not leases.mark_sending(db, lease, 1, lease_s=60, now=workshop.database.clock(db))

    def test_an_earlier_order_beside_one_that_runs_is_settled_alone(self, make_workshop: Any, sandbox: Any) -> None:
        workshop: Workshop = make_workshop(resubmit_after_s=0.1)
        sandbox.set(generation_s=3600)
        sandbox.fault("gravitex", "refuse", status=502, body=HTML)
        job_id = submit(workshop, on_unconfirmed="resubmit")
        workshop.until(job_id, State.GENERATING)
        case = settle(job_id, 1, Settled.NOT_MADE, workshop.core)
        assert (case.job.state, case.job.attempt) == (State.GENERATING, 2)
        assert (case.attempts[1].outcome, case.attempts[2].outcome) == (AttemptOutcome.NOT_MADE, AttemptOutcome.OPEN)


class TestMoney:
    @pytest.mark.parametrize(
        ("word", "standing", "takes"), [(Settled.CHARGED, Standing.CHARGED, 1), (Settled.NOT_CHARGED, Standing.NONE, 0)]
    )
    def test_what_a_person_knows_of_it_counts_and_needs_nobody_any_more(
        self, make_workshop: Any, sandbox: Any, word: Settled, standing: Standing, takes: int
    ) -> None:
        workshop: Workshop = make_workshop(unconfirmed_window_s=0.1)
        job_id = lost(workshop, sandbox, "easyrouter", made=False)
        before = workshop.until(job_id, State.FAILED)
        assert before.job.flagged == "uncertain_money"
        case = settle(job_id, 1, word, workshop.core, api_key_id=KEY)
        assert (case.job.state, case.job.flagged, case.job.alarm_at) == (State.FAILED, None, None)
        assert (case.attempts[1].standing, case.attempts[1].settled) == (standing, word)
        assert spent(workshop, case) == takes * (case.attempts[1].estimated_usd or 0)
        assert lines(workshop, job_id) == [({"said": word.value, "api_key": KEY}, None)]
        assert settle(job_id, 1, word, workshop.core) == case

    def test_a_refund_that_never_came_can_be_said(self, workshop: Workshop, sandbox: Any) -> None:
        sandbox.fault("evolink", "fail")
        job_id = workshop.create(provider="evolink")
        workshop.until(job_id, State.FAILED)
        case = settle(job_id, 1, Settled.CHARGED, workshop.core)
        assert (case.attempts[1].outcome, case.attempts[1].standing) == (AttemptOutcome.FAILED, Standing.CHARGED)
        with pytest.raises(MayBePaid):
            changes.retry(job_id, workshop.core)

    def test_two_people_at_once_are_both_heard(self, make_workshop: Any, sandbox: Any) -> None:
        workshop: Workshop = make_workshop(unconfirmed_window_s=0.1)
        job_id = lost(workshop, sandbox, made=False)
        workshop.until(job_id, State.FAILED)
        speaking = [
            threading.Thread(target=settle, args=(job_id, 1, word, workshop.core))
            for word in (Settled.CHARGED, Settled.NOT_CHARGED) * 2
        ]
        for thread in speaking:
            thread.start()
        for thread in speaking:
            thread.join()
        last = lines(workshop, job_id)[-1][0]["said"]
        assert workshop.case(job_id).attempts[1].settled == last
