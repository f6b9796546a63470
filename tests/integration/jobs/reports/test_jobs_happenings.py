"""What happens to jobs, as it is written; on both databases."""

from __future__ import annotations

import pytest
from benches import Gateway, worker
from rows import Rows

from jobs.machine.states import State
from jobs.reports import happenings
from jobs.steps import submission

pytestmark = pytest.mark.both_databases


def test_each_move_of_each_job_is_told_once_and_in_order(rows: Rows) -> None:
    with rows.database.read() as db:
        assert happenings.since(db, happenings.latest(db)) == []
        before = happenings.latest(db)
    first, second = rows.job(), rows.job()
    submission.submit(first, worker(rows, Gateway()))
    with rows.database.read() as db:
        found = happenings.since(db, before)
        again = happenings.since(db, found[-1].number)
    of_first = [(h.state, h.provider) for h in found if h.job_id == first]
    assert of_first[-2:] == [(State.SUBMITTING, "evolink"), (State.GENERATING, "evolink")]
    assert {h.job_id for h in found} == {first, second}
    assert [h.number for h in found] == sorted({h.number for h in found})
    assert again == []
