"""The database: reachable, at this version, its clock beside ours, and its room for connections."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.settings import Settings
from jobs.store import migrate, postgres
from jobs.store.database import WEB_THREADS, Database, DatabaseUnavailable
from jobs.store.migrate import SchemaOutdated
from jobs.store.step_table import STEPS, connections
from rushes.doctor.findings import Findings, fail, ok, warn

SKEW_S = 5  # rows written further in the future count as due (jobs/store/leases.py)


def look(settings: Settings) -> Findings:
    """As the service reaches it."""
    database = Database(settings.database_url, threads=1)
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    try:
        with database.read() as db:
            asked = datetime.now(UTC)
            skew_s = abs((database.clock(db) - asked).total_seconds())
            is_pooled = not database.is_sqlite and postgres.is_pooled(db)
            room = None if database.is_sqlite or is_pooled else postgres.room(db)
        migrate.check(database)
    except DatabaseUnavailable as error:
        yield fail("database", f"{kind}: {error}", "is it running, and is RUSHES_DATABASE_URL the one that you mean?")
    except SchemaOutdated as error:
        yield fail("database", f"{kind}: {str(error).partition(':')[0]}", "run `rushes db upgrade`")
    else:
        yield ok("database", f"{kind}{', through a pooler' if is_pooled else ''}, at this version")
        if database.look_at_disk():
            yield fail("database disk", "full: no job and no callback can be kept", "make room on it")
        if skew_s > SKEW_S:
            then = "let both machines keep time by NTP; the service goes by the database's clock"
            yield warn("database clock", f"{skew_s:.0f} s from this machine's", then)
        most = _most_connections(settings)
        if room is not None and room < most:
            said = f"the server has {room}, and the processes of one host keep {most} when they have much to do"
            yield warn(
                "database connections", said, "raise max_connections, lower RUSHES_WORKER_SLOTS, or take a pooler"
            )
    finally:
        database.close()


def _most_connections(settings: Settings) -> int:
    """Of a host's processes: web, beat, and one of each role."""
    roles = {step.role for step in STEPS} | {"sweep"}
    return WEB_THREADS + 1 + sum(connections(role, settings) for role in roles)
