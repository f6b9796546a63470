"""Films that wait for the store: a scratch object need not meet the refusal that they have met."""

from __future__ import annotations

from jobs.reports.refused_films import refused_films
from jobs.settings import Settings
from jobs.store.database import Database, DatabaseUnavailable
from rushes.doctor.findings import Findings, fail

CHECK = "films"


def look(settings: Settings) -> Findings:
    """What the store has said to their transfers. Nothing where none waits, or where the database is away."""
    database = Database(settings.database_url, threads=1)
    try:
        with database.read() as db:
            found = refused_films(db)
    except DatabaseUnavailable:
        return
    finally:
        database.close()
    for each in found:
        yield fail(CHECK, f"{each.job_id} cannot be archived: {each.reason}", each.then)
