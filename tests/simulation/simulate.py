"""Long runs: `make simulate SEEDS=100000`, and one seed with its story: `make simulate SEED=123`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from typing import Any

from sim_coverage import Coverage
from sim_run import simulate

CHUNK = 50


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=10_000, help="how many")
    arguments.add_argument("--first", type=int, default=0, help="from which on")
    arguments.add_argument("--seed", type=int, help="this one alone, with its story")
    given = arguments.parse_args()
    return _one(given.seed) if given.seed is not None else _many(given.first, given.seeds)


def _one(seed: int) -> int:
    run = simulate(seed)
    print(run.report if run.violation else f"{run.story}\n\n{run.report}")  # noqa: T201
    return int(run.violation is not None)


def _many(first: int, count: int) -> int:
    """On every core. Ends at the first chunk in which a rule breaks."""
    coverage, began, done = Coverage(), time.monotonic(), 0
    firsts = range(first, first + count, CHUNK)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for broken, counted, size in pool.imap_unordered(_chunk, [(f, min(CHUNK, first + count - f)) for f in firsts]):
            if broken:
                print(f"\n{broken}")  # noqa: T201
                return 1
            done += size
            coverage.merge(counted)
            rate = done / (time.monotonic() - began)
            print(f"\r{done} of {count} seeds, {rate:.1f} a second", end="", flush=True)  # noqa: T201
    print(f"\n{coverage}")  # noqa: T201
    return 0


def _chunk(seeds: tuple[int, int]) -> tuple[str, dict[str, Any], int]:
    coverage = Coverage()
    for seed in range(seeds[0], sum(seeds)):
        run = simulate(seed)
        if run.violation is not None:
            return run.report, {}, 0
        coverage.add(run)
    return "", coverage.as_json(), seeds[1]


if __name__ == "__main__":
    sys.exit(main())
