"""Cancel and retry: what a client may wish, and that no wish pays twice unasked."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from served import Served
from workshop import RUN, Ahead, Workshop

from jobs.errors import MayBePaid, NotFailed, NothingLeft, TooLate, UnknownJob
from jobs.intake import changes
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from storage.errors import BucketUnavailable

pytestmark = pytest.mark.both_databases  # wishes race with steps, and guarded writes decide

NEVER = "job_00000000000000000000000000"


def test_a_queued_job_is_cancelled_and_never_bought(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    case = changes.cancel(job_id, workshop.core)
    assert case.job.state is State.CANCELLED
    assert case.job.alarm_at is None
    assert case.job.ended_at is not None
    RUN["jobs.submit"](job_id, workshop.resources)  # its doorbell had rung already
    assert workshop.sweep() == 0
    assert workshop.state(job_id) is State.CANCELLED
    assert sandbox.tasks("evolink") == []


def test_cancelling_again_changes_nothing(workshop: Workshop) -> None:
    job_id = workshop.create()
    first = changes.cancel(job_id, workshop.core)
    assert changes.cancel(job_id, workshop.core).job == first.job


def test_an_accepted_job_cannot_be_cancelled_and_its_price_is_named(workshop: Workshop) -> None:
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    with pytest.raises(TooLate, match=r"evolink has accepted the job for \$0\.17"):
        changes.cancel(job_id, workshop.core)
    assert workshop.until(job_id, State.ARCHIVED)
    with pytest.raises(TooLate, match="archived"):
        changes.cancel(job_id, workshop.core)


def test_a_job_that_nobody_knows_cannot_be_wished_for(workshop: Workshop) -> None:
    with pytest.raises(UnknownJob):
        changes.cancel(NEVER, workshop.core)
    with pytest.raises(UnknownJob):
        changes.retry(NEVER, workshop.core)


class _WishingClient:
    """Asks gateways as the real one does; just before a submit leaves, the job's client wishes to cancel it."""

    def __init__(self, workshop: Workshop, job_id: str):
        self._workshop, self._job_id, self._real = workshop, job_id, workshop.resources.client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send(self, *args: Any, **kwargs: Any) -> Any:
        case = changes.cancel(self._job_id, self._workshop.core)
        assert case.job.state is State.SUBMITTING
        assert case.job.lease_holder is not None
        return self._real.send(*args, **kwargs)


def test_a_wish_during_the_submit_lapses_when_the_gateway_accepts(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.another_worker(client=_WishingClient(workshop, job_id)))
    case = workshop.case(job_id)
    assert case.job.state is State.GENERATING
    assert case.job.cancel_requested_at is None
    assert workshop.until(job_id, State.ARCHIVED)
    assert len(sandbox.tasks("evolink")) == 1


def test_a_wish_during_the_submit_is_granted_when_the_gateway_refuses(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "refuse", status=429)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.another_worker(client=_WishingClient(workshop, job_id)))
    assert workshop.state(job_id) is State.CANCELLED
    assert sandbox.tasks("evolink") == []


def test_after_a_wish_nothing_is_sent_that_was_not_sent_before(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.steps import submission

    job_id = workshop.create(provider="evolink")
    post = submission.post

    def wish_first(*args: Any) -> Any:
        changes.cancel(job_id, workshop.core)
        return post(*args)

    monkeypatch.setattr(submission, "post", wish_first)
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.CANCELLED
    assert sandbox.tasks("evolink") == []


def test_a_job_whose_first_order_may_yet_come_waits_for_that_and_orders_no_more(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    clock = Ahead(workshop)
    sandbox.fault("evolink", "lose_answer", how="reset")
    sandbox.fault("evolink", "lose_callback")
    job_id = workshop.create(provider="evolink", on_unconfirmed="resubmit")
    RUN["jobs.submit"](job_id, workshop.resources)
    clock.leap(901)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.QUEUED, "its client chose to order again"
    case = changes.cancel(job_id, workshop.core)
    assert (case.job.state, case.job.cancel_requested_at is None) == (State.UNCONFIRMED, False)
    assert workshop.history(job_id)[-2:] == ["cancel_requested", "stand_by"]
    assert changes.cancel(job_id, workshop.core).job == case.job
    clock.leap(901)
    RUN["jobs.submit"](job_id, workshop.resources)  # its doorbell had rung already
    workshop.sweep()
    [task] = sandbox.tasks("evolink")
    assert sandbox.call_back("evolink", task["task_id"]) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.cancel_requested_at is None
    assert len(sandbox.tasks("evolink")) == 1


def test_an_unconfirmed_job_under_a_wish_is_not_sent_again_and_fails_as_what_it_is(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(resend_unit_s=0.1, life_s=1, unconfirmed_window_s=1)
    sandbox.fault("apiframe", "lose_answer", how="reset")
    job_id = workshop.create(provider="apiframe")
    RUN["jobs.submit"](job_id, workshop.resources)
    assert changes.cancel(job_id, workshop.core).job.state is State.UNCONFIRMED
    case = workshop.until(job_id, State.FAILED)
    assert case.job.error_code == "submit_unconfirmed"
    assert case.attempts[1].sends == 1


def test_a_failed_job_is_tried_again_with_a_new_order(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "fail", retryable=False)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.FAILED)
    case = changes.retry(job_id, workshop.core)
    assert case.job.state is State.QUEUED
    assert (case.job.error_code, case.job.ended_at) == (None, None)
    case = workshop.until(job_id, State.ARCHIVED)
    assert [a.outcome for a in case.attempts.values()] == [AttemptOutcome.FAILED, AttemptOutcome.DELIVERED]
    assert len(sandbox.tasks("evolink")) == 2


def test_only_a_failed_job_can_be_tried_again(workshop: Workshop) -> None:
    with pytest.raises(NotFailed, match="queued"):
        changes.retry(workshop.create(), workshop.core)


def test_what_may_have_been_paid_is_ordered_again_only_if_the_client_accepts_it(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(unconfirmed_window_s=0.2)
    sandbox.fault("gravitex", "lose_answer", how="reset")
    job_id = workshop.create(provider="gravitex")
    workshop.until(job_id, State.FAILED)
    with pytest.raises(MayBePaid, match="attempt 1 at gravitex"):
        changes.retry(job_id, workshop.core)
    assert workshop.state(job_id) is State.FAILED
    assert changes.retry(job_id, workshop.core, accept_double_charge=True).job.state is State.QUEUED
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].standing is Standing.UNCERTAIN
    assert len(sandbox.tasks("gravitex")) == 2


def _undelivered(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job whose bucket could not be written to until an hour after its link was dead, and can be by now."""
    clock = Ahead(workshop)

    def refuse(*_: Any, **__: Any) -> None:
        raise BucketUnavailable("no room")

    with monkeypatch.context() as patch:
        patch.setattr(workshop.resources.bucket, "put_video", refuse)
        job_id = workshop.create(provider="evolink")
        workshop.until(job_id, State.ARCHIVING)

        def is_failed() -> bool:
            clock.leap(11 * 60)
            workshop.sweep()
            return workshop.state(job_id) is State.FAILED

        workshop.await_(is_failed, "the end of the transfer", job_id=job_id)
    assert workshop.case(job_id).job.error_code == "bucket_unavailable"
    return job_id


def test_a_failed_copying_is_tried_again_as_a_copying(
    make_workshop: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop: Workshop = make_workshop(life_s=1, retry_first_s=0.1)
    job_id = _undelivered(workshop, monkeypatch)
    assert changes.retry(job_id, workshop.core).job.state is State.ARCHIVING
    case = workshop.until(job_id, State.ARCHIVED)
    assert list(case.attempts) == [1]
    assert len(sandbox.tasks("evolink")) == 1


def test_a_client_that_accepts_to_pay_again_gets_a_new_order_for_a_failed_copying(
    make_workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop: Workshop = make_workshop(life_s=1, retry_first_s=0.1)
    job_id = _undelivered(workshop, monkeypatch)
    assert changes.retry(job_id, workshop.core, accept_double_charge=True).job.state is State.QUEUED
    case = workshop.until(job_id, State.ARCHIVED)
    assert [a.outcome for a in case.attempts.values()] == [AttemptOutcome.UNDELIVERED, AttemptOutcome.DELIVERED]


def test_a_request_that_all_its_gateways_refused_is_not_tried_again(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "refuse", status=400)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.FAILED)
    with pytest.raises(NothingLeft, match="has refused this request"):
        changes.retry(job_id, workshop.core)


def test_two_clients_that_try_again_at_once_make_one_order(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "fail", retryable=False)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.FAILED)
    granted: list[bool] = []

    def wish() -> None:
        try:
            changes.retry(job_id, workshop.core)
            granted.append(True)
        except NotFailed:
            granted.append(False)

    wishing = [threading.Thread(target=wish) for _ in range(4)]
    for thread in wishing:
        thread.start()
    for thread in wishing:
        thread.join()
    assert sorted(granted) == [False, False, False, True]
    workshop.until(job_id, State.ARCHIVED)
    assert len(sandbox.tasks("evolink")) == 2
