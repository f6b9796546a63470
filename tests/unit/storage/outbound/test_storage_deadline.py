"""The one who keeps an exchange's time, over a pair of sockets: what is cut, what is let go, and in which order."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from storage.outbound.deadline import Deadline, NoThread, TooLate

SHORT_S = 0.1  # one that is meant to pass
LONG_S = 20.0  # one that is not

Pair = tuple[socket.socket, socket.socket]


def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LONG_S)
        theirs.settimeout(LONG_S)
        yield ours, theirs


first = pytest.fixture(pair, name="first")
second = pytest.fixture(pair, name="second")


def is_open(pair: Pair) -> bool:
    ours, theirs = pair
    theirs.sendall(b"x")
    return ours.recv(1) == b"x"


def test_a_reader_is_woken_when_the_time_is_over(first: Pair) -> None:
    began = time.monotonic()
    with Deadline(SHORT_S) as deadline:
        deadline.watch(first[0])
        assert first[0].recv(1) == b""
        assert deadline.passed
    assert SHORT_S <= time.monotonic() - began < LONG_S / 2


def test_a_peer_that_drips_wins_no_time(first: Pair) -> None:
    ours, theirs = first
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.01):
            try:
                theirs.sendall(b"x")
            except OSError:
                return

    peer = threading.Thread(target=drip)
    peer.start()
    began = time.monotonic()
    try:
        with Deadline(SHORT_S) as deadline:
            deadline.watch(ours)
            while ours.recv(1) and time.monotonic() - began < LONG_S / 2:
                pass
    finally:
        over.set()
        peer.join()
    assert time.monotonic() - began < LONG_S / 2


def test_a_cut_from_another_thread_ends_it_at_once(first: Pair) -> None:
    with Deadline(LONG_S) as deadline:
        deadline.watch(first[0])
        assert (deadline.passed, is_open(first)) == (False, True)
        assert 0 < deadline.left_s() <= LONG_S
        threading.Timer(SHORT_S, deadline.cut).start()
        assert first[0].recv(1) == b""
        assert deadline.passed
        with pytest.raises(TooLate):
            deadline.left_s()


def test_it_has_passed_before_the_shutdown(first: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its end of file could be read, and taken for the server's, in between."""
    passed: list[bool] = []
    with Deadline(LONG_S) as deadline:
        deadline.watch(first[0])
        monkeypatch.setattr("storage.outbound.deadline._shut", lambda _: passed.append(deadline.passed))
        deadline.cut()
    assert passed == [True]


def test_it_has_passed_by_the_clock_even_if_the_timer_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    with Deadline(LONG_S) as deadline:
        monkeypatch.setattr(time, "monotonic", lambda: now + 2 * LONG_S)
        assert deadline.passed
        with pytest.raises(TooLate):
            deadline.left_s()


def test_the_cut_reaches_a_connection_whose_descriptor_tls_has_taken(first: Pair) -> None:
    with Deadline(LONG_S) as deadline:
        deadline.watch(first[0])
        with socket.socket(fileno=first[0].detach()) as taken:
            taken.settimeout(LONG_S)
            deadline.cut()
            assert taken.recv(1) == b""


def test_what_is_watched_after_the_cut_is_shut_at_once(first: Pair, second: Pair) -> None:
    with Deadline(LONG_S) as deadline:
        deadline.cut()
        deadline.watch(first[0])
        assert first[0].recv(1) == b""
    deadline.watch(second[0])
    assert second[0].recv(1) == b""


def test_what_is_watched_after_the_block_is_shut_at_once(first: Pair) -> None:
    with Deadline(LONG_S) as deadline:
        pass
    assert deadline.passed
    deadline.watch(first[0])
    assert first[0].recv(1) == b""


def test_a_connection_that_outlives_the_block_is_let_go_unharmed(first: Pair) -> None:
    ours, theirs = first
    with Deadline(LONG_S) as deadline:
        deadline.watch(ours)
    deadline.cut()
    assert is_open(first)
    ours.close()
    assert theirs.recv(1) == b""  # no duplicate keeps it open


def test_only_the_latest_connection_is_watched(first: Pair, second: Pair) -> None:
    with Deadline(LONG_S) as deadline:
        deadline.watch(first[0])
        deadline.watch(second[0])
        deadline.cut()
        assert is_open(first)
        assert second[0].recv(1) == b""
        first[0].close()
        assert first[1].recv(1) == b""


def test_the_timer_ends_with_the_block_and_keeps_no_process_alive() -> None:
    before = set(threading.enumerate())
    with Deadline(LONG_S):
        [timer] = set(threading.enumerate()) - before
        assert timer.daemon
    timer.join(LONG_S / 2)
    assert not timer.is_alive()


def test_without_a_thread_it_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", refuse)
    with pytest.raises(NoThread, match="no thread to keep the time"), Deadline(LONG_S):
        pytest.fail("begun")
