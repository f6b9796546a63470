"""Builds the parts from the settings. Called by entry points, once per process."""

from __future__ import annotations

import os

from jobs.providers.client import ProviderClient
from jobs.providers.registry import on_terms
from jobs.ringer import Ringer
from jobs.settings import Settings, process_name
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.query_budget import QueryBudget
from jobs.steps.resources import Resources
from jobs.store.database import Database
from jobs.store.step_table import slots
from storage.bucket import Bucket, BucketConfig
from storage.outbound.guard import guarded_session
from storage.proof.probe import Prober

BESIDE = 4  # connections for what runs beside the steps: watchdog, sweep


def bucket(settings: Settings) -> Bucket:
    """The bucket as our processes reach it."""
    return _bucket(settings, settings.s3_endpoint_url)


def bucket_for_links(settings: Settings) -> Bucket:
    """The bucket as those who follow presigned links reach it."""
    return _bucket(settings, settings.s3_public_endpoint_url or settings.s3_endpoint_url)


def _bucket(settings: Settings, endpoint_url: str | None) -> Bucket:
    return Bucket(
        BucketConfig(
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            endpoint_url=endpoint_url,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            session_token=settings.s3_session_token,
        )
    )


def worker_resources(settings: Settings, ringer: Ringer, role: str) -> Resources:
    """Everything that a working process hands to its steps."""
    spool_dir = settings.data_dir / "spool"
    spool_dir.mkdir(parents=True, exist_ok=True)
    return Resources(
        settings=settings,
        providers=on_terms(settings.terms),
        database=Database(settings.database_url, threads=slots(role, settings) + BESIDE),
        client=ProviderClient(
            allow_private=settings.allow_private_addresses, ca_file=os.environ.get("SSL_CERT_FILE") or None
        ),
        query_budget=QueryBudget(settings.redis_url),
        bulkheads=Bulkheads(slots(role, settings)),
        ringer=ringer,
        session=guarded_session(allow_private=settings.allow_private_addresses),
        bucket=bucket(settings),
        prober=Prober(),
        process=process_name(role),
        spool_dir=spool_dir,
    )
