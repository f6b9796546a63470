from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from odd_store import HOST, OddStore, Ways, odd_store

from jobs.store import cases, leases

if TYPE_CHECKING:
    from left_behind import LeftBehind


@pytest.fixture(autouse=True)
def nobody_stays_behind(left_behind: LeftBehind) -> None: ...


@pytest.fixture(autouse=True)
def told_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A guarded write tells the case after it without reading it again: each one of a test is compared with the rows.

    At the test's end, as a step that raises is no test that fails.
    """
    write, strange = leases._write, []

    def compared(db: Any, case: Any, *more: Any) -> Any:
        written = write(db, case, *more)
        if written is not None and written != (stands := cases.read_case(db, case.job.id)):
            strange.append((written, stands))
        return written

    monkeypatch.setattr(leases, "_write", compared)
    yield
    assert not strange


@pytest.fixture
def make_odd_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Ways], OddStore]]:
    """Stores that are odd in these ways. The names of their buckets lead to the loopback interface."""
    found = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **more: Any) -> Any:
        return found("127.0.0.1" if str(host).endswith(HOST) else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with ExitStack() as stores:
        yield lambda ways: stores.enter_context(odd_store(ways))
