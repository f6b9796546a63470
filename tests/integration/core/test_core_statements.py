"""What a job with a callback costs the database, from its order to its archive: statements and commits, by counting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from served import Served
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.line import Line
from jobs.steps.waiting import SAYS_SO_AFTER_S
from jobs.store.database import Database

MOST_STATEMENTS, MOST_COMMITS = 36, 8
IN_LINE, SAYS_SO = 1, 2
OVERTAKEN = 16  # beside its order


@pytest.fixture
def told_as_they_stand() -> None:
    """Nothing is compared here: that would be counted."""


@contextmanager
def counted(database: Database) -> Iterator[Counter[str]]:
    """Counts each statement, by its first words, and each commit of a transaction that wrote."""
    said: Counter[str] = Counter()

    def note(db: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.endswith("BEGIN"):
            said[re.sub(r"\s+", " ", statement)[:90]] += 1

    def commit(db: Any) -> None:
        said["COMMIT"] += 1

    sa.event.listen(database.engine, "before_cursor_execute", note)
    sa.event.listen(database.engine, "commit", commit)
    try:
        yield said
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
        sa.event.remove(database.engine, "commit", commit)


def archive(workshop: Workshop, sandbox: Any, provider: str) -> str:
    """A whole job: its order, the callback that says that the video is there, and the step that this rings for."""
    sandbox.fault(provider, "delay_callback", seconds=1)  # it may not overtake the answer to the order
    job_id = workshop.create(provider=provider)
    RUN["jobs.submit"](job_id, workshop.resources)
    workshop.await_(lambda: ("jobs.transfer", job_id) in workshop.bells.take(), "the callback's bell")
    RUN["jobs.transfer"](job_id, workshop.resources)
    return job_id


@pytest.mark.databases("postgresql")
def test_a_job_with_a_callback_takes_few_statements_and_commits(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    archive(workshop, sandbox, "evolink")  # what is said once, of a process or of a gateway's key, is said here
    with counted(workshop.database) as said:
        job_id = archive(workshop, sandbox, "evolink")
    assert workshop.state(job_id) is State.ARCHIVED
    commits = said.pop("COMMIT")
    told = "\n".join(f"{count:3} {words}" for words, count in said.most_common())
    print(f"{said.total()} statements, {commits} commits")  # noqa: T201 - `pytest -rP` shows it
    assert said.total() <= MOST_STATEMENTS, told
    assert commits <= MOST_COMMITS, told


@pytest.mark.databases("postgresql")
def test_a_callback_that_overtakes_the_answer_to_its_order_costs_no_reading_again(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    for _ in range(2):  # the first one says once what is said of a process
        sandbox.fault("aivideoapi", "callback_before_answer")
        job_id = workshop.create(provider="aivideoapi")
        RUN["jobs.submit"](job_id, workshop.resources)
        with counted(workshop.database) as said:
            RUN["jobs.reconcile"](job_id, workshop.resources)
            RUN["jobs.transfer"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.ARCHIVED
    del said["COMMIT"]
    told = "\n".join(f"{count:3} {words}" for words, count in said.most_common())
    print(f"{said.total()} statements")  # noqa: T201
    assert said.total() <= OVERTAKEN, told


@pytest.mark.databases("postgresql")
def test_a_job_that_waits_for_its_turn_costs_little(workshop: Workshop, sandbox: Any) -> None:
    clock = [0.0]
    resources = replace(workshop.resources, bulkheads=Bulkheads(4, most_submits=1), line=Line(lambda: clock[0]))
    backlog = [workshop.create(provider="evolink") for _ in range(5)]
    with resources.bulkheads.enter("evolink", "submit"):
        for waited_s, most, commits in ((0, IN_LINE, 0), (1, 0, 0), (SAYS_SO_AFTER_S, SAYS_SO, 1)):
            clock[0] = waited_s
            with counted(workshop.database) as said:
                for job_id in backlog:
                    RUN["jobs.submit"](job_id, resources)
            assert said.pop("COMMIT", 0) == commits * len(backlog)
            assert said.total() <= most * len(backlog), said
