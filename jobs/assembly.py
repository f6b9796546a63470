"""Builds the parts from the settings. Called by entry points, once per process."""

from __future__ import annotations

import os

from jobs.database import Database
from jobs.gates import Gates
from jobs.pacing import Pacing
from jobs.parts import Parts
from jobs.providers.client import ProviderClient
from jobs.providers.registry import PROVIDERS
from jobs.ringer import Ringer
from jobs.settings import Settings, process_name
from storage.bucket import Bucket, BucketConfig
from storage.guard import guarded_session
from storage.probe import Prober


def bucket(settings: Settings) -> Bucket:
    return Bucket(
        BucketConfig(
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
        )
    )


def working_parts(settings: Settings, ringer: Ringer, role: str) -> Parts:
    """Everything that a working process hands to its steps."""
    spool_dir = settings.data_dir / "spool"
    spool_dir.mkdir(parents=True, exist_ok=True)
    slots = settings.worker_slots
    return Parts(
        settings=settings,
        providers=PROVIDERS,
        database=Database(settings.database_url, threads=max(slots, settings.transfer_slots) + 8),
        client=ProviderClient(
            allow_private=settings.allow_private_addresses, ca_file=os.environ.get("SSL_CERT_FILE") or None
        ),
        pacing=Pacing(settings.redis_url),
        gates=Gates(slots),
        ringer=ringer,
        session=guarded_session(allow_private=settings.allow_private_addresses),
        bucket=bucket(settings),
        prober=Prober(),
        process=process_name(role),
        spool_dir=spool_dir,
    )
