"""The database: reachable, at this version, and its clock beside ours."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.settings import Settings
from jobs.store import migrate, postgres
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.migrate import SchemaOutdated
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
            way = ", through a pooler" if not database.is_sqlite and postgres.is_pooled(db) else ""
        migrate.check(database)
    except DatabaseUnavailable as error:
        yield fail("database", f"{kind}: {error}", "is it running, and is RUSHES_DATABASE_URL the one that you mean?")
    except SchemaOutdated as error:
        yield fail("database", f"{kind}: {str(error).partition(':')[0]}", "run `rushes db upgrade`")
    else:
        yield ok("database", f"{kind}{way}, at this version")
        if database.look_at_disk():
            yield fail("database disk", "full: no job and no callback can be kept", "make room on it")
        if skew_s > SKEW_S:
            then = "let both machines keep time by NTP; the service goes by the database's clock"
            yield warn("database clock", f"{skew_s:.0f} s from this machine's", then)
    finally:
        database.close()
