"""What callbacks alone have told of an order's task: a failure that waits, two tasks, a film that contradicts it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from lost_orders import PROVIDER, adopts, bears, elsewhere, happens, kept, lost, tell, told_on_both
from served import Served
from workshop import RUN, Ahead, Workshop

from jobs.intake import settling
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.reports import attention, attention_items
from jobs.steps import archiving
from jobs.store import tables


def attention_of(workshop: Workshop, job_id: str) -> set[str]:
    """Why a person should look at the job, each reason once."""
    with workshop.database.read() as db:
        looking = attention_items.Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        found = [item.reason for item in attention.items(db, looking) if item.job_id == job_id]
    assert len(found) == len(set(found))
    return set(found)


def fails(sandbox: Any, *, retryable: bool = True) -> None:
    """The next order's task."""
    sandbox.fault(PROVIDER, "fail", retryable=retryable, times=1)


def told_of_two(workshop: Workshop, sandbox: Any) -> tuple[str, str, str]:
    """A job whose film is kept aside: callbacks told of another installation's task, and then of its own."""
    foreign, job_id = elsewhere(workshop, sandbox), lost(workshop, sandbox)
    own = sandbox.tasks(PROVIDER)[1]["task_id"]
    for task_id in (foreign, own):
        tell(workshop, job_id, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(job_id).job.flagged, "it is told")
    kept(workshop, job_id)
    return job_id, foreign, own


def test_the_task_that_a_persons_wrong_word_took_away_still_keeps_another_one_from_being_archived(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault(PROVIDER, "stall", times=2)
    foreign, job_id = elsewhere(workshop, sandbox), lost(workshop, sandbox)
    own = sandbox.tasks(PROVIDER)[1]["task_id"]
    adopts(workshop, job_id, own)
    tell(workshop, job_id, foreign)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(job_id).job.flagged, "it is told")
    settling.name_task(job_id, 1, "task-of-nobody", workshop.core)
    with workshop.database.write() as db:  # the gateway did not answer about it, say
        heard = tables.hearsay
        later = workshop.database.clock(db) + timedelta(minutes=10)
        db.execute(sa.update(heard).where(heard.c.task_id == own).values(ask_at=later))
        db.execute(sa.update(heard).where(heard.c.task_id == foreign).values(ask_at=heard.c.heard_at))
    sandbox.clear()
    ends = {"kept_aside", "store"}
    workshop.await_(lambda: workshop.sweep() is not None and ends & set(workshop.history(job_id)), "it is copied")
    assert (bears(workshop, job_id), workshop.state(job_id)) == (foreign, State.ARCHIVING)
    assert attention_of(workshop, job_id) == {"contested_task"}


@pytest.mark.parametrize("owner_is_told", ["before", "after", "never"])
def test_a_failed_task_of_another_order_neither_orders_anew_nor_frees_the_money(
    workshop: Workshop, receiver: Served, sandbox: Any, owner_is_told: str
) -> None:
    victim = lost(workshop, sandbox)
    fails(sandbox)
    owner = lost(workshop, sandbox)
    own, failed = (task["task_id"] for task in sandbox.tasks(PROVIDER))
    if owner_is_told == "before":
        tell(workshop, owner, failed)
        happens(workshop, owner, "failure_in_doubt")
    tell(workshop, victim, failed)
    happens(workshop, victim, "task_contested" if owner_is_told == "before" else "failure_in_doubt")
    if owner_is_told == "after":
        tell(workshop, owner, failed)
        told_on_both(workshop, victim, owner)
    workshop.sweep()
    order = workshop.case(victim).attempts[1]
    assert (workshop.state(victim), order.standing) == (State.UNCONFIRMED, Standing.UNCERTAIN)
    tell(workshop, victim, own)
    workshop.await_(lambda: workshop.sweep() is not None and bears(workshop, victim) == own, "it is adopted")
    Ahead(workshop).leap(workshop.settings.unconfirmed_window_s)  # the owner may have made that film
    case = workshop.until(victim, State.ARCHIVED)
    assert (list(case.attempts), case.attempts[1].task_id) == ([1], own)


def test_a_failed_task_of_another_installation_does_neither(workshop: Workshop, receiver: Served, sandbox: Any) -> None:
    fails(sandbox)
    failed = elsewhere(workshop, sandbox)
    victim = lost(workshop, sandbox)
    tell(workshop, victim, failed)
    happens(workshop, victim, "failure_in_doubt")
    clock = Ahead(workshop)
    clock.leap(workshop.settings.unconfirmed_window_s - 60)
    workshop.sweep()
    assert workshop.state(victim) is State.UNCONFIRMED
    own = sandbox.tasks(PROVIDER)[1]["task_id"]
    tell(workshop, victim, own)
    assert workshop.until(victim, State.ARCHIVED).attempts[1].task_id == own


@pytest.mark.parametrize("retryable", [True, False])
def test_the_failure_of_an_orders_own_task_is_believed_once_a_lost_answer_is_waited_for_no_longer(
    workshop: Workshop, receiver: Served, sandbox: Any, retryable: bool
) -> None:
    fails(sandbox, retryable=retryable)
    job_id = lost(workshop, sandbox)
    tell(workshop, job_id, sandbox.tasks(PROVIDER)[0]["task_id"])
    tell(workshop, job_id, "made-up")
    happens(workshop, job_id, "failure_in_doubt")
    Ahead(workshop).leap(workshop.settings.unconfirmed_window_s)
    case = workshop.until(job_id, State.ARCHIVED if retryable else State.FAILED)
    assert case.attempts[1].outcome is AttemptOutcome.FAILED
    assert case.attempts[1].standing is Standing.REFUNDED
    assert len(sandbox.tasks(PROVIDER)) == 2 if retryable else 1


def test_of_two_tasks_that_may_both_be_its_own_none_is_archived_and_a_person_decides(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    job_id, _foreign, own = told_of_two(workshop, sandbox)
    job = workshop.case(job_id).job
    assert (job.state, job.flagged) == (State.ARCHIVING, "contested_task")
    assert attention_of(workshop, job_id) == {"contested_task"}
    settling.name_task(job_id, 1, own, workshop.core)
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.attempts[1].task_id, case.job.flagged) == (own, None)


def test_a_named_task_that_its_gateway_has_forgotten_leaves_the_other_one_undecided(
    workshop: Workshop, receiver: Served, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, foreign, own = told_of_two(workshop, sandbox)
    borne = bears(workshop, job_id)
    named = own if borne == foreign else foreign
    real = workshop.resources.client.ask

    def ask(provider: Any, account: Any, request: Any, **more: Any) -> Any:
        return real(provider, account, replace(request, path=request.path.replace(named, "forgotten")), **more)

    monkeypatch.setattr(workshop.resources.client, "ask", ask)
    settling.name_task(job_id, 1, named, workshop.core)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(job_id).attempts[1].named_refused, "refused")
    kept_again = lambda: workshop.sweep() is not None and workshop.history(job_id).count("kept_aside") == 2  # noqa: E731
    workshop.await_(kept_again, "its film is kept aside again", job_id=job_id)
    assert (workshop.state(job_id), bears(workshop, job_id)) == (State.ARCHIVING, borne)
    settling.name_task(job_id, 1, str(borne), workshop.core)
    assert workshop.until(job_id, State.ARCHIVED).attempts[1].task_id == borne


def test_what_is_told_while_the_first_one_runs_is_asked_about(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault(PROVIDER, "stall")
    foreign, job_id = elsewhere(workshop, sandbox), lost(workshop, sandbox)
    tell(workshop, job_id, foreign)
    happens(workshop, job_id, "task_adopted")
    tell(workshop, job_id, sandbox.tasks(PROVIDER)[1]["task_id"])
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(job_id).job.flagged, "it is told")
    assert workshop.case(job_id).job.flagged == "contested_task"


def test_a_film_that_contradicts_what_was_ordered_is_not_its_orders(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.set(film="real")  # of the size and shape that was ordered
    foreign, job_id = elsewhere(workshop, sandbox, ratio="9:16"), lost(workshop, sandbox)
    tell(workshop, job_id, foreign)
    happens(workshop, job_id, "task_given_back")
    assert workshop.case(job_id).attempts[1].rejected_task_ids == [foreign]
    own = sandbox.tasks(PROVIDER)[1]["task_id"]
    tell(workshop, job_id, own)
    assert workshop.until(job_id, State.ARCHIVED).attempts[1].task_id == own


@pytest.mark.parametrize("told", ["its task to another order", "another task to its order"])
def test_what_is_contested_by_the_end_of_the_copy_is_not_put(
    workshop: Workshop, receiver: Served, sandbox: Any, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    job_id = lost(workshop, sandbox)
    task_id = sandbox.tasks(PROVIDER)[0]["task_id"]
    real, puts = archiving._put, []

    def put(case: Any, *args: Any) -> Any:
        if not puts and told.startswith("another"):
            tell(workshop, job_id, "another")
        elif not puts:
            other = lost(workshop, sandbox)
            tell(workshop, other, task_id)
            workshop.await_(lambda: is_contested(other), "it is contested")
        puts.append(case)
        return real(case, *args)

    def is_contested(other: str) -> bool:
        RUN["jobs.reconcile"](other, workshop.resources)
        return workshop.case(job_id).attempts[1].contested

    monkeypatch.setattr(archiving, "_put", put)
    tell(workshop, job_id, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and "kept_aside" in workshop.history(job_id), "it is kept")
    assert len(puts) == 1
    assert workshop.state(job_id) is State.ARCHIVING
    assert workshop.bucket.head(workshop.case(job_id).job.archive_key) is None


@pytest.mark.parametrize("elsewhere", [False, True], ids=["at its gateway", "at another one"])
@pytest.mark.parametrize("outcome", [AttemptOutcome.NOT_SENT, AttemptOutcome.REFUSED])
def test_a_callback_for_an_order_that_was_not_made_shows_that_commits_were_lost(
    workshop: Workshop, receiver: Served, sandbox: Any, outcome: AttemptOutcome, elsewhere: bool
) -> None:
    """A replica that lagged took the database's place; the job was planned anew under the same number, in vain."""
    job_id = lost(workshop, sandbox)
    own = sandbox.tasks(PROVIDER)[0]["task_id"]
    orders, jobs = tables.attempts, tables.jobs
    unmade = {"outcome": outcome, "standing": Standing.NONE, "sending_at": None, "lost_at": None, "sends": 0}
    unmade |= {"reserved_micro_usd": 0, **({"provider": "gravitex"} if elsewhere else {})}
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        db.execute(sa.update(orders).where(orders.c.job_id == job_id).values(**unmade, created_at=now))
        db.execute(sa.update(tables.spending).values(micro_usd=0))
        later = {"state": State.QUEUED, "alarm_at": now + timedelta(minutes=5), "version": jobs.c.version + 1}
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**later))
    tell(workshop, job_id, own)
    case = workshop.until(job_id, State.ARCHIVED)
    order = case.attempts[1]
    assert (list(case.attempts), order.provider, order.task_id, order.adopted) == ([1], PROVIDER, own, True)
    assert [len(sandbox.tasks(name)) for name in (PROVIDER, "gravitex")] == [1, 0]


def test_such_a_callback_wakes_a_job_that_has_failed_meanwhile(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    job_id = lost(workshop, sandbox)
    own = sandbox.tasks(PROVIDER)[0]["task_id"]
    orders, jobs = tables.attempts, tables.jobs
    refused = {"outcome": AttemptOutcome.REFUSED, "standing": Standing.NONE, "lost_at": None, "reserved_micro_usd": 0}
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        db.execute(sa.update(orders).where(orders.c.job_id == job_id).values(**refused, created_at=now, closed_at=now))
        db.execute(sa.update(tables.spending).values(micro_usd=0))
        ended = {"state": State.FAILED, "alarm_at": None, "ended_at": now, "version": jobs.c.version + 1}
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**ended, error_code="invalid_request"))
    adopts(workshop, job_id, own)
    order = workshop.case(job_id).attempts[1]
    assert (order.outcome, order.standing) in {
        (AttemptOutcome.OPEN, Standing.HELD),  # it runs yet
        (AttemptOutcome.FINISHED, Standing.CHARGED),
        (AttemptOutcome.DELIVERED, Standing.CHARGED),
    }
    assert len(sandbox.tasks(PROVIDER)) == 1
