import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rushes.local.parent import SUPERVISED
from rushes.local.supervisor import Supervisor

Until = Callable[[Callable[[], object]], None]


@pytest.fixture
def until() -> Until:
    """Wait until a condition holds; fail after ten seconds."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not come true within ten seconds"
            time.sleep(0.01)

    return wait


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


@pytest.fixture
def supervised_by() -> Callable[[int], set[int]]:
    """All living processes, children's children too, that carry the mark of the supervisor with this process id.

    Those that lived before the test are left out: the servers that all tests of this process share.
    """

    def find(pid: int) -> set[int]:
        mark = f"{SUPERVISED}={pid}".encode()
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()  # empty for a zombie
            except OSError:
                continue
            if mark in environment.split(b"\0"):
                found.add(int(process.name))
        return found - shared

    shared: set[int] = set()
    shared = find(os.getpid())
    return find
