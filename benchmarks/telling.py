"""What a job costs in log lines and in counts, beside all that it costs. `python benchmarks/telling.py`

A hundred jobs go through the whole service, as `rushes up` starts it. Then this process writes once more the very lines
that those have logged, and counts as often as they have counted. The table of counts is written as often as all
processes do it meanwhile, every ten seconds, as they come.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from typing import Any

import structlog
from arena import arena
from figures import tell
from two_hundred_jobs import OURS, PROVIDERS, cpu_s

from jobs import logs, measures
from jobs.environment.numbers import NUMBERS
from jobs.store import tallied
from jobs.store.database import Database
from jobs.tallies import SUM, Part

JOBS, ROUNDS = 100, 5
MOST_SHARE = 0.05


def of_service(line: str) -> dict[str, Any] | None:
    """A line of a process of ours, as it was logged."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) and "event" in said else None


def counted(database: Database) -> dict[Part, float]:
    """How often each sum was added to; of bytes that is once for each transfer."""
    with database.read() as db:
        sums = tallied.read(db)
    found = {
        Part(name, labels, part): value
        for name, of_name in sums.items()
        for labels, parts in of_name.items()
        for part, value in parts.items()
        if part != SUM and name != measures.TRANSFER_BYTES.name
    }
    transfers = sums.get(measures.TRANSFER_S.name, {})
    copied = {labels: sum(parts.values()) - parts[SUM] for labels, parts in transfers.items()}
    return found | {Part(measures.TRANSFER_BYTES.name, labels, ""): times for labels, times in copied.items()}


def best_s(work: Callable[[], None]) -> float:
    """CPU seconds of this process, at the quickest of some rounds."""
    took = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took)


def log_again(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        said: Mapping[str, Any] = {k: v for k, v in line.items() if k not in ("event", "level", "timestamp", "logger")}
        getattr(structlog.get_logger(line.get("logger", "jobs")), str(line.get("level", "info")))(line["event"], **said)


def count_again(database: Database, times: Mapping[Part, float]) -> None:
    for part, often in times.items():
        measure = measures.BY_NAME[part.name]
        for _ in range(round(often)):
            if measure.bounds:
                database.tallies.observe(measure, 0.5, *part.labels)
            else:
                database.tallies.count(measure, *part.labels)


def main() -> int:
    lines: list[str] = []
    with arena({"RUSHES_POLL_INTERVAL_S": "1"}, on_line=lambda _, line: lines.append(line)) as it:
        it.set_sandbox(generation_s=0, film="small")
        it.until_ended([it.submit(provider=p) for p in PROVIDERS], within_s=60)
        database = Database(it.service.settings.database_url)
        time.sleep(2)  # what was counted of these is written
        spent, before, first = cpu_s(it), counted(database), len(lines)
        begun = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            it.until_ended(list(pool.map(lambda n: it.submit(provider=PROVIDERS[n % 5]), range(JOBS))), within_s=300)
        took_s, spent = time.monotonic() - begun, cpu_s(it) - spent
        time.sleep(2)
        times = {part: value - before.get(part, 0) for part, value in counted(database).items()}
        said = [line for line in map(of_service, lines[first:]) if line is not None]

        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            logs.configure()
            log_again(said)
            logging_s = best_s(lambda: log_again(said))
        counting_s = best_s(lambda: count_again(database, times))
        rounds = took_s / float(NUMBERS["SWEEP_INTERVAL_S"][0]) * (len(OURS) - 1)  # beat counts nothing

        def add() -> None:
            count_again(database, dict.fromkeys(times, 1))
            tallied.add(database)

        adding_s = best_s(add) * rounds
        database.close()
    all_s = logging_s + counting_s + adding_s
    lines_, counts = len(said) / JOBS, sum(times.values()) / JOBS
    found = f"{all_s / spent:.1%} of {spent / JOBS * 1000:.0f} ms: {lines_:.0f} lines {logging_s / JOBS * 1000:.2f} ms,"
    found += f" {counts:.0f} counts {counting_s / JOBS * 1000:.2f} ms, writing them {adding_s / JOBS * 1000:.2f} ms"
    is_held = all_s / spent <= MOST_SHARE
    return 0 if tell("log and counts, of all CPU of a job", found, f"{MOST_SHARE:.0%}", is_held=is_held) else 1


if __name__ == "__main__":
    sys.exit(main())
