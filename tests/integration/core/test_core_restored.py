"""A backup was put back: what was ordered since is forgotten, is not ordered again, and comes home all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from losing import lose
from rows_backup import Backup
from served import Served
from workshop import RUN, Workshop

from jobs import callback_urls
from jobs.errors import MayBePaid
from jobs.intake import changes, settling
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Origin, Settled, Standing
from jobs.machine.states import State
from jobs.store import late_facts, leases, tables
from jobs.store.leases import Lease
from jobs.upkeep import audit, repair, restore
from jobs.upkeep.restore import NotRestored

HOUR = timedelta(hours=1)


def bought(sandbox: Any) -> int:
    return len(sandbox.tasks())


def test_a_queued_job_that_was_ordered_since_is_not_ordered_again_and_comes_home_by_its_callback(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = workshop.create(provider="evolink")
    backup = Backup(workshop)
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.GENERATING
    done = lose(workshop, backup)
    assert (done.live, done.unconfirmed) == ({"queued": 1}, 1)
    attempt = workshop.case(job_id).attempts[1]
    assert (attempt.standing, attempt.with_callback, attempt.is_forgotten) == (Standing.UNCERTAIN, True, True)
    for _ in range(3):
        workshop.sweep()
    assert workshop.state(job_id) is State.UNCONFIRMED
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].adopted
    assert case.attempts[1].standing is Standing.CHARGED
    assert bought(sandbox) == 1
    assert {"restored", "restore", "task_adopted", "store"} <= set(workshop.history(job_id))


def test_a_callback_tells_which_gateway_got_the_order_that_was_forgotten(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("aivideoapi", "lose_callback")
    job_id = workshop.create(provider=["evolink", "aivideoapi"])
    backup = Backup(workshop)
    accounts = workshop.settings.accounts
    object.__setattr__(workshop.settings, "accounts", {"aivideoapi": accounts["aivideoapi"]})
    RUN["jobs.submit"](job_id, workshop.resources)
    object.__setattr__(workshop.settings, "accounts", accounts)
    lose(workshop, backup)
    assert workshop.case(job_id).attempts[1].provider == "evolink"  # the guess
    assert sandbox.call_back("aivideoapi", sandbox.tasks("aivideoapi")[0]["task_id"]) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.job.provider, case.attempts[1].provider) == ("aivideoapi", "aivideoapi")
    assert case.attempts[1].account == accounts["aivideoapi"].fingerprint
    assert bought(sandbox) == 1
    with workshop.database.read() as db:
        counted = db.execute(sa.select(tables.spending.c.provider, tables.spending.c.micro_usd)).all()
    reserved = case.attempts[1].reserved_micro_usd
    assert {tuple(row) for row in counted} == {("evolink", 0), ("aivideoapi", reserved)}


def test_a_video_that_was_archived_since_is_adopted_with_the_gateway_that_made_it(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    job_id = workshop.create(provider=["evolink", "aivideoapi"])
    backup = Backup(workshop)
    accounts = workshop.settings.accounts
    object.__setattr__(workshop.settings, "accounts", {"aivideoapi": accounts["aivideoapi"]})
    workshop.until(job_id, State.ARCHIVED)
    object.__setattr__(workshop.settings, "accounts", accounts)
    lose(workshop, backup)
    assert workshop.case(job_id).attempts[1].provider == "evolink"
    report = audit.audit(workshop.resources, repair=partial(repair.repair, resources=workshop.resources))
    assert [(found.code, done) for found, done in report.findings] == [("object_not_adopted", "it will be adopted")]
    case = workshop.until(job_id, State.ARCHIVED)
    attempt = case.attempts[1]
    assert (attempt.provider, attempt.account) == ("aivideoapi", accounts["aivideoapi"].fingerprint)
    assert (attempt.outcome, attempt.standing) == (AttemptOutcome.DELIVERED, Standing.CHARGED)
    assert audit.audit(workshop.resources, deep=True).findings == []
    assert bought(sandbox) == 1


def test_where_nobody_knows_that_commits_are_lost_the_gateways_answer_keeps_from_a_second_purchase(
    make_workshop: Any, receiver: Served, sandbox: Any
) -> None:
    """A replica that lags was put in the database's place."""
    workshop: Workshop = make_workshop(retry_first_s=0.2)
    workshop.receive_callbacks_at(receiver.url)
    sandbox.fault("evolink", "lose_callback")
    job_id = workshop.create(provider="evolink")
    backup = Backup(workshop)
    RUN["jobs.submit"](job_id, workshop.resources)
    backup.put_back()
    workshop.bells.take()
    task_id = sandbox.tasks("evolink")[0]["task_id"]
    sandbox.fault("evolink", "garbage_query", times=2)
    assert sandbox.call_back("evolink", task_id) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert [(a.origin, a.task_id) for a in case.attempts.values()] == [(Origin.CALLED_BACK, task_id)]
    assert bought(sandbox) == 1


def test_a_later_order_than_the_suspected_one_is_recognised_by_its_callback(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("evolink", "refuse", status=402)
    sandbox.fault("aivideoapi", "lose_callback")
    job_id = workshop.create(provider=["evolink", "aivideoapi"])
    backup = Backup(workshop)
    case = workshop.until(job_id, State.GENERATING)
    assert (case.job.attempt, case.job.provider) == (2, "aivideoapi")
    lose(workshop, backup)
    assert sandbox.call_back("aivideoapi", sandbox.tasks("aivideoapi")[0]["task_id"]) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.attempt == 2
    assert case.attempts[1].standing is Standing.UNCERTAIN
    assert bought(sandbox) == 1


def test_a_submitting_job_is_unconfirmed_though_its_row_says_that_nothing_was_sent(
    workshop: Workshop, receiver: Served, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = workshop.create(provider="evolink")
    backups: list[Backup] = []
    real = leases.mark_sending

    def mark(*args: Any, **kwargs: Any) -> bool:
        backups.append(Backup(workshop))
        return real(*args, **kwargs)

    monkeypatch.setattr(leases, "mark_sending", mark)
    monkeypatch.setattr("jobs.steps.step.conclude", lambda *a, **k: None)
    RUN["jobs.submit"](job_id, workshop.resources)
    monkeypatch.undo()
    done = lose(workshop, backups[0])
    assert done.live == {"submitting": 1}
    case = workshop.case(job_id)
    assert (case.job.state, case.job.lease_holder) == (State.UNCONFIRMED, None)
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200
    workshop.until(job_id, State.ARCHIVED)
    assert bought(sandbox) == 1


@pytest.mark.parametrize("is_refused", [False, True], ids=["accepted", "refused"])
def test_an_answer_that_another_process_has_brought_to_a_submitting_job_is_not_forgotten(
    workshop: Workshop, receiver: Served, sandbox: Any, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    """Its row has it before the step that ordered comes to its end."""
    if is_refused:
        sandbox.fault("evolink", "refuse", status=400)
    job_id = workshop.create(provider="evolink")

    def bring(lease: Lease, facts: Facts, *_: Any, **__: Any) -> None:
        with workshop.database.write() as db:
            late_facts.bring_facts(db, lease.job.id, facts, now=workshop.database.clock(db))

    monkeypatch.setattr("jobs.steps.step.conclude", bring)
    RUN["jobs.submit"](job_id, workshop.resources)
    monkeypatch.undo()
    before = workshop.case(job_id)
    assert before.job.state is State.SUBMITTING
    assert lose(workshop, Backup(workshop)).live == {"submitting": 1}
    case = workshop.case(job_id)
    for name in ("origin", "outcome", "task_id", "sending_at", "reserved_micro_usd"):
        assert getattr(case.attempts[1], name) == getattr(before.attempts[1], name)
    assert (case.attempts[2].origin, case.attempts[2].standing) == (Origin.FORGOTTEN, Standing.NONE)
    assert case.job.state is (State.FAILED if is_refused else State.GENERATING)
    if not is_refused:
        assert workshop.until(job_id, State.ARCHIVED).job.attempt == 1
        assert bought(sandbox) == 1


def test_a_running_task_that_fails_after_a_restore_is_not_followed_by_an_order_that_may_have_been_made(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """Its failure may have been known before, and answered with a second order."""
    sandbox.set(generation_s=1)
    sandbox.fault("evolink", "lose_callback")
    sandbox.fault("evolink", "fail", retryable=True)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    backup = Backup(workshop)
    sandbox.fault("evolink", "lose_callback")
    workshop.await_(lambda: workshop.sweep() and bought(sandbox) == 2, "the second order", job_id=job_id)
    done = lose(workshop, backup)
    assert (done.live, done.unconfirmed) == ({"generating": 1}, 0)
    assert workshop.case(job_id).attempts[2].standing is Standing.NONE
    case = workshop.until(job_id, State.UNCONFIRMED)
    assert (case.job.attempt, case.attempts[2].standing) == (2, Standing.UNCERTAIN)
    tasks = {task["task_id"] for task in sandbox.tasks("evolink")} - {case.attempts[1].task_id}
    assert sandbox.call_back("evolink", tasks.pop()) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.attempt == 2
    assert bought(sandbox) == 2


def test_a_retry_after_a_restore_says_that_it_may_pay_twice_and_orders_once_that_is_accepted(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop()
    sandbox.fault("evolink", "fail", retryable=False)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    lose(workshop, Backup(workshop))
    workshop.until(job_id, State.FAILED)
    with pytest.raises(MayBePaid, match=r"attempt 2 at evolink .it may have been made before a backup"):
        changes.retry(job_id, workshop.core)
    assert changes.retry(job_id, workshop.core, accept_double_charge=True).job.state is State.QUEUED
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[2].standing is Standing.UNCERTAIN
    assert bought(sandbox) == 2


@pytest.mark.parametrize("over", [False, True], ids=["at once", "after the lives of task and link"])
def test_a_failed_job_that_was_retried_since_says_that_it_may_pay_twice(
    make_workshop: Any, sandbox: Any, over: bool
) -> None:
    """At a gateway that cannot call back, so that nobody can tell of the order that was made since."""
    workshop: Workshop = make_workshop(life_s=0.3)
    job_id = workshop.create(provider="easyrouter")
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        row = sa.update(tables.jobs).where(tables.jobs.c.id == job_id)
        db.execute(row.values(state="failed", error_code="not_started", alarm_at=None, ended_at=now))
    backup = Backup(workshop)
    assert changes.retry(job_id, workshop.core).job.state is State.QUEUED
    RUN["jobs.submit"](job_id, workshop.resources)
    done = lose(workshop, backup)
    assert (done.live, done.unconfirmed, workshop.state(job_id)) == ({}, 0, State.FAILED)
    if over:
        workshop.await_(lambda: workshop.sweep() and not workshop.case(job_id).job.alarm_at, "the end of lives")
        assert workshop.case(job_id).attempts[1].outcome is AttemptOutcome.EXPIRED
    assert workshop.case(job_id).attempts[1].standing is Standing.NONE
    with pytest.raises(MayBePaid, match=r"attempt 1 at easyrouter .it may have been made before a backup"):
        changes.retry(job_id, workshop.core)
    assert bought(sandbox) == 1
    changes.retry(job_id, workshop.core, accept_double_charge=True)
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.attempts[1].standing, case.job.attempt) == (Standing.UNCERTAIN, 2)
    assert case.job.notices >= restore.SEQUENCE_GAP


def test_of_a_forgotten_order_a_persons_word_is_knowledge(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop()
    job_id = workshop.create(provider="easyrouter")
    with workshop.database.write() as db:
        row = sa.update(tables.jobs).where(tables.jobs.c.id == job_id)
        now = workshop.database.clock(db)
        db.execute(row.values(state="failed", error_code="not_started", alarm_at=None, ended_at=now))
    lose(workshop, Backup(workshop))
    settling.settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    assert changes.retry(job_id, workshop.core).job.state is State.QUEUED


@pytest.mark.parametrize("state", ["archived", "cancelled"])
def test_a_job_that_cannot_be_tried_again_is_left_as_it_is(workshop: Workshop, sandbox: Any, state: str) -> None:
    job_id = workshop.create(provider="evolink")
    with workshop.database.write() as db:
        row = sa.update(tables.jobs).where(tables.jobs.c.id == job_id)
        db.execute(row.values(state=state, alarm_at=None, ended_at=workshop.database.clock(db)))
    before = workshop.case(job_id)
    lose(workshop, Backup(workshop))
    assert workshop.case(job_id) == before


def test_a_task_that_runs_on_comes_home_and_the_suspicion_costs_nothing(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(life_s=1)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    lose(workshop, Backup(workshop))
    workshop.until(job_id, State.ARCHIVED)
    settled = workshop.await_(lambda: workshop.sweep() and not workshop.case(job_id).job.alarm_at, "the end of lives")
    assert settled
    suspected = workshop.case(job_id).attempts[2]
    assert (suspected.outcome, suspected.standing) == (AttemptOutcome.EXPIRED, Standing.NONE)


def test_without_a_callback_the_job_fails_after_the_window_with_its_money_uncertain(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(unconfirmed_window_s=0.2)
    job_id = workshop.create(provider="gravitex")
    lose(workshop, Backup(workshop))
    case = workshop.until(job_id, State.FAILED)
    assert (case.job.error_code, case.job.flagged) == ("submit_unconfirmed", "uncertain_money")
    assert bought(sandbox) == 0


def test_who_chose_to_risk_paying_twice_is_served_after_the_usual_wait(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(resubmit_after_s=0.2)
    job_id = workshop.create(provider="evolink", on_unconfirmed="resubmit")
    lose(workshop, Backup(workshop))
    assert workshop.state(job_id) is State.UNCONFIRMED
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.attempt == 2


def test_a_suspected_order_is_not_sent_again_under_its_idempotency_key(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(resend_unit_s=0.05, unconfirmed_window_s=1)
    job_id = workshop.create(provider="apiframe")
    lose(workshop, Backup(workshop))
    workshop.until(job_id, State.FAILED)
    assert bought(sandbox) == 0


def test_a_lost_order_is_not_sent_again_beside_one_that_may_have_been_made_since(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(resend_unit_s=0.05, unconfirmed_window_s=1)
    sandbox.fault("apiframe", "lose_answer", how="reset")
    job_id = workshop.create(provider="apiframe")
    RUN["jobs.submit"](job_id, workshop.resources)
    lose(workshop, Backup(workshop))
    case = workshop.until(job_id, State.FAILED)
    assert [attempt.sends for attempt in case.attempts.values()] == [1, 1]
    assert not any(attempt.adopted for attempt in case.attempts.values())


def test_a_callback_wakes_an_ended_job_whose_order_was_forgotten(
    make_workshop: Any, sandbox: Any, workshop: Workshop, receiver: Served
) -> None:
    workshop = make_workshop(late_poll_s=0.1)
    workshop.receive_callbacks_at(receiver.url)
    job_id = workshop.create(provider="evolink")
    with workshop.database.write() as db:
        row = sa.update(tables.jobs).where(tables.jobs.c.id == job_id)
        now = workshop.database.clock(db)
        db.execute(row.values(state="failed", error_code="not_started", alarm_at=None, ended_at=now))
    backup = Backup(workshop)
    with workshop.database.write() as db:  # its client asked again
        db.execute(row.values(state="queued", alarm_at=now, error_code=None, ended_at=None))
    sandbox.fault("evolink", "lose_callback")
    RUN["jobs.submit"](job_id, workshop.resources)
    assert lose(workshop, backup).live == {}
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200
    workshop.until(job_id, State.ARCHIVED)
    assert bought(sandbox) == 1


@pytest.fixture
def only(workshop: Workshop) -> Callable[[str], None]:
    """Leaves keys for one gateway alone, until the next call; "" gives all of them back."""
    accounts = workshop.settings.accounts

    def leave(name: str) -> None:
        object.__setattr__(workshop.settings, "accounts", {name: accounts[name]} if name else accounts)

    return leave


def mint(workshop: Workshop, provider: str, job_id: str, number: int, task_id: str, *, named: str = "id") -> None:
    """A callback as whoever has a callback key can make it up, through the receiver's own door."""
    settings = workshop.settings
    url = callback_urls.mint(str(settings.public_url), settings.callback_keys, provider, job_id, number)
    assert requests.post(url, json={named: task_id, "status": "completed"}, timeout=10).status_code in (200, 400)


def test_an_order_beside_the_known_one_of_its_number_is_told_once_its_gateway_knows_it(
    workshop: Workshop, receiver: Served, sandbox: Any, only: Callable[[str], None]
) -> None:
    """Nobody ran the command: the job was ordered twice, under one number, at two gateways."""
    sandbox.set(generation_s=60)
    job_id = workshop.create(provider=["evolink", "aivideoapi"])
    backup = Backup(workshop)
    only("aivideoapi")
    RUN["jobs.submit"](job_id, workshop.resources)
    backup.put_back()
    only("evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    only("")
    mint(workshop, "aivideoapi", job_id, 1, "made-up")
    workshop.await_(lambda: workshop.sweep() and not workshop.case(job_id).unread, "the answer", job_id=job_id)
    assert workshop.case(job_id).job.flagged is None
    assert sandbox.call_back("aivideoapi", sandbox.tasks("aivideoapi")[0]["task_id"]) == 200
    workshop.await_(lambda: workshop.sweep() and not workshop.case(job_id).unread, "the answer", job_id=job_id)
    case = workshop.case(job_id)
    assert (case.job.flagged, case.attempts[1].provider) == ("unknown_attempt", "evolink")
    assert "unknown_order" in workshop.history(job_id)


def test_a_gateway_whose_key_is_gone_keeps_the_callback_unread_until_it_is_back(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = workshop.create(provider="evolink")
    backup = Backup(workshop)
    RUN["jobs.submit"](job_id, workshop.resources)
    accounts = workshop.settings.accounts
    backup.put_back()
    object.__setattr__(workshop.settings, "accounts", {"gravitex": accounts["gravitex"]})
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200
    workshop.sweep()
    case = workshop.case(job_id)
    assert case.attempts == {}
    assert (case.job.state, case.unread != ()) == (State.QUEUED, True)
    object.__setattr__(workshop.settings, "accounts", accounts)
    with workshop.database.write() as db:
        leases.bring_news(db, job_id, now=workshop.database.clock(db))
    workshop.until(job_id, State.ARCHIVED)
    assert bought(sandbox) == 1


def test_what_is_told_after_a_restore_outranks_what_was_told_before(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    lose(workshop, Backup(workshop))
    assert workshop.case(job_id).job.notices >= restore.SEQUENCE_GAP


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "is in the future"), (-1, "A job was last written at")], ids=["future", "too early"]
)
def test_a_time_that_cannot_be_the_backups_changes_nothing(workshop: Workshop, hours: int, words: str) -> None:
    job_id = workshop.create(provider="evolink")
    with pytest.raises(NotRestored, match=words):
        restore.restored(workshop.resources, as_of=datetime.now(UTC) + hours * HOUR)
    assert workshop.case(job_id).attempts == {}


def test_a_database_that_a_process_has_seen_since_is_refused(workshop: Workshop) -> None:
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        db.execute(sa.insert(tables.heartbeats).values(name="worker@host:1", role="worker", seen_at=now))
    with pytest.raises(NotRestored, match="worker@host:1 was seen at"):
        restore.restored(workshop.resources, as_of=now - HOUR)
