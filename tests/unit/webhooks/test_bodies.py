"""Senders that take for ever over a body."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator

import pytest

from webhooks import bodies
from webhooks.bodies import Bodies, TooMany, TooSlow


class Senders:
    """Bodies that never end, until their senders go."""

    def __init__(self) -> None:
        self._theirs: list[int] = []
        self._ours: list[io.BufferedReader] = []

    def silent(self) -> io.BufferedReader:
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        self._ours.append(os.fdopen(ours, "rb"))
        return self._ours[-1]

    def go(self) -> None:
        """Returns once nobody reads any more."""
        while self._theirs:
            os.close(self._theirs.pop())
        for reader in threading.enumerate():
            if reader.name == "body":
                reader.join(5)
        while self._ours:
            self._ours.pop().close()


@pytest.fixture
def none_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if others took up all of the requests' own threads that may read."""
    monkeypatch.setattr(bodies, "MOST_HERE", 0)


@pytest.fixture
def senders() -> Iterator[Senders]:
    made = Senders()
    yield made
    made.go()


@pytest.mark.parametrize("here", [0, 1])
def test_a_whole_body_is_read_and_a_broken_one_is_none(here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_HERE", here)

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("invalid chunk header")

    reader = Bodies()
    for _ in range(3):
        assert reader.read(io.BytesIO(b"abcdef"), 4, order="job_1/1") == b"abcd"
        assert reader.read(Broken(), 4, order="job_1/1") is None


def test_a_body_is_read_by_its_requests_own_thread_while_few_are(
    senders: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent senders keep as many of these threads as may read, and no more."""
    monkeypatch.setattr(bodies, "MOST_HERE", 2)
    read_by = []

    class Telling(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read_by.append(threading.current_thread())
            return super().read(size)

    reader, ends = Bodies(within_s=0.05), []
    kept = [
        threading.Thread(target=lambda: ends.append(reader.read(senders.silent(), 9, order="job_1/1")))
        for _ in range(2)
    ]
    for count, thread in enumerate(kept):
        assert reader.read(Telling(b"{}"), 2, order="job_2/1") == b"{}"
        assert read_by.pop() is threading.current_thread()
        thread.start()
        while reader._here <= count:
            time.sleep(0.001)
    assert reader.read(Telling(b"{}"), 2, order="job_2/1") == b"{}"
    assert read_by.pop() is not threading.current_thread()
    with pytest.raises(TooSlow):
        reader.read(senders.silent(), 9, order="job_1/1")
    senders.go()
    for thread in kept:
        thread.join()
    assert ends == [b"", b""]
    assert reader.read(Telling(b"{}"), 2, order="job_2/1") == b"{}"
    assert read_by.pop() is threading.current_thread()


@pytest.mark.usefixtures("none_here")
def test_one_thread_reads_one_body_after_the_other() -> None:
    read_by = []

    class Telling(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read_by.append(threading.current_thread())
            return super().read(size)

    reader = Bodies()
    for n in range(5):
        assert reader.read(Telling(b"%d" % n), 1, order="job_1/1") == b"%d" % n
        while not reader._idle:  # it is done with this one a moment after its answer
            time.sleep(0.001)
    assert len(set(read_by)) == 1


@pytest.mark.usefixtures("none_here")
def test_who_does_not_come_to_an_end_is_let_go_in_time(senders: Senders) -> None:
    begun = time.monotonic()
    with pytest.raises(TooSlow):
        Bodies(within_s=0.05).read(senders.silent(), 9, order="job_1/1")
    assert time.monotonic() - begun < 2


@pytest.mark.usefixtures("none_here")
def test_one_orders_silent_senders_put_off_that_order_alone_until_they_go(
    senders: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_ABANDONED", 3)
    reader = Bodies(within_s=0.01)
    for _ in range(3):
        with pytest.raises(TooSlow):
            reader.read(senders.silent(), 9, order="job_1/1")
    with pytest.raises(TooMany):
        reader.read(io.BytesIO(b"{}"), 9, order="job_1/1")
    assert reader.read(io.BytesIO(b"{}"), 9, order="job_2/1") == b"{}"
    senders.go()
    assert reader.read(io.BytesIO(b"{}"), 9, order="job_1/1") == b"{}"
    assert not reader._abandoned


@pytest.mark.usefixtures("none_here")
def test_no_more_are_awaited_than_leave_the_server_threads(senders: Senders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_AWAITED", 1)
    reader = Bodies(within_s=5)
    waiting = threading.Thread(target=reader.read, args=(senders.silent(), 9), kwargs={"order": "job_1/1"})
    waiting.start()
    while not any(thread.name == "body" and thread.is_alive() for thread in threading.enumerate()):
        time.sleep(0.005)
    with pytest.raises(TooMany):
        reader.read(io.BytesIO(b"{}"), 9, order="job_2/1")
    senders.go()
    waiting.join()
    assert reader.read(io.BytesIO(b"{}"), 9, order="job_2/1") == b"{}"
