from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jobs.worker.crew import Crew


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew(2)
    yield crew
    crew.close()


def test_no_more_work_is_done_at_once_than_there_are_slots(crew: Crew) -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=10)

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        both.wait()
        with lock:
            at_once -= 1

    callers = [threading.Thread(target=crew.do, args=(work, work)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert most == 2


def test_each_call_gives_its_own_and_one_that_fails_raises_once_all_have_ended(crew: Crew) -> None:
    ended = threading.Event()

    def fail() -> int:
        raise ValueError("no")

    def last() -> int:
        ended.set()
        return 3

    assert crew.do(lambda: 1, lambda: 2) == [1, 2]
    with pytest.raises(ValueError, match="no"):
        crew.do(fail, last)
    assert ended.is_set()
