"""What each page of the console costs the server, with a million jobs and a hundred thousand videos on PostgreSQL.

    python benchmarks/console_pages.py

A job came in each thirty seconds, for a year until just now. Each has an order; nine of ten ends were told by a
callback, which is kept, and the others had to be asked for. Each video has a history and a notice besides. A page is
asked for in this process, through the session's cookie, as a browser asks for it; what it loads afterwards (posters,
films) comes from the bucket. Fails where a page's median is above what is wanted.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from api_rates import servers
from figures import tell
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.settings import load
from jobs.store import migrate
from jobs.store.database import Database
from rushes.app import create_app

JOBS, VIDEO_EVERY, ROUNDS, WANTED_MS = 1_000_000, 10, 20, 50.0
HTML = {"Accept": "text/html"}
WHAT = f"a page of the console beside {JOBS:,} jobs and {JOBS // VIDEO_EVERY:,} videos"
# A tenth are archived, the others have failed or were cancelled, and the newest hundred are at work.
_FILL = """
CREATE TEMPORARY TABLE numbers AS
SELECT n, 'job_' || lpad(n::text, 26, '0') AS id, now() - ({jobs} - n) * interval '30 seconds' AS at,
  CASE WHEN n > {jobs} - 100 THEN 'generating' WHEN n % {every} = 0 THEN 'archived'
       WHEN n % 7 = 0 THEN 'cancelled' ELSE 'failed' END AS state,
  (ARRAY['evolink', 'apiframe', 'easyrouter', 'gravitex', 'aivideoapi'])[n / 10 % 5 + 1] AS provider
FROM generate_series(1, {jobs}) AS numbers(n);

INSERT INTO jobs (id, state, version, mode, request, provider, attempt, overdue, troubles, on_unconfirmed, start_by,
  archive_key, bucket, bytes, sha256, duration_s, width, height, fps, notices, metadata, batch, api_key_id,
  created_at, updated_at, ended_at)
SELECT id, state, 5, 'text-to-video',
  json_build_object('mode', 'text-to-video', 'prompt', 'Take ' || n || ' of the fox', 'duration', 2),
  provider, 1, false, 0, 'wait', at, 'videos/' || id || '.mp4', 'videos', 1234567, repeat('0', 64), 2.0, 1280, 720, 30,
  1, json_build_object('scene', n % 100), CASE WHEN n % 50 = 0 THEN 'batch-' || n / 10000 END, 'key_x', at, at,
  CASE WHEN state = 'generating' THEN NULL ELSE at + interval '90 seconds' END
FROM numbers;

INSERT INTO attempts (job_id, number, provider, base_url, account, with_callback, request, outcome, standing, task_id,
  adopted, contested, rejected_task_ids, news_by, news_at, day, estimated_credits, estimated_usd, estimate_exact,
  reserved_micro_usd, created_at, sending_at, sends, age_unknown, accepted_at, finished_at, closed_at)
SELECT id, 1, provider, 'https://api.example.com', 'f00', true, '{{}}',
  CASE state WHEN 'archived' THEN 'delivered' WHEN 'generating' THEN 'open' ELSE 'failed' END,
  CASE state WHEN 'archived' THEN 'charged' WHEN 'generating' THEN 'held' ELSE 'refunded' END, 'task-' || n,
  false, false, '[]', CASE WHEN n % 10 = 3 THEN 'poll' ELSE 'callback' END, at + interval '80 seconds',
  to_char(at, 'YYYY-MM-DD'), 10, 0.2, true, 200000, at, at, 1, false, at, at + interval '70 seconds',
  at + interval '80 seconds'
FROM numbers;

INSERT INTO events (job_id, at, event, attempt, from_state, to_state, detail)
SELECT id, at, event, 1, NULL, NULL, '{{}}'
FROM numbers CROSS JOIN unnest(ARRAY['created', 'routed', 'claim', 'accept', 'finish', 'store']) AS each(event)
WHERE n % {every} = 0;

INSERT INTO inbox (job_id, attempt, provider, digest, body, headers, readable, status, task_id, received_at, read_at)
SELECT id, 1, provider, repeat('0', 64), '{{}}', '{{}}', true, 200, 'task-' || n, at + interval '75 seconds', at
FROM numbers WHERE n % 10 <> 3;

INSERT INTO notices (id, job_id, sequence, type, url, body, version, tries, last_status, created_at, delivered_at)
SELECT 'ntc_' || lpad(n::text, 26, '0'), id, 1, 'job.archived', 'https://hooks.example.com/', '{{}}', 1, 1, 204, at, at
FROM numbers WHERE n % {every} = 0
"""
_VIDEO = f"job_{JOBS - 1000:026d}"
PAGES = {
    "overview, an hour": "",
    "overview, a day": "?span=day",
    "overview, a week": "?span=week",
    "jobs": "jobs",
    "jobs that failed": "jobs?state=failed",
    "jobs by prompt": "jobs?prompt=the+fox",
    "jobs by a rare prompt": "jobs?prompt=take+77777+of",
    "jobs by metadata": "jobs?metadata=scene%3D12",
    "jobs of a batch": "jobs?batch=batch-99",
    "a job": f"jobs/{_VIDEO}",
    "videos": "videos",
    "videos of a gateway": "videos?provider=apiframe",
    "player": f"videos/{_VIDEO}",
    "side by side": f"videos/compare?ids={_VIDEO},job_{JOBS - 2000:026d}",
    "new": "new",
    "attention": "attention",
    "gateways": "gateways",
    "money": "money",
    "callbacks, two days": "callbacks",
    "callbacks, a week": "callbacks?span=week",
    "notices": "notices",
    "keys": "keys",
}


def fill(database: Database) -> None:
    with database.write() as db:
        db.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for statement in _FILL.format(jobs=JOBS, every=VIDEO_EVERY).split(";"):
            db.exec_driver_sql(statement.replace("%", "%%"))
    with database.write() as db:
        db.exec_driver_sql("SET LOCAL statement_timeout = 0")
        db.exec_driver_sql("ANALYZE")


def took_ms(client: FlaskClient, path: str) -> float:
    before = time.perf_counter()
    answer = client.get(f"/console/{path}", headers=HTML)
    took = time.perf_counter() - before
    assert answer.status_code == 200, answer.text
    return took * 1000


def measure(url: str) -> bool:
    """Print each page's figures; whether all are as wanted."""
    database = Database(url)
    migrate.upgrade(database)
    fill(database)
    keys = {f"RUSHES_{name}_API_KEY": "sk-of-a-benchmark" for name in ("EVOLINK", "APIFRAME", "EASYROUTER", "GRAVITEX")}
    limits = {"RUSHES_API_REQUESTS_PER_MIN": "100000000"}
    app = create_app(load({"RUSHES_DATABASE_URL": url, "RUSHES_S3_BUCKET": "videos", **keys, **limits}))
    _, key = api_keys.create(database, "benchmark", Scope.ADMIN)
    client = app.test_client()
    answer = client.post("/console/sign-in", data={"key": key}, headers=HTML)
    assert answer.status_code == 303, answer.text
    assert re.search(r"<h1>Overview", client.get("/console/", headers=HTML).text)
    good = True
    for name, path in PAGES.items():
        took_ms(client, path)
        each = sorted(took_ms(client, path) for _ in range(ROUNDS))
        median = statistics.median(each)
        said, is_held = f"{median:.0f} ms, slowest {each[-1]:.0f} ms", median <= WANTED_MS
        good = tell(f"{WHAT}: {name}", said, f"{WANTED_MS:.0f} ms", is_held=is_held) and good
    app.extensions["rushes.close"]()
    database.close()
    return good


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as temporary, servers(Path(temporary)) as (_, postgres):
        good = measure(postgres.create_database("bench"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
