"""Long runs, in ranges that can be continued: `make simulate SEEDS=20000 FIRST=40000`; and one seed with its story:
`make simulate SEED=123`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from sim_coverage import Coverage
from sim_run import simulate

CHUNK = 50


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=20_000, help="how many")
    arguments.add_argument("--first", type=int, default=0, help="from which on")
    arguments.add_argument("--processes", type=int, default=os.cpu_count(), help="at once; usually one for each core")
    arguments.add_argument("--seed", type=int, help="this one alone, with its story")
    given = arguments.parse_args()
    return _one(given.seed) if given.seed is not None else _many(given.first, given.seeds, given.processes)


def _one(seed: int) -> int:
    run = simulate(seed)
    _say(run.report if run.violation else f"{run.story}\n\n{run.report}")
    return int(run.violation is not None)


def _many(first: int, count: int, processes: int) -> int:
    """Seed after seed, as far as a rule breaks or somebody interrupts; says how far, and where to go on."""
    coverage, began, done = Coverage(), time.monotonic(), 0
    end, broken = first + count, ""
    chunks = [(each, min(CHUNK, end - each)) for each in range(first, end, CHUNK)]
    with suppress(KeyboardInterrupt), multiprocessing.Pool(processes, _leave_interrupts_to_the_parent) as pool:
        for broken, counted, size in pool.imap(_chunk, chunks):  # in order: all before the last one are clean
            done += size
            coverage.merge(counted)
            rate = done / (time.monotonic() - began)
            _say(f"\r{done} of {count} seeds, {rate:.1f} a second; FIRST={first + done} goes on from here", end="")
            if broken:
                break
    _say(f"\n{coverage}")
    _say(f"\nSeeds {first} to {first + done - 1} are clean." if done else "\nNo seed has ended yet.")
    _say(broken or f"Go on: make simulate FIRST={first + done} SEEDS={end - first - done or count}")
    return int(bool(broken) or done < count)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chunk(seeds: tuple[int, int]) -> tuple[str, dict[str, Any], int]:
    """The report of the first that breaks a rule, what the others exercised, and how many were clean before it."""
    coverage = Coverage()
    for seed in range(seeds[0], sum(seeds)):
        run = simulate(seed)
        if run.violation is not None:
            return run.report, coverage.as_json(), seed - seeds[0]
        coverage.add(run)
    return "", coverage.as_json(), seeds[1]


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
