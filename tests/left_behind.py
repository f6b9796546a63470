"""What a test leaves behind, threads and child processes, fails it.

A thread that outlives its test may write into the next test's database, and a hundred of them slow all that come later.
Those that a fixture of wider scope started stay as long as that fixture does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from tcp_proxy import PIPE

ENDING_S = 5  # for those that are ending: a server's last request, a client's last callback
LOOK_EVERY_S = 0.005
STARTS = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn"})

_kept_threads: WeakSet[threading.Thread] = WeakSet()
_kept_children: set[int] = set()
_may_have_children = False  # that are not kept: to look for them takes as long as many a test


def _hear(event: str, _: tuple[Any, ...]) -> None:
    global _may_have_children
    _may_have_children = _may_have_children or event in STARTS


sys.addaudithook(_hear)


@contextmanager
def kept() -> Iterator[None]:
    """Whoever is started in here may outlive the test."""
    threads, children = set(threading.enumerate()), _children()
    try:
        yield
    finally:
        _kept_threads.update(t for t in threading.enumerate() if t not in threads)
        _kept_children.update(_children() - children)


class LeftBehind:
    """Who has come since a test began, and is still there."""

    def __init__(self) -> None:
        _kept_threads.update(threading.enumerate())
        _kept_children.update(_children())  # such as the plant's processes that an earlier test has started again

    def check(self) -> None:
        """Raise AssertionError if somebody stays."""
        deadline = time.monotonic() + ENDING_S
        while (found := self._found()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        _kept_threads.update(threading.enumerate())  # each is told once
        _kept_children.update(_children())
        assert not found, f"left behind: {', '.join(found)}"

    def _found(self) -> list[str]:
        threads = [f"thread {t.name}" for t in threading.enumerate() if t not in _kept_threads and t.name != PIPE]
        return threads + [f"process {_command(pid)}" for pid in sorted(_children() - _kept_children)]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    if fixturedef.scope == "function":
        return (yield)
    with kept():
        return (yield)


@pytest.fixture
def left_behind() -> Iterator[LeftBehind]:
    """Set up before all other fixtures, and asked after them, where the conftest of a folder has every test take it."""
    before = LeftBehind()
    yield before
    before.check()


def _children() -> set[int]:
    """Child processes, those among them that have ended and that nobody has asked for."""
    global _may_have_children
    if not _may_have_children:
        return set()
    found = {int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and _parent(pid) == os.getpid()}
    _may_have_children = not found <= _kept_children
    return found


def _parent(pid: str) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:  # it has ended meanwhile
        return 0
    return int(stat.rpartition(b")")[2].split()[1])


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return str(pid)
