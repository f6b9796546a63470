"""A task that callbacks told to orders of two jobs: a person sees it on both, and nobody's own task is struck."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import cast

import pytest
import sqlalchemy as sa
from benches import worker
from callback_bench import Knows, hear, look, lost
from rows import DAY, SECOND, Rows

from jobs.errors import TaskTaken
from jobs.intake import settling
from jobs.machine.outcome import Facts
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.providers.registry import PROVIDERS
from jobs.reports import attention
from jobs.reports.attention_items import Looking
from jobs.request.generation import Film
from jobs.steps import aside, ownership
from jobs.steps.ownership import Doubt
from jobs.steps.resources import Resources
from jobs.store import contests, late_facts
from jobs.store.tables import attempts, hearsay, jobs

pytestmark = pytest.mark.both_databases

OLD = Account("evolink", "https://gateway", "sk-0")  # replaced since


@pytest.fixture
def gateway() -> Knows:
    gateway = Knows()
    gateway.tasks = {"t"}
    return gateway


@pytest.fixture
def resources(rows: Rows, gateway: Knows) -> Resources:
    return worker(rows, gateway)


@pytest.fixture
def contested(rows: Rows, resources: Resources) -> tuple[str, str]:
    """Two lost orders that were told the same task: who bears it, and who was told of it later."""
    first, second = lost(rows), lost(rows)
    for job_id in (first, second):
        hear(rows, job_id, "t")
        look(rows, job_id, resources)
    return first, second


def told(rows: Rows) -> dict[str | None, str | None]:
    """What attention has about contested tasks: by job, the task."""
    looking = Looking(rows.core.settings, PROVIDERS, rows.now)
    items = rows.write(lambda db: list(attention.items(db, looking)))
    found = [(item.job_id, item.task_id) for item in items if item.reason == "contested_task" and item.until]
    assert len(found) == len({job_id for job_id, _ in found}) == sum(i.reason == "contested_task" for i in items)
    return dict(found)


def look_until(rows: Rows, job_id: str, resources: Resources, end: datetime) -> None:
    """At each of the job's alarms until then, or until it has none."""
    while (alarm_at := rows.case(job_id).job.alarm_at) is not None and alarm_at < end:
        look(rows, job_id, resources)


def task_of(rows: Rows, job_id: str) -> str | None:
    return rows.case(job_id).attempts[1].task_id


def test_it_is_told_on_both_and_the_later_one_is_not_struck(rows: Rows, contested: tuple[str, str]) -> None:
    first, second = contested
    assert (task_of(rows, first), task_of(rows, second)) == ("t", None)
    assert rows.case(second).attempts[1].rejected_task_ids == []
    assert [rows.case(job_id).job.flagged for job_id in contested] == ["contested_task"] * 2
    assert told(rows) == {first: "t", second: "t"}
    for job_id in contested:
        assert "task_contested" in [event for event, *_ in rows.history(job_id)]


def test_the_answer_to_a_post_decides(rows: Rows, resources: Resources, contested: tuple[str, str]) -> None:
    first, second = contested
    rows.write(lambda db: late_facts.bring_facts(db, second, Facts({1: {"task_id": "t"}}), now=rows.now))
    assert (task_of(rows, first), task_of(rows, second)) == (None, "t")
    assert rows.case(first).attempts[1].rejected_task_ids == ["t"]
    for job_id in contested:
        look(rows, job_id, resources)
    assert told(rows) == {}


def test_the_later_one_finds_a_task_of_its_own(
    rows: Rows, resources: Resources, gateway: Knows, contested: tuple[str, str]
) -> None:
    first, second = contested
    gateway.tasks.add("own")
    rows.now += SECOND
    hear(rows, second, "own")
    look(rows, second, resources)
    look(rows, first, resources)
    assert (task_of(rows, first), task_of(rows, second)) == ("t", "own")
    assert told(rows) == {first: "t", second: "t"}  # that one may be another's as well
    rows.write(lambda db: late_facts.bring_facts(db, second, Facts({1: {"task_id": "own"}}), now=rows.now))
    for job_id in contested:
        look(rows, job_id, resources)
    assert (task_of(rows, first), task_of(rows, second)) == ("t", "own")
    assert [rows.case(job_id).job.flagged for job_id in contested] == [None, None]
    assert told(rows) == {}
    assert not rows.case(first).attempts[1].contested


@pytest.mark.parametrize("is_pruned", [True, False])
def test_it_ends_once_nobody_is_left_who_may_lay_claim_to_it(
    rows: Rows, resources: Resources, gateway: Knows, contested: tuple[str, str], is_pruned: bool
) -> None:
    first, second = contested
    ownership.end_contests(rows.case(first), resources)
    assert rows.case(first).attempts[1].contested
    if is_pruned:
        rows.write(lambda db: db.execute(sa.delete(hearsay).where(hearsay.c.job_id == second)))
    else:
        gateway.tasks.clear()
        look_until(rows, second, resources, rows.now + 3 * DAY)
        assert rows.case(second).job.state is State.FAILED
        ownership.end_contests(rows.case(first), resources)
        assert rows.case(first).attempts[1].contested  # a link of its task may live for another day
        rows.now += DAY
    ownership.end_contests(rows.case(first), resources)
    case = rows.case(first)
    assert (case.attempts[1].contested, case.job.flagged) == (False, None)
    assert "contest_lapsed" in [event for event, *_ in rows.history(first)]


def test_a_person_names_it_for_the_later_one(rows: Rows, resources: Resources, contested: tuple[str, str]) -> None:
    first, second = contested
    settling.name_task(second, 1, "t", rows.core)
    look(rows, second, resources)
    look(rows, first, resources)
    assert (task_of(rows, first), task_of(rows, second)) == (None, "t")
    assert rows.case(first).job.state is State.UNCONFIRMED
    assert rows.case(second).job.state is State.GENERATING
    assert told(rows) == {}


def test_a_person_names_it_for_the_one_that_bears_it(
    rows: Rows, resources: Resources, contested: tuple[str, str]
) -> None:
    first, second = contested
    settling.name_task(first, 1, "t", rows.core)
    look(rows, second, resources)
    look(rows, first, resources)
    assert (task_of(rows, first), task_of(rows, second)) == ("t", None)
    assert rows.case(second).attempts[1].rejected_task_ids == ["t"]
    assert [rows.case(job_id).job.flagged for job_id in contested] == [None, None]
    assert told(rows) == {}


def test_one_that_was_archived_already_is_told_as_well(rows: Rows, resources: Resources) -> None:
    first, second = lost(rows), lost(rows)
    hear(rows, first, "t")
    look(rows, first, resources)
    over = sa.update(jobs).where(jobs.c.id == first).values(state=State.ARCHIVED, alarm_at=None)
    rows.write(lambda db: db.execute(over))
    hear(rows, second, "t")
    look(rows, second, resources)
    assert rows.case(first).job.flagged == "contested_task"
    assert told(rows) == {first: "t", second: "t"}


@pytest.mark.parametrize("state", [State.GENERATING, State.ARCHIVED])
def test_a_person_takes_it_from_one_that_has_it_by_a_callback_alone(
    rows: Rows, resources: Resources, state: State
) -> None:
    """Nobody has told its owner of it, and no job shows that anything is wrong."""
    bearer, owner = lost(rows), lost(rows)
    hear(rows, bearer, "t")
    look(rows, bearer, resources)
    rows.write(lambda db: db.execute(sa.update(jobs).where(jobs.c.id == bearer).values(state=state)))
    settling.name_task(owner, 1, "t", rows.core)
    look(rows, owner, resources)
    assert (task_of(rows, bearer), task_of(rows, owner)) == (None, "t")
    assert rows.case(bearer).attempts[1].rejected_task_ids == ["t"]
    assert rows.case(bearer).job.flagged == ("foreign_task" if state is State.ARCHIVED else None)


def test_nobody_takes_it_from_one_for_which_a_person_named_it(rows: Rows, resources: Resources) -> None:
    bearer, other = lost(rows), lost(rows)
    settling.name_task(bearer, 1, "t", rows.core)
    look(rows, bearer, resources)
    with pytest.raises(TaskTaken, match=f"of {bearer}: a person has named it"):
        settling.name_task(other, 1, "t", rows.core)


def test_a_task_that_another_order_was_told_beside_its_own_is_contested_from_the_first(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    """Nobody bore it when that one asked about it."""
    gateway.tasks = {"t", "u"}
    first, second = lost(rows), lost(rows)
    for task_id in ("u", "t"):
        hear(rows, first, task_id)
        look(rows, first, resources)
        rows.now += SECOND
    hear(rows, second, "t")
    look(rows, second, resources)
    assert (task_of(rows, first), task_of(rows, second)) == ("u", "t")
    assert [rows.case(job_id).job.flagged for job_id in (first, second)] == ["contested_task"] * 2
    assert rows.case(second).attempts[1].contested
    settling.name_task(second, 1, "t", rows.core)
    look(rows, second, resources)
    assert not rows.case(second).attempts[1].contested


class TestUnderAnotherKey:
    """A gateway may show a task to every key of its account, and keys are replaced."""

    @pytest.fixture
    def resources(self, rows: Rows, gateway: Knows) -> Resources:
        settings = replace(rows.core.settings, previous_accounts={"evolink": OLD})
        return worker(rows, gateway, settings=settings)

    def test_a_task_that_was_answered_is_its_orders(self, rows: Rows, resources: Resources) -> None:
        owner, other = rows.job(State.GENERATING), lost(rows)
        rows.attempt(owner, account=OLD.fingerprint, task_id="t", accepted_at=rows.now)
        hear(rows, other, "t")
        look(rows, other, resources)
        assert (task_of(rows, owner), task_of(rows, other)) == ("t", None)
        assert rows.case(other).attempts[1].rejected_task_ids == ["t"]

    def test_one_that_both_were_told_is_contested_until_one_is_proven(
        self, rows: Rows, resources: Resources, gateway: Knows
    ) -> None:
        first, second = lost(rows, account=OLD.fingerprint), lost(rows)
        for job_id in (first, second):
            hear(rows, job_id, "t")
            look(rows, job_id, resources)
        assert told(rows) == {first: "t", second: "t"}
        gateway.tasks.add("own")
        rows.now += SECOND
        hear(rows, second, "own")
        look(rows, second, resources)
        look(rows, first, resources)
        assert told(rows) == {first: "t", second: "t"}
        rows.write(lambda db: late_facts.bring_facts(db, second, Facts({1: {"task_id": "own"}}), now=rows.now))
        for job_id in (first, second):
            look(rows, job_id, resources)
        assert told(rows) == {}
        assert (task_of(rows, first), task_of(rows, second)) == ("t", "own")

    def test_the_answer_to_a_post_takes_it_from_a_guess(self, rows: Rows, resources: Resources) -> None:
        first, second = lost(rows, account=OLD.fingerprint), lost(rows)
        hear(rows, first, "t")
        look(rows, first, resources)
        rows.write(lambda db: late_facts.bring_facts(db, second, Facts({1: {"task_id": "t"}}), now=rows.now))
        assert (task_of(rows, first), task_of(rows, second)) == (None, "t")

    def test_a_film_waits_for_lost_orders_under_the_other_key_and_is_found_by_whoever_gets_it(
        self, rows: Rows, resources: Resources
    ) -> None:
        first, second = lost(rows, account=OLD.fingerprint), lost(rows)
        hear(rows, second, "t")
        look(rows, second, resources)
        bearer, other = rows.case(second).attempts[1], rows.case(first).attempts[1]
        assert rows.write(lambda db: contests.may_be_of(db, bearer)) == [other]
        config = SimpleNamespace(bucket=SimpleNamespace(config=SimpleNamespace(prefix="p/")))
        keys = {aside.contested(replace(each, task_id="t"), cast(Resources, config)) for each in (bearer, other)}
        assert len(keys) == 1


def test_a_film_waits_for_a_lost_order_that_was_sent_again_after_its_task_was_heard_of(
    rows: Rows, resources: Resources, gateway: Knows
) -> None:
    """A re-send says when it left last; its first POST may have made the task long before."""
    first, second = lost(rows), lost(rows)
    hear(rows, second, "t")
    look(rows, second, resources)
    bearer = rows.case(second).attempts[1]
    assert bearer.accepted_at is not None
    again = {"sending_at": bearer.accepted_at + SECOND}
    rows.write(lambda db: db.execute(sa.update(attempts).where(attempts.c.job_id == first).values(**again)))
    assert [each.job_id for each in rows.write(lambda db: contests.may_be_of(db, bearer))] == [first]


def test_a_film_that_was_looked_at_before_it_was_decided_takes_the_task_from_nobody(
    rows: Rows, resources: Resources, contested: tuple[str, str]
) -> None:
    """A person has said whose it is while the film was fetched."""
    first, second = contested
    doubt = Doubt(rows.case(first).attempts[1], (rows.case(second).attempts[1],))
    settling.name_task(first, 1, "t", rows.core)
    rows.write(
        lambda db: db.execute(
            sa.update(jobs).where(jobs.c.id == first).values(request={"prompt": "A fox", "duration": 9})
        )
    )
    assert not ownership.is_ours(Film(5.0, 1920, 1080), doubt, resources)
    assert (task_of(rows, first), task_of(rows, second)) == ("t", None)
