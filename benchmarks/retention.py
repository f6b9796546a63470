"""What it costs to throw away what is old, with a million jobs kept: `python benchmarks/retention.py`

A job came in each thirty seconds, for a year until just now, and nothing was pruned for a week: of so many jobs each
the callbacks, the history with the notice, and the idempotency key are to go, and the lines of others to be packed.
`rushes db prune` does that in a process of its own, on PostgreSQL and on SQLite; meanwhile this one looks for due jobs
as the sweep does, and claims one. Then it does it once more, when next to nothing is left to do.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import NamedTuple

import sqlalchemy as sa
from api_rates import on_both
from figures import tell
from sqlalchemy.engine import Connection

from jobs.settings import load
from jobs.store import cases, leases, migrate
from jobs.store.database import Database
from jobs.store.due import due_rows
from jobs.store.history import pack
from jobs.store.step_table import OF_JOBS, SUBMIT
from jobs.store.tables import histories, jobs
from jobs.upkeep.prune import Pruning

JOBS, EVERY_S, BEHIND_D, DUE = 1_000_000, 30, 7, 500
A_DAY = 24 * 60 * 60 // EVERY_S  # jobs
LONGEST_S, LOOK_MS, MORE_MB = 1.0, 100, 16
LINES = ("created", "routed", "claim", "accept", "finish", "store")
# Of the newest jobs first: how many have been told what, as the ages of the settings have it.
_PACKED, _KEYS, _CALLBACKS, _HISTORY = (JOBS - (days + BEHIND_D) * A_DAY for days in (1, 7, 30, 180))
_ID = {"PostgreSQL": "'job_' || lpad(n::text, 26, '0')", "SQLite": "'job_' || printf('%026d', n)"}
_AT = {
    "PostgreSQL": "now() - ({jobs} - n) * interval '{every} seconds' - interval '{more} seconds'",
    "SQLite": "strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', unixepoch() - ({jobs} - n) * {every} - {more}, 'unixepoch')",
}
_NUMBERS = {
    "PostgreSQL": "generate_series(1, {jobs}) AS each(n)",
    "SQLite": "(WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < {jobs})"
    " SELECT n FROM each)",
}
_FILL = """
CREATE TEMPORARY TABLE numbers AS SELECT n, {id} AS id, {at} AS at, {ended} AS ended FROM {numbers};

INSERT INTO jobs (id, state, version, alarm_at, mode, request, provider, attempt, overdue, troubles, on_unconfirmed,
  start_by, archive_key, notices, metadata, batch, api_key_id, created_at, updated_at, ended_at)
SELECT id, CASE WHEN n > {jobs} - {due} THEN 'queued' ELSE 'archived' END, 5,
  CASE WHEN n > {jobs} - {due} THEN at END, 'text-to-video', '{{}}', 'evolink', 1, false, 0, 'wait', at,
  'videos/x.mp4', 1, '{{}}', CASE WHEN n % 20 = 0 THEN 'batch' END, 'key_' || (n % 3), at, at,
  CASE WHEN n <= {jobs} - {due} THEN ended END
FROM numbers;

INSERT INTO attempts (job_id, number, provider, base_url, account, with_callback, request, outcome, standing, task_id,
  adopted, contested, rejected_task_ids, day, estimate_exact, reserved_micro_usd, created_at, sends, age_unknown)
SELECT id, 1, 'evolink', 'https://api.example.com', 'f00', true, '{{}}', 'delivered', 'charged', 'task-' || n, false,
  false, '[]', '2026-11-21', true, 0, at, 1, false
FROM numbers WHERE n <= {jobs} - {due};

UPDATE attempts SET request = '{{"method": "POST", "body": {{"prompt": "A fox trots through fresh snow"}}}}'
WHERE job_id > (SELECT id FROM numbers WHERE n = {history});

INSERT INTO inbox (job_id, attempt, provider, digest, body, headers, readable, status, task_id, received_at, read_at)
SELECT id, 1, 'evolink', id, '{{}}', '{{}}', true, 200, 'task-' || n, ended, ended
FROM numbers WHERE n > {callbacks} AND n <= {jobs} - {due};

INSERT INTO events (job_id, at, event, attempt, to_state, detail)
SELECT id, ended, 'pruned', 1, 'archived', '{{}}' FROM numbers WHERE n <= {history} ORDER BY n;

INSERT INTO events (job_id, at, event, attempt, to_state, detail)
SELECT id, ended, event, 1, CASE event WHEN 'store' THEN 'archived' END, '{{}}'
FROM numbers CROSS JOIN ({lines}) AS lines WHERE n > {packed} AND n <= {jobs} - {due} ORDER BY n;

INSERT INTO idempotency_keys (api_key_id, key, digest, job_id, created_at)
SELECT 'key_' || (n % 3), 'take-' || id, id, id, at FROM numbers WHERE n > {keys} OR n % 20 = 0;

INSERT INTO notices (id, job_id, sequence, type, url, body, version, tries, last_status, created_at, delivered_at)
SELECT 'ntc' || id, id, 1, 'job.archived', 'https://hooks.example.com/', '{{}}', 1, 1, 204, ended, ended
FROM numbers WHERE n > {history} AND n <= {jobs} - {due};

INSERT INTO notice_tries (notice_id, number, at, status, took_s)
SELECT 'ntc' || id, 1, ended, 204, 0.1 FROM numbers WHERE n > {history} AND n <= {jobs} - {due}
"""


class Run(NamedTuple):
    """What a process that pruned told."""

    rows: dict[str, int]
    took_s: float
    longest_s: float  # of its transactions
    peak_mb: float


class Timed(Database):
    """Knows how long its longest transaction was."""

    longest_s = 0.0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as db:
            began = time.monotonic()
            yield db
        self.longest_s = max(self.longest_s, time.monotonic() - began)


def fill(database: Database, kind: str) -> None:
    at, ended = (_AT[kind].format(jobs=JOBS, every=EVERY_S, more=more) for more in (90, 0))
    lines = " UNION ALL ".join(f"SELECT '{line}' AS event" for line in LINES)
    firsts = {"packed": _PACKED, "keys": _KEYS, "callbacks": _CALLBACKS, "history": _HISTORY}
    statements = _FILL.format(
        **firsts,
        jobs=JOBS,
        due=DUE,
        id=_ID[kind],
        at=at,
        ended=ended,
        lines=lines,
        numbers=_NUMBERS[kind].format(jobs=JOBS),
    )
    with database.write() as db:
        if not database.is_sqlite:
            db.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for statement in statements.split(";"):
            db.exec_driver_sql(statement if database.is_sqlite else statement.replace("%", "%%"))
        _write_histories(db)
        db.exec_driver_sql("DROP TABLE numbers")
        db.exec_driver_sql("ANALYZE")


def _write_histories(db: Connection) -> None:
    """What `pack` makes of a job's lines, for all that rest and are not pruned."""
    job_id = db.execute(sa.text(f"SELECT id FROM numbers WHERE n = {_PACKED + 1}")).scalar_one()
    if pack(db, [job_id]) != 1:
        raise SystemExit("nothing was packed")
    own = f"SELECT lines FROM histories WHERE job_id = '{job_id}'"
    chosen = f"SELECT id, ({own}) FROM numbers WHERE n > {_HISTORY} AND n <= {_PACKED}"
    db.exec_driver_sql(f"INSERT INTO {histories.name} (job_id, lines) {chosen}")


def prune(url: str) -> None:
    """In a process of its own, which tells on its output how it went."""
    database = Timed(url)
    settings = load(
        {"RUSHES_DATABASE_URL": url, "RUSHES_S3_BUCKET": "videos", "RUSHES_EVOLINK_API_KEY": "sk-of-a-bench"}
    )
    began = time.monotonic()
    rows = asdict(Pruning(database, settings).run())
    took_s = time.monotonic() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(Run(rows, took_s, database.longest_s, peak_mb)._asdict()))


def took_ms(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return (time.perf_counter() - before) * 1000


def look(database: Database) -> None:
    for step in OF_JOBS:
        with database.read() as db:
            due_rows(db, step, limit=50, now=database.clock(db))


def claim(database: Database, job_id: str) -> None:
    with database.write() as db:
        if not leases.claim(db, cases.read_case(db, job_id), holder="bench", lease_s=1, now=database.clock(db)):
            raise SystemExit(f"{job_id} could not be claimed")


def pruned(database: Database) -> tuple[Run, list[float], list[float]]:
    """A run in another process; beside it how long looks and claims took, in milliseconds."""
    with database.read() as db:
        now = database.clock(db)
        due = [row.id for row in due_rows(db, SUBMIT, limit=DUE, now=now)]
    looks, claims = [], []
    url = database.url.render_as_string(hide_password=False)
    with subprocess.Popen([sys.executable, __file__, "--prune", url], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            looks.append(took_ms(lambda: look(database)))
            job_id = due[len(claims) % DUE]
            claims.append(took_ms(lambda: claim(database, job_id)))  # noqa: B023
            release(database, job_id)
            time.sleep(0.05)  # as work comes
        told = process.stdout.read() if process.stdout else ""
    return Run(**json.loads(told.splitlines()[-1])), looks, claims


def release(database: Database, job_id: str) -> None:
    with database.write() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(lease_holder=None, leased_until=None))


def slowest(values: list[float]) -> str:
    return f"median {statistics.median(values):.1f} ms, slowest {max(values):.0f} ms"


def measure(kind: str, url: str) -> bool:
    """Print the figures of one database; whether they are as wanted."""
    database = Database(url)
    migrate.upgrade(database)
    fill(database, kind)
    what = f"pruning a week's rests beside {JOBS:,} jobs on {kind}"
    run, looks, claims = pruned(database)
    rows = sum(count for name, count in run.rows.items() if name != "histories")
    said = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in run.rows.items())
    tell(what, f"{run.took_s:.0f} s, {rows / run.took_s:,.0f} rows/s: {said}")
    good = tell(
        f"{what}: its longest transaction",
        f"{run.longest_s * 1000:.0f} ms",
        f"{LONGEST_S:.0f} s",
        is_held=run.longest_s <= LONGEST_S,
    )
    is_quick = statistics.median(looks) <= LOOK_MS and max(looks) <= LONGEST_S * 1000
    wanted = f"{LOOK_MS} ms, and none over {LONGEST_S:.0f} s"
    good = tell(f"{what}: the sweep's looks meanwhile, of all steps", slowest(looks), wanted, is_held=is_quick) and good
    is_quick = statistics.median(claims) <= LOOK_MS and max(claims) <= LONGEST_S * 1000
    good = tell(f"{what}: claims meanwhile", slowest(claims), wanted, is_held=is_quick) and good
    again, _, _ = pruned(database)
    tell(f"pruning once more beside {JOBS:,} jobs on {kind}, what the minutes since have left", f"{again.took_s:.1f} s")
    more = run.peak_mb - again.peak_mb
    said = f"{run.peak_mb:.0f} MB, {more:+.0f} beside the run after it"
    good = tell(f"{what}: peak memory of its process", said, f"{MORE_MB} MB more", is_held=more <= MORE_MB) and good
    database.close()
    return good


def main() -> int:
    if sys.argv[1:2] == ["--prune"]:
        prune(sys.argv[2])
        return 0
    return 0 if on_both(measure) else 1


if __name__ == "__main__":
    sys.exit(main())
