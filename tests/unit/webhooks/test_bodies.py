"""Senders that take for ever over a body."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator

import pytest

from webhooks import bodies
from webhooks.bodies import Bodies, TooMany

ORDER, ANOTHER = "job_1/1", "job_2/1"


class Senders:
    """Bodies that never end, until their senders go; each read by a thread of its own."""

    def __init__(self, reader: Bodies) -> None:
        self._reader = reader
        self._theirs: list[int] = []
        self._threads: list[threading.Thread] = []
        self.ends: list[bytes | None] = []

    def begin(self, order: str) -> None:
        """Returns once its body is being read."""
        ours, theirs = os.pipe()
        begun = threading.Event()

        class Silent(io.FileIO):
            def read(self, size: int | None = -1, /) -> bytes:
                begun.set()
                return super().read(size) or b""

        def read() -> None:
            with Silent(ours) as stream:
                self.ends.append(self._reader.read(stream, 9, order=order))

        self._threads.append(threading.Thread(target=read))
        self._threads[-1].start()
        self._theirs.append(theirs)
        assert begun.wait(5)

    def go(self) -> None:
        """Returns once nobody reads any more."""
        while self._theirs:
            os.close(self._theirs.pop())
        while self._threads:
            self._threads.pop().join(5)


@pytest.fixture
def reader() -> Bodies:
    return Bodies()


@pytest.fixture
def senders(reader: Bodies) -> Iterator[Senders]:
    made = Senders(reader)
    yield made
    made.go()


def test_a_whole_body_is_read_and_a_broken_one_is_none(reader: Bodies) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("invalid chunk header")

    for _ in range(bodies.MOST + 1):
        assert reader.read(io.BytesIO(b"abcdef"), 4, order=ORDER) == b"abcd"
        assert reader.read(Broken(), 4, order=ORDER) is None


def test_a_body_is_read_by_its_requests_own_thread(reader: Bodies, senders: Senders) -> None:
    """To answer a request whose body another one reads stops the whole server."""
    read_by = []

    class Telling(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read_by.append(threading.current_thread())
            return super().read(size)

    for _ in range(3):
        assert reader.read(Telling(b"{}"), 2, order=ORDER) == b"{}"
        senders.begin(ORDER)
    assert read_by == [threading.current_thread()] * 3


def test_one_orders_silent_senders_put_off_that_order_alone_until_they_go(
    reader: Bodies, senders: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_OF_ORDER", 3)
    for _ in range(3):
        senders.begin(ORDER)
    begun = time.monotonic()
    with pytest.raises(TooMany):
        reader.read(io.BytesIO(b"{}"), 9, order=ORDER)
    assert time.monotonic() - begun < 1
    assert reader.read(io.BytesIO(b"{}"), 9, order=ANOTHER) == b"{}"
    senders.go()
    assert senders.ends == [b""] * 3
    assert reader.read(io.BytesIO(b"{}"), 9, order=ORDER) == b"{}"
    assert not reader._reading


def test_no_more_are_read_than_leave_the_server_threads(
    reader: Bodies, senders: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST", 2)
    senders.begin(ORDER)
    assert reader.read(io.BytesIO(b"{}"), 9, order=ANOTHER) == b"{}"
    senders.begin(ANOTHER)
    with pytest.raises(TooMany):
        reader.read(io.BytesIO(b"{}"), 9, order="job_3/1")
    senders.go()
    assert reader.read(io.BytesIO(b"{}"), 9, order="job_3/1") == b"{}"
