"""`make soak MINUTES=10`: orders at a steady pace, one misfortune after another, and then the account.

Prints its seed; the same seed draws the same misfortunes, though not at the same moments.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from misfortunes import MISFORTUNES
from plant import Plant, plant

from jobs.machine.states import ENDED, State
from jobs.providers.registry import PROVIDERS
from rushes.local.folder import new_secret
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor

PACE_S = 0.5  # between two orders
INSISTS_S = 180  # a pipeline gives up on an order after this
QUIET_S = 15  # an unconfirmed job that has not moved for this long waits for the end of its day
ALL_ENDED_WITHIN_S = 180
LINES = ("archived", "failed by verdict", "unconfirmed")


def chaos(made: Plant, chance: Random, seconds: float) -> list[str]:
    """Orders and misfortunes for so long; then everything is put right. Returns what happened."""
    end, happened = time.monotonic() + seconds, []
    over = threading.Event()
    troubles: list[Exception] = []

    def order() -> None:
        try:
            while not over.wait(PACE_S):
                made.book.insist(made.book.write(chance.choice(list(PROVIDERS))), within_s=INSISTS_S)
        except Exception as e:
            troubles.append(e)

    pipeline = threading.Thread(target=order, daemon=True)
    pipeline.start()
    while time.monotonic() < end and not troubles:
        happened.append(f"{time.strftime('%H:%M:%S')} {chance.choice(MISFORTUNES)(made, chance)}")
        made.restore()
        time.sleep(chance.uniform(0.5, 3))  # some misfortunes meet a plant that is whole, and some do not
    over.set()
    made.heal()
    pipeline.join(INSISTS_S)
    if troubles:
        raise troubles[0]
    return happened


def await_rest(made: Plant) -> None:
    """Wait until every job has ended, or waits unconfirmed and nothing happens to it any more."""
    seen: dict[str, int] = {}
    since = time.monotonic()

    def at_rest() -> bool:
        nonlocal seen, since
        left = [c.job for c in made.book.cases(made.book.job_ids()) if c.job.state not in ENDED]
        if {job.id: job.version for job in left} != seen:
            seen, since = {job.id: job.version for job in left}, time.monotonic()
        waiting = all(job.state is State.UNCONFIRMED for job in left)
        return not left or (waiting and time.monotonic() - since > QUIET_S)

    made.await_(at_rest, lambda: f"the end of {seen}", ALL_ENDED_WITHIN_S)


def account_of(found: Counter[str]) -> str:
    """The account, a line each."""
    others = sorted(key for key in found if key.startswith("failed: "))
    lines = [("jobs", found["orders"]), *((name, found[name]) for name in (*LINES, *others))]
    lines += [("sold", found["sold"]), ("lost", found["lost"]), ("paid twice", found["paid_twice"])]
    return "\n".join(f"{name:<20}{count:>6}" for name, count in lines)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Soak, and print the account. 0: nothing was lost, nothing paid twice, and nothing else is wrong."""
    line = argparse.ArgumentParser(description=__doc__)
    line.add_argument("--minutes", type=float, default=10)
    line.add_argument("--seed", type=int, default=None)
    given = line.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    say(f"A soak of {given.minutes:g} minutes, seed {seed}.")
    with tempfile.TemporaryDirectory(prefix="rushes-soak-") as name, Supervisor() as stores:
        folder = Path(name)
        seaweedfs = SeaweedFS(folder / "seaweedfs", seaweedfs_ports(), "rushes", new_secret())
        stores.start(seaweedfs.process())
        (folder / "plant").mkdir()
        with plant(folder / "plant", seaweedfs) as made:
            made.book.unconfirmed_may_wait = True
            happened = chaos(made, Random(seed), given.minutes * 60)
            await_rest(made)
            found, wrongs = made.book.audit()
    say("\n".join([*happened, "", account_of(found), *wrongs]))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
