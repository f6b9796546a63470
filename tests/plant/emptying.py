"""Empties what a running service keeps, so that the next test finds it as it was at its start."""

from __future__ import annotations

import redis
import sqlalchemy as sa

from jobs.store import tables
from jobs.store.database import Database
from rushes.local.valkey import Valkey
from storage.bucket import Bucket

# Whoever runs says so in the one and asks by the other.
KEPT = (tables.heartbeats, tables.api_keys)
BINDINGS = b"_kombu.binding."  # where a process has said once which queue is whose


def at_rest(database: Database) -> bool:
    """Whether nobody has a lease of a job or a notice: a step that finds its row gone would say so in a log."""
    with database.read() as db:
        owned = (tables.jobs, tables.notices)
        leased = [sa.select(table.c.id).where(table.c.lease_holder.is_not(None)) for table in owned]
        return not any(db.execute(rows.limit(1)).first() for rows in leased)


def empty_database(database: Database) -> None:
    """No rows but those that the running processes rest on."""
    with database.write() as db:
        if not database.is_sqlite:  # each process adds to several of these rows at any moment, in an order of its own
            db.exec_driver_sql("LOCK TABLE tallies IN EXCLUSIVE MODE")
        for table in reversed(tables.metadata.sorted_tables):
            if table not in KEPT:
                db.execute(sa.delete(table))


def empty_valkey(valkey: Valkey) -> None:
    """No message, no result and no budget."""
    with redis.Redis.from_url(valkey.url) as client:
        if stale := [key for key in client.scan_iter() if not key.startswith(BINDINGS)]:
            client.delete(*stale)


def empty_bucket(bucket: Bucket) -> None:
    client, name = bucket._client, bucket.config.bucket
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=name, Key=item["Key"])
