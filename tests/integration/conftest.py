from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from odd_store import HOST, OddStore, Ways, odd_store

if TYPE_CHECKING:
    from left_behind import LeftBehind


@pytest.fixture(autouse=True)
def nobody_stays_behind(left_behind: LeftBehind) -> None: ...


@pytest.fixture
def make_odd_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Ways], OddStore]]:
    """Stores that are odd in these ways. The names of their buckets lead to the loopback interface."""
    found = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **more: Any) -> Any:
        return found("127.0.0.1" if str(host).endswith(HOST) else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with ExitStack() as stores:
        yield lambda ways: stores.enter_context(odd_store(ways))
