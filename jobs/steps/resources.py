"""What a step works with. Built once per process by an entry point and handed down; tests hand down others."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import requests
from ulid import ULID

from jobs.machine import routing
from jobs.machine.decisions import Rules
from jobs.machine.routing import Candidate
from jobs.machine.rows import Case
from jobs.providers.base import Provider
from jobs.providers.client import ProviderClient
from jobs.request.generation import JobRequest
from jobs.ringer import Ringer
from jobs.settings import Settings
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.query_budget import QueryBudget
from jobs.store.database import Database
from storage.bucket import Bucket
from storage.fetch import FetchLimits, Spooled, fetch_to_spool
from storage.proof.probe import Prober


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


@dataclass
class Resources:
    """Everything outside a step: settings, database, gateways, bucket, doorbell, chance and time."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database
    client: ProviderClient
    query_budget: QueryBudget
    bulkheads: Bulkheads
    ringer: Ringer
    session: requests.Session
    bucket: Bucket
    prober: Prober
    process: str
    spool_dir: Path
    fetch: Fetch = fetch_to_spool
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = lambda s: s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, hides nothing
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def rules(self) -> Rules:
        return Rules(self.settings, self.providers, self.remaining, self.jitter)

    def new_lease_holder(self) -> str:
        """A name for the holder of one lease: no two leases ever share it."""
        return f"{self.process}:{ULID()}"

    def candidates(self, request: JobRequest) -> list[Candidate]:
        """The gateways that the client would take and that have a key here. Raises BadRequest."""
        return routing.candidates(request, self.providers, self.settings.accounts, self.settings.daily_usd)

    def remaining(self, case: Case) -> list[str]:
        """The gateways still open to a job, best first."""
        return routing.left(case, self.providers, self.settings)
