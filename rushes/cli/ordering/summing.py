"""What a batch came to, in words: states, money, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from jobs.machine.states import State
from rushes.cli.terminal import output
from rushes.provider_words import dollars

COUNTED = frozenset({"held", "charged", "uncertain"})  # money that is taken, or may be


def in_states(states: Iterable[str]) -> str:
    """`40 archived, 2 failed`: how many jobs are in each state, in the order of a job's way."""
    counts = Counter(states)
    order = [*(state.value for state in State), *sorted(counts)]  # a newer service may have more
    return ", ".join(f"{counts[state]} {state}" for state in dict.fromkeys(order) if counts[state]) or "no jobs"


def spent(jobs: Iterable[Mapping[str, Any]]) -> str:
    """What the orders of some jobs have cost or may have, as far as is known."""
    costs = [attempt["cost"] for job in jobs for attempt in job["attempts"]]
    known = [
        cost["estimated_usd"] if cost["reported_usd"] is None else cost["reported_usd"]
        for cost in costs
        if cost["standing"] in COUNTED
    ]
    return str(dollars(sum(usd for usd in known if usd is not None)))


def minutes(seconds: float) -> str:
    """`4 min 12 s`."""
    whole, rest = divmod(round(seconds), 60)
    return f"{whole} min {rest} s" if whole else f"{rest} s"


def of_batch(told: Mapping[str, Any]) -> str:
    """What `GET /v1/batches/<name>` tells, in a sentence."""
    states = in_states(state for state, count in told["states"].items() for _ in range(count))
    said = f"{told['name']}: {states}, {dollars(told['usd'])}"
    if told["ended_at"] is not None:
        took = datetime.fromisoformat(told["ended_at"]) - datetime.fromisoformat(told["created_at"])
        said += f", {minutes(took.total_seconds())}"
    if told["needs_person"]:
        said += f"; {output.counted(told['needs_person'], 'job')} should be looked at: `rushes attention`"
    return said
