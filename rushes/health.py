"""Health: `/livez` is the process alone; `/readyz` names every part and is 200 once all of them are up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
import structlog
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.settings import Settings
from jobs.store import heartbeats
from jobs.store.database import Database, DatabaseUnavailable
from storage.bucket import Bucket
from storage.errors import BucketUnavailable
from storage.spool import has_room

ROLES = ("worker", "transfer", "notify", "sweep", "beat")
DISK_FULL = "disk full"

log = structlog.get_logger()


@dataclass(frozen=True)
class Health:
    """What readiness looks at."""

    settings: Settings
    database: Database
    bucket: Bucket


def blueprint(health: Health) -> Blueprint:
    routes = Blueprint("health", __name__)
    valkey = redis.Redis.from_url(
        health.settings.redis_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0)
    )

    @routes.get("/livez")
    def livez() -> ResponseReturnValue:
        return jsonify(status="ok")

    @routes.get("/readyz")
    def readyz() -> ResponseReturnValue:
        parts = {**_database(health), "valkey": _valkey(valkey), "bucket": _bucket(health)}
        ready = all(said == "ok" for said in parts.values())
        return jsonify(status="ok" if ready else "unavailable", parts=parts), 200 if ready else 503

    return routes


def _database(health: Health) -> dict[str, str]:
    """The database, the processes that it has heard of lately, and the disk on which they keep films."""
    try:
        with health.database.read() as db:
            seen = heartbeats.last_seen_s(db, health.database)
    except DatabaseUnavailable as e:
        log.warning("database_unavailable", reason=str(e))
        return {"database": "unavailable"}
    limit_s = heartbeats.believed_s(health.settings.sweep_interval_s)
    said: dict[str, str] = {"database": DISK_FULL if health.database.look_at_disk() else "ok"}
    # A transfer elsewhere says so in the database; where one works here its folder is looked at.
    is_spool_full = seen.get(heartbeats.SPOOL_FULL, limit_s) < limit_s or not has_room(health.settings.spool_dir)
    said["spool"] = DISK_FULL if is_spool_full else "ok"
    for role in ROLES:
        if role not in seen:
            said[role] = "never seen"
        else:
            said[role] = "ok" if seen[role] <= limit_s else f"last seen {seen[role]:.0f} s ago"
    return said


def _valkey(client: Any) -> str:
    try:
        client.ping()
    except redis.RedisError as e:
        return type(e).__name__
    return "ok"


def _bucket(health: Health) -> str:
    try:
        health.bucket.check()
    except BucketUnavailable as e:
        log.warning("bucket_unavailable", reason=str(e))
        return "unavailable"
    return "ok"
