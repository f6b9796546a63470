"""200 jobs at once with no generation time: all archived, none twice. `python benchmarks/two_hundred_jobs.py`

Prints jobs per second from the first submit to the last archived, and the CPU seconds of our own processes per job
(the web process and the workers with their children; not the sandbox, Valkey or SeaweedFS).
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from arena import Arena, arena
from figures import tell

JOBS = 200
PROVIDERS = ("aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink")
OURS = ("web", "worker", "transfer", "notify", "sweep", "beat")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    with arena({"RUSHES_POLL_INTERVAL_S": "1"}) as it:
        it.set_sandbox(generation_s=0, film="small")
        it.until_ended([it.submit(provider=p) for p in PROVIDERS], within_s=60)  # the film is made, everything is warm
        cpu_before, begun = cpu_s(it), time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            job_ids = list(pool.map(lambda n: it.submit(provider=PROVIDERS[n % 5]), range(count)))
        submitted_s = time.monotonic() - begun
        jobs = it.until_ended(job_ids, within_s=300)
        took_s, cpu = time.monotonic() - begun, cpu_s(it) - cpu_before
        states = Counter(job["state"] for job in jobs)
        bought = len(it.tasks()) - len(PROVIDERS)
        is_good = states == {"archived": count} and bought == count
        ends = ", ".join(f"{many} {state}" for state, many in states.items())
        found = f"{ends}, {bought} bought; taken in within {submitted_s:.1f} s, all ended after {took_s:.1f} s:"
        found += f" {count / took_s:.1f} jobs/s"
        what = f"{count} jobs at once, no generation time, on SQLite"
        tell(what, found, "each archived, bought once", is_held=is_good)
        tell("CPU of our own processes for it", f"{cpu / count * 1000:.0f} ms a job")
        if not is_good:
            raise SystemExit(1)


def cpu_s(it: Arena) -> float:
    """User and system seconds of our processes and all their children so far."""
    pids = it.service.supervisor.pids
    return sum(spent_s({name: pids[name] for name in OURS})[0].values())


def spent_s(roots: Mapping[str, int]) -> tuple[dict[str, float], float]:
    """User and system seconds so far of these processes, each with all its children but those that are named
    themselves; and of all processes of the machine.
    """
    names = {pid: name for name, pid in roots.items()}
    parents = {}
    spent = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = sum(int(f) for f in fields[11:15])  # with the children that have ended
    found = dict.fromkeys(roots, 0)
    for pid, ticks in spent.items():
        ancestor = pid
        while ancestor and ancestor not in names:
            ancestor = parents.get(ancestor, 0)
        if ancestor:
            found[names[ancestor]] += ticks
    per_s = os.sysconf("SC_CLK_TCK")
    return {name: ticks / per_s for name, ticks in found.items()}, sum(spent.values()) / per_s


if __name__ == "__main__":
    main()
