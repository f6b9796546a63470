"""What a process has counted and not written yet. Counting costs a lock and an addition, and never raises or waits."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping
from typing import NamedTuple

from jobs.measures import Measure

WHOLE = ""  # the one part of a counter
SUM = "sum"  # of what a histogram was told; its other parts are named after the bounds of their buckets
NO_BOUND = "+Inf"


class Part(NamedTuple):
    """One sum: a counter of these labels, or one of the parts of a histogram of these."""

    name: str
    labels: tuple[str, ...]
    part: str


class Tallies:
    """Sums since they were last taken. Safe for threads. There are as many as labels have values: few."""

    def __init__(self) -> None:
        self._sums: dict[Part, float] = {}
        self._lock = threading.Lock()

    def count(self, measure: Measure, *labels: str, by: float = 1) -> None:
        """Add to a counter. The labels stand in the measure's order."""
        with self._lock:
            self._add(Part(measure.name, labels, WHOLE), by)

    def observe(self, measure: Measure, value: float, *labels: str) -> None:
        """Tell a histogram of one value."""
        place = bisect.bisect_left(measure.bounds, value)
        bound = str(float(measure.bounds[place])) if place < len(measure.bounds) else NO_BOUND
        with self._lock:
            self._add(Part(measure.name, labels, bound), 1)
            self._add(Part(measure.name, labels, SUM), value)

    def take(self) -> dict[Part, float]:
        """All sums, which begin at nothing from here on."""
        with self._lock:
            taken, self._sums = self._sums, {}
        return taken

    def put_back(self, sums: Mapping[Part, float]) -> None:
        """What was taken, and could not be written."""
        with self._lock:
            for part, value in sums.items():
                self._add(part, value)

    def _add(self, part: Part, value: float) -> None:
        self._sums[part] = self._sums.get(part, 0) + value
