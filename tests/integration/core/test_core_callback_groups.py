"""Callbacks that wait at the same moment are kept in one commit, and each is answered from its own row's fate."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from served import Served
from structlog import contextvars
from test_core_callbacks import callback_url, kept, submit
from workshop import Workshop

from jobs.providers.registry import PROVIDERS
from jobs.store import keeping, tables
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.keeping import Callback, Desk, Kept
from webhooks.keeper import Keeper, Tell

COUNT = 6


@pytest.fixture
def live(workshop: Workshop, receiver: Served, sandbox: Any) -> list[str]:
    """Jobs that are generating, and stay so."""
    job_ids = []
    for _ in range(COUNT):
        sandbox.fault("aivideoapi", "stall")
        job_ids.append(submit(workshop, provider="aivideoapi"))
    workshop.bells.take()
    return job_ids


@pytest.fixture
def posts(workshop: Workshop) -> Iterator[Callable[[str], Future[int]]]:
    """Sends a job's callback from a thread; the status that it is answered with."""
    with ThreadPoolExecutor(COUNT) as pool:

        def post(job_id: str, task_id: str = "t-1") -> int:
            body = json.dumps({"id": task_id, "status": "processing"})
            return requests.post(callback_url(workshop, job_id), data=body, timeout=20).status_code

        yield lambda job_id, **more: pool.submit(post, job_id, **more)


class Gate:
    """Stands before the writer: keeps its first group waiting until it is opened, and tells each group's size."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.reached, self.opened = threading.Event(), threading.Event()
        self._keepers: set[Keeper] = set()
        real, real_keep = keeping.keep_all, Keeper.keep

        def keep_all(db: Any, group: list[Callback], *more: Any, **named: Any) -> list[Kept | None]:
            self.sizes.append(len(group))
            self.reached.set()
            assert self.opened.wait(30)
            return real(db, group, *more, **named)

        def keep(keeper: Keeper, callback: Callback, tell: Tell) -> Kept:
            self._keepers.add(keeper)
            return real_keep(keeper, callback, tell)

        patch.setattr(keeping, "keep_all", keep_all)
        patch.setattr(Keeper, "keep", keep)

    def behind(self) -> int:
        """How many callbacks wait for the next group."""
        return sum(len(keeper._queue) for keeper in self._keepers)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


def test_what_comes_while_one_is_written_is_the_next_group(
    workshop: Workshop, live: list[str], posts: Any, gate: Gate
) -> None:
    first = posts(live[0])
    assert gate.reached.wait(10)
    others = [posts(job_id) for job_id in live[1:]]
    workshop.await_(lambda: gate.behind() == COUNT - 1, "the others wait")
    gate.opened.set()
    assert [each.result() for each in (first, *others)] == [200] * COUNT
    assert gate.sizes == [1, COUNT - 1]
    assert [len(kept(workshop, job_id)) for job_id in live] == [1] * COUNT
    assert sorted(workshop.bells.take()) == sorted(("jobs.reconcile", job_id) for job_id in live)


def test_equal_callbacks_of_one_group_are_kept_once(
    workshop: Workshop, live: list[str], posts: Any, gate: Gate
) -> None:
    first = posts(live[0])
    assert gate.reached.wait(10)
    equal = [posts(live[1]) for _ in range(COUNT - 1)]
    workshop.await_(lambda: gate.behind() == COUNT - 1, "the others wait")
    gate.opened.set()
    assert [each.result() for each in (first, *equal)] == [200] * COUNT
    assert gate.sizes == [1, COUNT - 1]
    assert len(kept(workshop, live[1])) == 1


def test_each_of_a_group_is_told_of_with_what_its_own_request_is_known_by(
    workshop: Workshop, live: list[str], gate: Gate
) -> None:
    """By whoever has written it: the log names the request that brought it. One that cannot be told of is kept."""
    keeper, told = Keeper(workshop.database, workshop.settings, PROVIDERS), {}

    def keep(job_id: str) -> int:
        contextvars.bind_contextvars(request_id=f"of {job_id}")
        callback = Callback("aivideoapi", job_id, 1, b"{}", {}, True, "t-1", 200)
        return keeper.keep(callback, partial(tell, job_id)).status

    def tell(job_id: str, kept: Kept) -> None:
        told[job_id] = (contextvars.get_contextvars()["request_id"], kept.status, threading.get_ident())
        if job_id == live[2]:
            raise ValueError("no room for it in the log")

    with ThreadPoolExecutor(COUNT) as pool:
        first = pool.submit(keep, live[0])
        assert gate.reached.wait(10)
        others = [pool.submit(keep, job_id) for job_id in live[1:]]
        workshop.await_(lambda: gate.behind() == COUNT - 1, "the others wait")
        gate.opened.set()
        assert [each.result() for each in (first, *others)] == [200] * COUNT
    assert {job_id: what[:2] for job_id, what in told.items()} == {job_id: (f"of {job_id}", 200) for job_id in live}
    assert len({told[job_id][2] for job_id in live[1:]}) == 1
    assert [len(kept(workshop, job_id)) for job_id in live] == [1] * COUNT


def test_while_the_writer_hangs_nobody_waits_for_longer_than_the_busy_time(
    workshop: Workshop, live: list[str], posts: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.keeper.BUSY_S", 0.3)
    first = posts(live[0])
    assert gate.reached.wait(10)
    assert [posts(job_id).result() for job_id in live[1:3]] == [503, 503]
    gate.opened.set()
    assert first.result() == 200
    assert posts(live[1]).result() == 200
    assert [len(kept(workshop, job_id)) for job_id in live[:3]] == [1, 1, 0]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("the database does not take this"), 500), (DatabaseUnavailable("a row that it wants is held"), 503)],
)
def test_one_that_cannot_be_written_fails_none_of_its_group(
    workshop: Workshop,
    live: list[str],
    posts: Any,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
) -> None:
    real = Desk.keep

    def keep(self: Desk, callback: Callback) -> Kept:
        if callback.job_id == live[2]:
            raise error
        return real(self, callback)

    monkeypatch.setattr(Desk, "keep", keep)
    first = posts(live[0])
    assert gate.reached.wait(10)
    others = [posts(job_id) for job_id in live[1:]]
    workshop.await_(lambda: gate.behind() == COUNT - 1, "the others wait")
    gate.opened.set()
    assert [each.result() for each in (first, *others)] == [200, 200, status, 200, 200, 200]
    assert [len(kept(workshop, job_id)) for job_id in live] == [1, 1, 0, 1, 1, 1]


def test_without_the_database_each_of_a_group_is_told_to_come_again(
    workshop: Workshop, live: list[str], posts: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("the server closed the connection")

    first = posts(live[0])
    assert gate.reached.wait(10)
    others = [posts(job_id) for job_id in live[1:]]
    workshop.await_(lambda: gate.behind() == COUNT - 1, "the others wait")
    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", away)
        gate.opened.set()
        assert [each.result() for each in others] == [503] * (COUNT - 1)
    assert first.result() == 200  # its transaction had begun before
    assert [len(kept(workshop, job_id)) for job_id in live] == [1, 0, 0, 0, 0, 0]


@pytest.mark.databases("postgresql")
def test_a_job_that_somebody_writes_keeps_its_neighbours_callback_waiting_for_nothing(
    workshop: Workshop, live: list[str], posts: Any, gate: Gate
) -> None:
    first = posts(live[0])
    assert gate.reached.wait(10)
    busy, free = posts(live[1]), posts(live[2])
    workshop.await_(lambda: gate.behind() == 2, "the others wait")
    with workshop.database.engine.begin() as other:
        other.execute(sa.update(tables.jobs).where(tables.jobs.c.id == live[1]).values(progress=50))
        gate.opened.set()
        assert [first.result(), free.result()] == [200, 200]
        assert not busy.done()
    assert busy.result() == 200
    assert [len(kept(workshop, job_id)) for job_id in live[:3]] == [1, 1, 1]
