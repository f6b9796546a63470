"""Builds the resources from the settings. Called by entry points, once per process."""

from __future__ import annotations

from jobs.buckets import bucket
from jobs.providers.client import ProviderClient
from jobs.providers.registry import on_terms
from jobs.ringer import Ringer
from jobs.settings import Settings
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.query_budget import QueryBudget
from jobs.steps.resources import Resources
from jobs.store.database import Database
from jobs.store.heartbeats import process_name
from jobs.store.journal import Journal
from jobs.store.step_table import connections, slots
from storage.outbound.guard import guarded_session
from storage.proof.probe import Prober


def worker_resources(settings: Settings, ringer: Ringer, role: str) -> Resources:
    """Everything that a working process hands to its steps."""
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url, threads=connections(role, settings))
    return Resources(
        settings=settings,
        providers=on_terms(settings.terms),
        database=database,
        client=ProviderClient(allow_private=settings.allow_private_addresses, tallies=database.tallies),
        query_budget=QueryBudget(settings.redis_url),
        bulkheads=Bulkheads(slots(role, settings), most_submits=settings.max_unconfirmed),
        ringer=ringer,
        session=guarded_session(allow_private=settings.allow_private_addresses),
        bucket=bucket(settings),
        journal=Journal(settings.data_dir / "journal"),
        prober=Prober(),
        process=process_name(role),
        spool_dir=settings.spool_dir,
    )
