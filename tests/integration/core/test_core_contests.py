"""Two jobs lay claim to one task by callbacks: neither is archived until it is decided, and no film is lost by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from canaries import canary
from lost_orders import PROVIDER, adopts, bears, kept, lost, tell, told_on_both
from served import Served
from workshop import Ahead, Workshop, account

from jobs.intake import settling
from jobs.machine.outcome import Facts, Inquired
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.store import late_facts
from jobs.store.tables import attempts
from storage.errors import LinkDead


def forget_links(workshop: Workshop) -> None:
    """Every link of a gateway is dead from now on; the bucket's own are not."""
    real, own = workshop.resources.fetch, str(workshop.resources.bucket.config.endpoint_url)

    def fetch(session: Any, url: str, **more: Any) -> Any:
        if not url.startswith(own):
            raise LinkDead("the link answers 403", status=403)
        return real(session, url, **more)

    workshop.resources.fetch = fetch


@pytest.fixture
def contested(workshop: Workshop, receiver: Served, sandbox: Any) -> tuple[str, str, str]:
    """The liar's victim, the true owner, and the owner's task, of which both were told before it was finished."""
    sandbox.fault(PROVIDER, "stall", times=2)
    victim, owner = lost(workshop, sandbox), lost(workshop, sandbox)
    task_id = sandbox.tasks(PROVIDER)[1]["task_id"]
    tell(workshop, victim, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(victim).attempts[1].task_id, "it is adopted")
    tell(workshop, owner, task_id)
    told_on_both(workshop, victim, owner)
    sandbox.clear()  # now they finish
    return victim, owner, task_id


def test_while_it_is_undecided_neither_is_archived_and_the_film_is_kept(
    workshop: Workshop, contested: tuple[str, str, str]
) -> None:
    victim, owner, _ = contested
    ends = {"kept_aside", "store"}
    workshop.await_(lambda: workshop.sweep() is not None and ends & set(workshop.history(victim)), "it is kept")
    assert (workshop.state(victim), workshop.state(owner)) == (State.ARCHIVING, State.UNCONFIRMED)
    kept = list(workshop.resources.bucket.listing(f"{workshop.resources.bucket.config.prefix}contested/"))
    assert len(kept) == 1


@pytest.mark.parametrize("link_lives", [True, False])
def test_a_person_decides_and_the_true_owner_has_its_film_though_the_link_be_dead(
    workshop: Workshop, sandbox: Any, contested: tuple[str, str, str], link_lives: bool
) -> None:
    victim, owner, task_id = contested
    workshop.await_(lambda: workshop.sweep() is not None and "kept_aside" in workshop.history(victim), "it is kept")
    if not link_lives:
        forget_links(workshop)
    settling.name_task(owner, 1, task_id, workshop.core)
    case = workshop.until(owner, State.ARCHIVED)
    assert (case.attempts[1].task_id, case.attempts[1].outcome) == (task_id, AttemptOutcome.DELIVERED)
    assert workshop.case(victim).attempts[1].task_id is None
    assert workshop.state(victim) is State.UNCONFIRMED


def test_a_person_says_again_what_another_order_was_told_since(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault(PROVIDER, "stall", times=2)
    owner, other = lost(workshop, sandbox), lost(workshop, sandbox)
    task_id = sandbox.tasks(PROVIDER)[0]["task_id"]
    settling.name_task(owner, 1, task_id, workshop.core)
    workshop.await_(lambda: workshop.sweep() is not None and bears(workshop, owner) == task_id, "it is believed")
    tell(workshop, other, task_id)
    told_on_both(workshop, owner, other)
    settling.name_task(owner, 1, task_id, workshop.core)
    sandbox.clear()
    assert workshop.until(owner, State.ARCHIVED).job.flagged is None


def test_an_order_whose_task_a_person_named_lays_claim_to_no_other_that_it_was_told_of(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """Both are asked about in one round, while another job has the other one by hearsay."""
    sandbox.fault(PROVIDER, "stall", times=2)
    other, job_id = lost(workshop, sandbox), lost(workshop, sandbox)
    of_other, own = (task["task_id"] for task in sandbox.tasks(PROVIDER))
    adopts(workshop, other, of_other)
    tell(workshop, job_id, of_other)
    settling.name_task(job_id, 1, own, workshop.core)
    adopted: Any = {"task_id": own, "adopted": True, "outcome": AttemptOutcome.OPEN, "standing": Standing.HELD}
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        facts = Facts({1: adopted}, inquired={(1, of_other): Inquired(True, now, is_rival=True)})
        late_facts.resolve_task_ids(db, workshop.case(job_id), facts, now=now)
    assert not workshop.case(other).attempts[1].contested


def test_after_a_key_was_replaced_no_order_is_given_a_task_that_the_old_one_was_answered_with(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """A gateway may show a task to every key of its account."""
    owner = workshop.create(provider=PROVIDER)
    workshop.until(owner, State.ARCHIVED)
    old = replace(account(workshop, PROVIDER), api_key=canary())
    workshop.settings = replace(workshop.settings, previous_accounts={PROVIDER: old})
    workshop.resources.settings = workshop.settings
    with workshop.database.write() as db:
        db.execute(sa.update(attempts).where(attempts.c.job_id == owner).values(account=old.fingerprint))
    victim, task_id = lost(workshop, sandbox), str(workshop.case(owner).attempts[1].task_id)
    tell(workshop, victim, task_id)
    ends = {"task_id_taken", "store"}
    workshop.await_(lambda: workshop.sweep() is not None and ends & set(workshop.history(victim)), "it is asked about")
    assert workshop.state(victim) is State.UNCONFIRMED
    assert workshop.case(victim).attempts[1].rejected_task_ids == [task_id]


def test_a_person_takes_an_archived_film_back_for_the_order_that_made_it(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """Its owner was told of it by nobody, and no job shows that anything is wrong."""
    victim, owner = lost(workshop, sandbox), lost(workshop, sandbox)
    task_id = sandbox.tasks(PROVIDER)[1]["task_id"]
    tell(workshop, victim, task_id)
    kept(workshop, victim)
    Ahead(workshop).leap(901)  # a lost answer is waited for no longer than that
    workshop.until(victim, State.ARCHIVED)
    assert workshop.case(victim).job.flagged is None
    settling.name_task(owner, 1, task_id, workshop.core)
    assert workshop.until(owner, State.ARCHIVED).attempts[1].task_id == task_id
    assert (workshop.case(victim).job.flagged, workshop.case(victim).attempts[1].task_id) == ("foreign_task", None)


class TestAFilmThatOthersMayHaveOrdered:
    """Its order was told a task by a callback, and another order's answer was lost as well."""

    def test_it_waits_until_the_other_one_is_told_and_neither_is_archived(
        self, workshop: Workshop, receiver: Served, sandbox: Any
    ) -> None:
        victim, owner = lost(workshop, sandbox), lost(workshop, sandbox)
        task_id = sandbox.tasks(PROVIDER)[1]["task_id"]
        tell(workshop, victim, task_id)
        kept(workshop, victim)
        assert workshop.state(victim) is State.ARCHIVING
        tell(workshop, owner, task_id)
        told_on_both(workshop, victim, owner)
        assert (workshop.state(victim), workshop.state(owner)) == (State.ARCHIVING, State.UNCONFIRMED)

    def test_it_is_archived_once_the_other_one_has_a_task_of_its_own(
        self, workshop: Workshop, receiver: Served, sandbox: Any
    ) -> None:
        first, second = lost(workshop, sandbox), lost(workshop, sandbox)
        tell(workshop, first, sandbox.tasks(PROVIDER)[0]["task_id"])
        kept(workshop, first)
        tell(workshop, second, sandbox.tasks(PROVIDER)[1]["task_id"])
        workshop.until(second, State.ARCHIVED)
        Ahead(workshop).leap(60)  # less than a lost answer is waited for
        workshop.until(first, State.ARCHIVED)

    def test_it_waits_no_longer_than_for_a_lost_answer(
        self, workshop: Workshop, receiver: Served, sandbox: Any
    ) -> None:
        first, second = lost(workshop, sandbox), lost(workshop, sandbox)
        tell(workshop, first, sandbox.tasks(PROVIDER)[0]["task_id"])
        kept(workshop, first)
        clock = Ahead(workshop)
        clock.leap(workshop.settings.unconfirmed_window_s - 30)
        workshop.sweep()
        assert workshop.state(first) is State.ARCHIVING
        clock.leap(30)
        workshop.until(first, State.ARCHIVED)
        assert workshop.state(second) is State.UNCONFIRMED

    def test_an_order_that_left_later_cannot_have_made_it(
        self, workshop: Workshop, receiver: Served, sandbox: Any
    ) -> None:
        first = lost(workshop, sandbox)
        sandbox.fault(PROVIDER, "stall")
        tell(workshop, first, sandbox.tasks(PROVIDER)[0]["task_id"])
        workshop.await_(lambda: workshop.sweep() is not None and workshop.case(first).attempts[1].task_id, "adopted")
        lost(workshop, sandbox)
        sandbox.clear()
        workshop.until(first, State.ARCHIVED)
        assert "kept_aside" not in workshop.history(first)

    @pytest.mark.parametrize("other", [{"duration": 3}, {"resolution": "1080p"}, {"ratio": "9:16"}])
    def test_a_film_that_only_its_own_order_asked_for_does_not_wait(
        self, workshop: Workshop, receiver: Served, sandbox: Any, other: dict[str, Any]
    ) -> None:
        sandbox.set(film="real")  # of the size and shape that was ordered
        first, _ = lost(workshop, sandbox), lost(workshop, sandbox, **other)
        tell(workshop, first, sandbox.tasks(PROVIDER)[0]["task_id"])
        workshop.until(first, State.ARCHIVED)

    @pytest.mark.parametrize("owner_is_told", [True, False])
    def test_a_film_that_only_the_other_order_asked_for_waits_and_goes_there(
        self, workshop: Workshop, receiver: Served, sandbox: Any, owner_is_told: bool
    ) -> None:
        sandbox.set(film="real")  # of the size and shape that was ordered
        victim, owner = lost(workshop, sandbox), lost(workshop, sandbox, duration=3)
        task_id = sandbox.tasks(PROVIDER)[1]["task_id"]
        tell(workshop, victim, task_id)
        kept(workshop, victim)
        assert workshop.state(victim) is State.ARCHIVING
        if owner_is_told:
            tell(workshop, owner, task_id)
        case = workshop.until(owner, State.ARCHIVED)
        assert (case.attempts[1].task_id, round(case.job.duration_s or 0)) == (task_id, 3)
        told = workshop.case(victim)
        assert (told.job.state, told.job.flagged) == (State.UNCONFIRMED, None)
        assert (told.attempts[1].task_id, told.attempts[1].rejected_task_ids) == (None, [task_id])
        tell(workshop, victim, sandbox.tasks(PROVIDER)[0]["task_id"])
        assert round(workshop.until(victim, State.ARCHIVED).job.duration_s or 0) == 2


def test_a_lie_about_a_film_that_its_order_asked_for_costs_time_alone(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.set(film="real")  # of the size and shape that was ordered
    sandbox.fault(PROVIDER, "stall", times=2)
    owner, other = lost(workshop, sandbox), lost(workshop, sandbox, duration=3)
    task_id = sandbox.tasks(PROVIDER)[0]["task_id"]
    tell(workshop, owner, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(owner).attempts[1].task_id, "it is adopted")
    tell(workshop, other, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(owner).job.flagged, "it is contested")
    sandbox.clear()
    case = workshop.until(owner, State.ARCHIVED)
    assert (case.attempts[1].task_id, case.job.flagged) == (task_id, None)
    told = workshop.case(other)
    assert (told.job.state, told.job.flagged) == (State.UNCONFIRMED, None)
    assert told.attempts[1].rejected_task_ids == [task_id]
