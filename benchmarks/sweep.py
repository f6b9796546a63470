"""What a look of the sweep costs on PostgreSQL, beside many jobs: `python benchmarks/sweep.py [millions of jobs …]`

Beside one million and beside ten, if none are named; the ten take about three minutes to write and 7 GB of disk. Of so
many jobs all but a few have ended. A thousand are due, then a hundred thousand, for each step in turn: read are
the first 500, most urgent first, in turn between three API keys.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from api_rates import servers
from figures import tell

from jobs.store import migrate
from jobs.store.database import Database
from jobs.store.due import due_rows
from jobs.store.step_table import LOSE, OF_JOBS, RECONCILE, SUBMIT, TRANSFER
from jobs.store.tables import jobs

MILLIONS, READ, ROUNDS, WANTED_MS = (1, 10), 500, 60, 10
DUE = (1_000, 100_000)
STATES = {SUBMIT: "queued", LOSE: "submitting", RECONCILE: "generating", TRANSFER: "archiving"}
_FILL = """
INSERT INTO jobs (id, state, version, mode, request, attempt, overdue, troubles, on_unconfirmed, start_by, archive_key,
  notices, metadata, api_key_id, created_at, updated_at, ended_at)
SELECT 'job_' || lpad(n::text, 26, '0'), 'archived', 5, 'text-to-video', '{{}}', 0, false, 0, 'wait', now(), 'x.mp4', 0,
  '{{}}', 'key_' || n %% 3, now() - ({jobs} - n) * interval '1 second', now(), now()
FROM generate_series(1, {jobs}) AS numbers(n)
"""
_WAKE = """
UPDATE jobs SET state = '{state}', ended_at = NULL, alarm_at = now() - n * interval '1 millisecond',
  link_dies_at = CASE WHEN '{state}' = 'archiving' THEN now() + n * interval '1 second' END
FROM (SELECT id AS due_id, row_number() OVER () AS n FROM (SELECT id FROM jobs ORDER BY id LIMIT {due}) AS first) AS due
WHERE id = due_id
"""
_REST = "UPDATE jobs SET state = 'archived', ended_at = now(), alarm_at = NULL WHERE alarm_at IS NOT NULL"


def run(database: Database, statement: str) -> None:
    with database.write() as db:
        db.exec_driver_sql("SET LOCAL statement_timeout = 0")
        db.exec_driver_sql(statement)


def fill(database: Database, count: int) -> None:
    """Write the jobs, and their indexes after them."""
    indexes = sorted(jobs.indexes, key=lambda index: str(index.name))
    with database.write() as db:
        db.exec_driver_sql("SET LOCAL statement_timeout = 0")
        db.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
        for index in indexes:
            index.drop(db)
        db.exec_driver_sql(_FILL.format(jobs=count))
        for index in indexes:
            index.create(db)
    with database.engine.connect().execution_options(only="reads") as db:
        db.exec_driver_sql("SET statement_timeout = 0")
        db.exec_driver_sql("VACUUM ANALYZE jobs")


def took_ms(call: Callable[[], object]) -> float:
    """The median of some."""
    took = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        call()
        took.append((time.perf_counter() - before) * 1000)
    return statistics.median(took)


def look(database: Database) -> float:
    """Milliseconds that the dearest step's look takes."""
    with database.read() as db:
        now = database.clock(db)
        return max(took_ms(partial(due_rows, db, step, limit=READ, now=now)) for step in OF_JOBS)


def measure(database: Database, count: int) -> bool:
    fill(database, count)
    good = True
    for due in DUE:
        for step in OF_JOBS:
            run(database, _WAKE.format(state=STATES[step], due=due))
            run(database, "ANALYZE jobs")
            found = look(database)
            what = f"a look of the sweep beside {count:,} jobs, {due:,} of them due for {step.name}"
            good = tell(what, f"{found:.1f} ms", f"{WANTED_MS} ms", is_held=found <= WANTED_MS) and good
            run(database, _REST)
    return good


def main() -> int:
    good = True
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as temporary, servers(Path(temporary)) as (_, postgres):
        for millions in [int(each) for each in sys.argv[1:]] or MILLIONS:
            database = Database(postgres.create_database("bench"))
            migrate.upgrade(database)
            good = measure(database, millions * 1_000_000) and good
            database.close()
            postgres.drop_database("bench")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
