"""Shares of a process's threads: no slow gateway or receiver must take them all, and submits must leave some."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

Kind = Literal["submit", "query", "notice"]

# Who is turned away with an order is called by the next one that ends here (`line`); its alarm is for the worst case.
SOONEST_S: dict[Kind, float] = {"submit": 5, "query": 1, "notice": 1}
# A dead receiver may have thousands of notices: were they back within half a minute, the sweep would find little else.
LATEST_S: dict[Kind, float] = {"submit": 30, "query": 30, "notice": 600}
COME_BACK_PER_S = 20  # more would keep a worker busy with turning jobs away


class Bulkheads:
    """At most a quarter of the slots per peer and kind; submits leave a quarter of all slots to queries.

    A peer is a gateway, or the host of those who are sent notices. `most_submits`: as many orders as may be on their
    way to one gateway anyhow; a process need not claim more to find that out.
    """

    def __init__(self, slots: int, *, most_submits: int | None = None, monotonic: Callable[[], float] = time.monotonic):
        quarter = max(1, slots // 4)
        self._per_peer: dict[Kind, int] = {
            "submit": min(quarter, most_submits or quarter),
            "query": quarter,
            "notice": quarter,
        }
        self._submits = max(1, slots - max(1, slots // 4))
        self._monotonic = monotonic
        self._inside: Counter[tuple[str, Kind]] = Counter()
        self._last_in_line: dict[tuple[str, Kind], float] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def enter(self, peer: str, kind: Kind) -> Iterator[float]:
        """Yields 0 where there is room, else in how many seconds to come back; nobody waits here.

        Those turned away stand in a line, so that a thousand of them do not all come back every second.
        """
        come_back_in = self._try(peer, kind)
        try:
            yield come_back_in
        finally:
            if not come_back_in:
                self._leave(peer, kind)

    def are_inside(self, peer: str, kind: Kind) -> bool:
        """Whether anybody is at this peer just now."""
        with self._lock:
            return self._inside[peer, kind] > 0

    def is_full(self, peer: str, kind: Kind) -> bool:
        """Whether whoever came now would be turned away."""
        with self._lock:
            return self._is_full(peer, kind)

    def come_back_in(self, peer: str, kind: Kind) -> float:
        """In how many seconds to come back, for one who was turned away before it tried to enter."""
        with self._lock:
            return self._place_in_line(peer, kind)

    def _try(self, peer: str, kind: Kind) -> float:
        with self._lock:
            if self._is_full(peer, kind):
                return self._place_in_line(peer, kind)
            self._inside[peer, kind] += 1
            return 0

    def _is_full(self, peer: str, kind: Kind) -> bool:
        if self._inside[peer, kind] >= self._per_peer[kind]:
            return True
        return kind == "submit" and sum(n for (_, k), n in self._inside.items() if k == kind) >= self._submits

    def _leave(self, peer: str, kind: Kind) -> None:
        with self._lock:
            self._inside[peer, kind] -= 1
            if not self._inside[peer, kind]:  # hosts come and go; those that have gone take no room
                del self._inside[peer, kind]

    def _place_in_line(self, peer: str, kind: Kind) -> float:
        now = self._monotonic()
        self._last_in_line = {line: at for line, at in self._last_in_line.items() if at > now}
        after_the_last = self._last_in_line.get((peer, kind), now) + 1 / COME_BACK_PER_S
        at = min(max(now + SOONEST_S[kind], after_the_last), now + LATEST_S[kind])
        self._last_in_line[peer, kind] = at
        return at - now
