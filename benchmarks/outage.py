"""600 jobs while all five gateways answer 503 for a minute, and the same without. `python benchmarks/outage.py [jobs]`

Prints how many orders of a key were unconfirmed at once, when all others were archived, and how much later that is than
without the outage: the outage and one minute are allowed. A person then settles the lost ones as not made.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from arena import Arena, arena
from figures import tell

JOBS, OUTAGE_S, ALLOWED_S = 600, 60, 60
GATEWAYS = ("aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink")
SENDS_AGAIN = "apiframe"  # under its idempotency key, until it knows what became of an order
MOST_UNCONFIRMED = 5
PAGE = "<html><body>503 Service Unavailable</body></html>"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    with arena() as it:
        it.set_sandbox(generation_s=0, film="small")
        it.until_ended([it.submit(provider=name) for name in GATEWAYS], within_s=60)  # the film is made, all is warm
        begun = time.monotonic()
        without = ordered(it, count)
        it.until_ended(list(without), within_s=600)
        without_s = time.monotonic() - begun
        begun = time.monotonic()
        refuse_all(it)
        with_it = ordered(it, count)
        time.sleep(OUTAGE_S - (time.monotonic() - begun))
        it.clear_faults()
        stories = {job_id: it.events(job_id) for job_id in with_it}
        lost = {job_id for job_id, story in stories.items() if any(line["event"] == "lose" for line in story)}
        others = [job_id for job_id in with_it if job_id not in lost]
        states = {job["state"] for job in it.until_ended(others, within_s=600)}
        took_s = time.monotonic() - begun
        stories = {job_id: it.events(job_id) for job_id in with_it}
        most = {name: most_unconfirmed([s for j, s in stories.items() if with_it[j] == name]) for name in GATEWAYS}
        for job_id in lost:
            if with_it[job_id] != SENDS_AGAIN:
                it.settle_not_made(job_id)
        states |= {job["state"] for job in it.until_ended(list(lost), within_s=600)}
        bought = len(it.tasks()) - len(GATEWAYS) - count
    what, late_s = f"{count} jobs while all five gateways answer 503 for {OUTAGE_S} s", took_s - without_s
    said = f"{late_s:.0f} s later than without ({without_s:.0f} s), all but {len(lost)} lost orders"
    allowed_s, risked = OUTAGE_S + ALLOWED_S, max(most.values())
    held = [
        tell(f"{what}: archived", said, f"{allowed_s} s", is_held=late_s <= allowed_s),
        tell(
            f"{what}: orders of a key unconfirmed at once",
            f"{risked} at most",
            f"{MOST_UNCONFIRMED}",
            is_held=risked <= MOST_UNCONFIRMED,
        ),
        tell(
            f"{what}: in the end, the lost ones settled",
            f"{', '.join(sorted(states))}; {bought} bought",
            f"archived; {count} bought",
            is_held=states == {"archived"} and bought == count,
        ),
    ]
    if not all(held):
        raise SystemExit(1)


def ordered(it: Arena, count: int) -> dict[str, str]:
    """A batch, dealt out over the gateways: each job's gateway."""
    with ThreadPoolExecutor(8) as pool:
        names = [GATEWAYS[n % len(GATEWAYS)] for n in range(count)]
        return dict(zip(pool.map(lambda name: it.submit(provider=name), names), names, strict=True))


def refuse_all(it: Arena) -> None:
    for name in GATEWAYS:
        for on in ("submit", "query"):
            it.fault(provider=name, fault="refuse", on=on, status=503, body=PAGE, times=1_000_000)


def most_unconfirmed(stories: list[list[dict[str, Any]]]) -> int:
    """Of one gateway's jobs at any time. Who is unconfirmed leaves that state by whatever happens to him next."""
    told = [(line["at"], n, i, line) for n, story in enumerate(stories) for i, line in enumerate(story)]
    unconfirmed: set[int] = set()
    most = 0
    for _, job, _, line in sorted(told, key=lambda each: each[:3]):
        if line["to_state"] is not None:
            unconfirmed = unconfirmed | {job} if line["to_state"] == "unconfirmed" else unconfirmed - {job}
        most = max(most, len(unconfirmed))
    return most


if __name__ == "__main__":
    main()
