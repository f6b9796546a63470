"""The threads of a working process that do its work: as many at once as it has slots, however much a message brings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


class Crew:
    """Celery's own threads hand what a message asks for to these, and wait: a message may name several rows."""

    def __init__(self, slots: int):
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="crew")

    def do(self, *calls: Callable[[], T]) -> list[T]:
        """What each gives, once all have ended. Raises what the first of those that failed has raised."""
        begun = [self._threads.submit(call) for call in calls]
        wait(begun)
        return [each.result() for each in begun]

    def close(self) -> None:
        """Let the threads end when they have done what they were given."""
        self._threads.shutdown(wait=False)
