"""Several requests at a time, from a command that tells their outcomes one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AT_ONCE = 8  # requests: the service has more threads, and they belong to others too


def in_order(do: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Future[Result]]]:
    """Each item with what `do` came to, in the order of the items. Whoever stops asking leaves the rest undone."""
    left = iter(items)
    with pool(AT_ONCE) as workers:
        begun = deque((item, workers.submit(do, item)) for item in islice(left, AT_ONCE))
        while begun:
            item, future = begun.popleft()
            future.exception()  # waits for it
            for following in islice(left, 1):
                begun.append((following, workers.submit(do, following)))
            yield item, future


@contextmanager
def pool(at_once: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for a while. What has not begun at its end is left undone."""
    workers = ThreadPoolExecutor(at_once)
    try:
        yield workers
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
