"""How often each fault struck, each transition was taken, and a process died at each named point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sim_fate import FAULTS, OF_THEIR_OWN
from sim_run import Run

from jobs.machine.states import TRANSITIONS

POINTS = (
    "before a read",
    "before a transaction",
    "after a commit",
    "before a doorbell",
    "at the look-up of a name",
    "before the POST",
    "while the POST is under way",
    "after the gateway has the POST",
    "before a query",
    "while a query is answered",
    "before a HEAD",
    "before a download",
    "during a download",
    "during the proof",
    "before a small PUT",
    "before the PUT",
    "after the PUT",
    "during a pause",
    "before a callback",
    "while a notice is sent",
)
ALL_FAULTS = [*FAULTS, *OF_THEIR_OWN]
MOVES = [f"{state.value} {event.value}" for state, moves in TRANSITIONS.items() for event in moves]

# What a thousand seeds need not show, with the reason.
EXCEPTIONS: dict[str, str] = {
    "queued recall": "a resubmitted order must wait while the first one shows itself, running: one in thousands",
    "unconfirmed recall": "a backup must have forgotten two orders, and the one not waited for show itself, running",
    "unconfirmed refuse": "a refusal must be read by a worker that slept past its lease, with no gateway left",
    "unconfirmed stand_by": "a job must come back to an earlier order, and that one's task be given back and fail",
    "generating stand_by": "the same",
    "archiving give_back": "a task must be adopted, finished and half copied while its own submit waits for its answer",
}


class Coverage:
    """Counts, over many runs."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {"faults": Counter(), "moves": Counter(), "deaths": Counter()}

    def add(self, run: Run) -> None:
        self.counts["faults"] += run.faults
        self.counts["moves"] += Counter({f"{s.value} {e.value}": n for (s, e), n in run.moves.items()})
        self.counts["deaths"] += run.points

    def as_json(self) -> dict[str, dict[str, int]]:
        return {kind: dict(counted) for kind, counted in self.counts.items()}

    def merge(self, other: Mapping[str, Any]) -> None:
        for kind, counted in other.items():
            self.counts[kind] += Counter(counted)

    def missing(self) -> list[str]:
        """What never occurred."""
        wanted = {"faults": ALL_FAULTS, "moves": MOVES, "deaths": list(POINTS)}
        return [
            f"{kind}: {name}"
            for kind, names in wanted.items()
            for name in names
            if not self.counts[kind][name] and name not in EXCEPTIONS
        ]

    def __str__(self) -> str:
        wanted = {"faults": ALL_FAULTS, "moves": MOVES, "deaths": list(POINTS)}
        lines = []
        for kind, names in wanted.items():
            lines += ["", f"{kind}:"]
            lines += [f"  {self.counts[kind][name]:>9}  {name}" for name in names]
        return "\n".join(lines)
