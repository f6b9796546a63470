"""Keeping callbacks: the rows of the design's table in section 5, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from rows import DAY, NOW, SECOND, Rows

from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED, State
from jobs.store import leases
from jobs.store.tables import jobs

pytestmark = pytest.mark.both_databases


def live(rows: Rows) -> str:
    job_id = rows.job(State.GENERATING, alarm_at=NOW + DAY)
    rows.attempt(job_id)
    return job_id


def read_all(rows: Rows, job_id: str) -> None:
    lease = rows.lease(job_id)
    outcome = Outcome(alarm_at=NOW + DAY, facts=Facts(read=tuple(x.id for x in lease.case.unread)))
    assert rows.write(lambda db: leases.finish_step(db, lease, outcome, now=NOW))


def test_a_first_readable_callback_is_kept_wakes_the_job_and_rings(rows: Rows) -> None:
    job_id = live(rows)
    kept = rows.callback(job_id)
    assert (kept.status, kept.state, kept.ring, kept.kept) == (200, State.GENERATING, True, True)
    case = rows.case(job_id)
    assert [(x.attempt, x.task_id, x.readable) for x in case.unread] == [(1, "task-1", True)]
    assert (case.job.alarm_at, case.job.version) == (NOW, 1)


def test_it_never_touches_a_lease(rows: Rows) -> None:
    job_id = live(rows)
    lease = rows.lease(job_id)
    rows.callback(job_id)
    job = rows.case(job_id).job
    assert (job.lease_holder, job.leased_until) == ("A", lease.job.leased_until)


def test_the_same_again_writes_nothing_and_rings_once_more_while_it_is_unread(rows: Rows) -> None:
    job_id = live(rows)
    rows.callback(job_id)
    before = rows.case(job_id)
    again = rows.callback(job_id)
    assert (again.status, again.ring) == (200, True)
    assert rows.case(job_id) == before


def test_the_same_again_after_it_was_read_rings_no_more(rows: Rows) -> None:
    job_id = live(rows)
    rows.callback(job_id)
    read_all(rows, job_id)
    before = rows.case(job_id)
    again = rows.callback(job_id)
    assert (again.status, again.ring) == (200, False)
    assert rows.case(job_id) == before


def test_the_same_again_gets_the_first_answer(rows: Rows) -> None:
    job_id = live(rows)
    assert rows.callback(job_id, b"x", readable=False, task_id=None, status=400).status == 400
    assert rows.callback(job_id, b"x", status=200).status == 400


def test_what_cannot_be_read_is_kept_and_rings_all_the_same(rows: Rows) -> None:
    job_id = live(rows)
    kept = rows.callback(job_id, b"<html>", readable=False, task_id=None, status=400)
    assert (kept.status, kept.ring, kept.kept) == (400, True, True)
    assert [x.readable for x in rows.case(job_id).unread] == [False]


def test_another_body_is_other_news(rows: Rows) -> None:
    job_id = live(rows)
    rows.callback(job_id, b"1")
    rows.callback(job_id, b"2")
    assert len(rows.case(job_id).unread) == 2
    assert rows.case(job_id).job.version == 2


def test_the_same_body_of_another_attempt_is_other_news(rows: Rows) -> None:
    job_id = live(rows)
    rows.callback(job_id, attempt=1)
    rows.callback(job_id, attempt=2)
    assert [x.attempt for x in rows.case(job_id).unread] == [1, 2]


def test_an_ended_job_keeps_it_and_rings_while_an_attempt_is_open(rows: Rows) -> None:
    job_id = rows.job(State.FAILED, alarm_at=NOW + DAY)
    rows.attempt(job_id)
    kept = rows.callback(job_id)
    assert (kept.status, kept.ring, kept.kept) == (200, True, True)
    assert rows.case(job_id).job.alarm_at == NOW


def test_an_archived_and_settled_job_keeps_it_and_is_not_disturbed(rows: Rows) -> None:
    job_id = rows.job(State.ARCHIVED, alarm_at=None)
    rows.attempt(job_id, outcome=AttemptOutcome.DELIVERED, standing=Standing.CHARGED)
    before = rows.case(job_id).job
    kept = rows.callback(job_id)
    assert (kept.status, kept.ring, kept.kept) == (200, False, True)
    assert rows.case(job_id).job == before
    assert not rows.callback(job_id).ring  # nor by the same again


def test_an_ended_job_is_woken_for_an_order_that_has_no_row(rows: Rows) -> None:
    """Only we mint its token: the order was made, and a backup has forgotten it."""
    job_id = rows.job(State.FAILED, alarm_at=None)
    rows.attempt(job_id, outcome=AttemptOutcome.FAILED, standing=Standing.REFUNDED)
    assert rows.callback(job_id, attempt=2).ring
    assert rows.case(job_id).job.alarm_at == NOW


@pytest.mark.parametrize(
    ("outcome", "standing"),
    [
        (AttemptOutcome.NOT_MADE, Standing.NONE),
        (AttemptOutcome.EXPIRED, Standing.UNCERTAIN),
        (AttemptOutcome.FAILED, Standing.REFUNDED),
    ],
)
@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ended_job_is_woken_for_an_order_without_a_video_while_its_task_and_link_can_live(
    rows: Rows, state: State, outcome: AttemptOutcome, standing: Standing
) -> None:
    """Whoever called it over may have been wrong: a person, the end of a window, or the gateway itself."""
    job_id = rows.job(state, alarm_at=None)
    rows.attempt(job_id, outcome=outcome, standing=standing)
    rows.now += 2 * DAY - SECOND  # the lives of EvoLink's tasks and links
    kept = rows.callback(job_id, b"1")
    assert (kept.status, kept.ring, kept.kept) == (200, True, True)
    assert (rows.case(job_id).job.alarm_at, rows.case(job_id).job.version) == (rows.now, 1)
    rows.write(lambda db: db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(alarm_at=None)))
    rows.now += SECOND
    assert not rows.callback(job_id, b"2").ring
    assert rows.case(job_id).job.alarm_at is None


def test_even_garbage_for_an_ended_job_is_answered_with_200(rows: Rows) -> None:
    job_id = rows.job(State.ARCHIVED, alarm_at=None)
    assert rows.callback(job_id, readable=False, task_id=None, status=400).status == 200


def test_a_job_that_this_database_does_not_know_keeps_it(rows: Rows) -> None:
    kept = rows.callback("job_restored_elsewhere")
    assert (kept.status, kept.state, kept.ring, kept.kept) == (200, None, False, True)
    assert rows.callback("job_restored_elsewhere").kept


def test_over_the_limit_of_an_attempt_no_body_is_kept_and_its_task_id_is_news_once(rows: Rows) -> None:
    job_id = live(rows)
    for n in range(3):
        rows.callback(job_id, b"%d" % n, longest=3)
    read_all(rows, job_id)
    before = rows.case(job_id)
    over = rows.callback(job_id, b"one more", longest=3, task_id="another")
    assert (over.status, over.ring, over.kept) == (200, True, False)
    after = rows.case(job_id)
    assert (after.job.version, len(after.callbacks)) == (before.job.version + 1, 3)
    assert {x.task_id for x in after.hearsay} == {"task-1", "another"}
    assert not rows.callback(job_id, b"in other words", longest=3, task_id="another").ring
    assert rows.case(job_id) == after


def test_over_the_limit_of_an_attempt_nothing_known_is_kept(rows: Rows) -> None:
    job_id = live(rows)
    for n in range(3):
        assert rows.callback(job_id, b"%d" % n, longest=3).kept
    read_all(rows, job_id)
    before = rows.case(job_id)
    over = rows.callback(job_id, b"one more", longest=3)
    assert (over.status, over.ring, over.kept) == (200, False, False)
    assert rows.case(job_id) == before
    assert rows.callback(job_id, b"one more", longest=3, attempt=2).kept  # each attempt has a limit of its own
    assert rows.callback(job_id, b"1", longest=3).kept  # one that is there already
