"""From a callback to the first byte asked of the link. `python benchmarks/callback_to_first_byte.py`

One job at a time on an otherwise idle machine. Both ends are measured by the sandbox's clock, so the callback's way to
us and the request's way back are part of the figure.
"""

from __future__ import annotations

import statistics
import sys

from arena import arena
from figures import tell

JOBS = 40
WARM_UP = 5


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    with arena({"RUSHES_POLL_INTERVAL_S": "30"}) as it:
        it.set_sandbox(generation_s=0.3, film="small")
        delays_ms = []
        for number in range(count + WARM_UP):
            job_id = it.submit(provider="evolink")
            [job] = it.until_ended([job_id], within_s=30, pause_s=0.3)
            task = next(t for t in it.tasks() if t["task_id"] == job["task_id"])
            if number >= WARM_UP:
                delays_ms.append(1000 * (task["link_hits"]["first"] - task["callbacks"][0]["at"]))
        delays_ms.sort()
        p90 = delays_ms[int(count * 0.9)]
        found = f"median {statistics.median(delays_ms):.0f} ms, p90 {p90:.0f} ms, max {delays_ms[-1]:.0f} ms"
        tell(f"from a callback to the first byte asked of the link, {count} jobs one at a time", found)


if __name__ == "__main__":
    main()
