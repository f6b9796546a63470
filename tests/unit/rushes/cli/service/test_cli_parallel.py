"""Several requests at a time: outcomes in order, and nothing begun that nobody wants any more."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from rushes.cli.service import parallel


def test_as_many_as_wanted_run_beside_each_other_and_are_told_in_order() -> None:
    together = threading.Barrier(parallel.AT_ONCE, timeout=10)

    def meet(item: int) -> int:
        together.wait()
        return item * 2

    found = list(parallel.in_order(meet, range(parallel.AT_ONCE)))
    assert [(item, future.result()) for item, future in found] == [(n, n * 2) for n in range(parallel.AT_ONCE)]


def test_one_that_fails_is_told_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(item: int) -> int:
        if item == 1:
            raise LookupError
        return item

    _, second, third = (future for _, future in parallel.in_order(fail, range(3)))
    with pytest.raises(LookupError):
        second.result()
    assert third.result() == 2


def test_whoever_stops_asking_leaves_the_rest_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "AT_ONCE", 2)
    begun: list[int] = []

    def first_outcome() -> tuple[int, Future[None]]:
        asked = parallel.in_order(begun.append, range(100))
        found = next(asked)
        asked.close()  # type: ignore[attr-defined]
        return found

    item, _ = first_outcome()
    assert item == 0
    assert len(begun) <= 3
