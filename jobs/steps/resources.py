"""What a step works with. Built once per process by an entry point and handed down; tests hand down others."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import requests
from ulid import ULID

from jobs.providers.client import ProviderClient
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.line import Line
from jobs.steps.query_budget import QueryBudget
from jobs.store.core import Core
from jobs.store.journal import Journal
from storage.bucket import Bucket
from storage.fetch import FetchLimits, Spooled, fetch_to_spool
from storage.outbound.guard import guarded_session
from storage.proof.probe import Prober

# Where the system has one, a clock that goes on while the machine sleeps: a lease runs out meanwhile, too.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_s() -> float:
    """Seconds since some moment."""
    return time.clock_gettime(_CLOCK)


class Fetch(Protocol):
    """Brings a link's bytes into the spool folder, as storage.fetch does; raises what it raises."""

    def __call__(
        self,
        session: requests.Session,
        url: str,
        *,
        folder: Path,
        limits: FetchLimits,
        allow_private: bool,
        keep_going: Callable[[], None],
    ) -> Spooled: ...


@dataclass(kw_only=True)
class Resources(Core):
    """Everything outside a step: settings, database, gateways, bucket, doorbell, chance and time."""

    client: ProviderClient
    query_budget: QueryBudget
    bulkheads: Bulkheads
    session: requests.Session  # for links of strangers
    bucket: Bucket
    journal: Journal
    prober: Prober
    process: str
    spool_dir: Path
    line: Line = field(default_factory=Line)
    fetch: Fetch = fetch_to_spool
    # For links of our own making and those of stand-ins, which may lead inside.
    inner_session: requests.Session = field(default_factory=lambda: guarded_session(allow_private=True))
    monotonic: Callable[[], float] = elapsed_s
    pause: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = lambda s: s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, hides nothing
    stopping: threading.Event = field(default_factory=threading.Event)

    def new_lease_holder(self) -> str:
        """A name for the holder of one lease: no two leases ever share it."""
        return f"{self.process}:{ULID()}"
