"""What a page costs at the head of a million jobs, and ten thousand pages further down; and what a scrape costs.

    python benchmarks/million_jobs.py

By the API, in this process, on SQLite and on PostgreSQL: with no filter, and with one. The deep page is reached as a
client reaches it, by `next_cursor` after `next_cursor`. Fails where the deep page takes over a fifth more or less, or
where a scrape takes more than a tenth of a second that does not count anew how many jobs have ended.
"""

from __future__ import annotations

import statistics
import sys
import time

from api_rates import on_both
from figures import tell
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.settings import load
from jobs.store import migrate
from jobs.store.database import Database
from rushes.app import create_app

JOBS, PAGE, DEEP, STRIDE = 1_000_000, 20, 10_000, 100
ROUNDS = 200
WITHIN, QUICK_MS = 0.2, 100
FILTERS = {"all jobs": "", "archived ones": "&state=archived"}

# Every tenth job has failed, the others are archived; one a second.
_COLUMNS = (
    "id, state, version, mode, request, attempt, overdue, troubles, on_unconfirmed, start_by, archive_key, notices,"
    " metadata, api_key_id, created_at, updated_at, ended_at"
)
_VALUES = (
    "{id}, CASE WHEN n / 10 * 10 = n THEN 'failed' ELSE 'archived' END, 5, 'text-to-video', '{{}}', 0, {no}, 0, 'wait',"
    " {at}, 'videos/x.mp4', 0, '{{}}', 'key_x', {at}, {at}, {at}"
)
_SQLITE = (
    f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {JOBS})"
    f" INSERT INTO jobs ({_COLUMNS}) SELECT "
    + _VALUES.format(
        id="'job_' || printf('%026d', n)",
        no="0",
        at="strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', 1700000000 + n, 'unixepoch')",
    )
    + " FROM numbers"
)
_POSTGRESQL = (
    f"INSERT INTO jobs ({_COLUMNS}) SELECT "
    + _VALUES.format(id="'job_' || lpad(n::text, 26, '0')", no="false", at="to_timestamp(1700000000 + n)")
    + f" FROM generate_series(1, {JOBS}) AS numbers(n)"
)


def fill(database: Database) -> None:
    with database.write() as db:
        if not database.is_sqlite:
            db.exec_driver_sql("SET LOCAL statement_timeout = 0")
        db.exec_driver_sql(_SQLITE if database.is_sqlite else _POSTGRESQL)
    with database.write() as db:
        db.exec_driver_sql("ANALYZE")


def deep_cursor(client: FlaskClient, wanted: str) -> str:
    """Where page 10,000 begins."""
    cursor = ""
    for _ in range((DEEP - 1) * PAGE // STRIDE):
        answer = client.get(f"/v1/jobs?limit={STRIDE}{wanted}{cursor}")
        assert answer.status_code == 200, answer.text
        cursor = f"&cursor={answer.json['next_cursor']}"
    rest = (DEEP - 1) * PAGE % STRIDE
    answer = client.get(f"/v1/jobs?limit={rest}{wanted}{cursor}")
    return f"&cursor={answer.json['next_cursor']}"


def took_ms(client: FlaskClient, path: str) -> float:
    before = time.perf_counter()
    answer = client.get(path)
    took = time.perf_counter() - before
    assert len(answer.json["data"]) == PAGE, answer.text
    return took * 1000


def scraped_ms(client: FlaskClient) -> float:
    before = time.perf_counter()
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return (time.perf_counter() - before) * 1000


def measure(kind: str, url: str) -> bool:
    """Print the figures of one database; whether they are as wanted."""
    database = Database(url)
    migrate.upgrade(database)
    fill(database)
    numbers = {"RUSHES_API_REQUESTS_PER_MIN": "100000000"}
    app = create_app(
        load(
            {
                "RUSHES_DATABASE_URL": url,
                "RUSHES_S3_BUCKET": "videos",
                "RUSHES_EVOLINK_API_KEY": "sk-of-a-benchmark",
                **numbers,
            }
        )
    )
    _, key = api_keys.create(database, "benchmark")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    good = True
    for name, wanted in FILTERS.items():
        first = f"/v1/jobs?limit={PAGE}{wanted}"
        deep = first + deep_cursor(client, wanted)
        took_ms(client, first), took_ms(client, deep)
        both = [(took_ms(client, first), took_ms(client, deep)) for _ in range(ROUNDS)]
        ahead, behind = (statistics.median(each) for each in zip(*both, strict=True))
        more = behind / ahead - 1
        what = f"a page of {PAGE} of {JOBS:,} jobs on {kind}, {name}: page {DEEP:,} against page 1"
        said = f"{behind:.2f} ms, {ahead:.2f} ms ({more:+.0%})"
        good = tell(what, said, f"within {WITHIN:.0%}", is_held=abs(more) <= WITHIN) and good
    counting, *others = (scraped_ms(client) for _ in range(20))
    usual = statistics.median(others)
    said = f"{usual:.1f} ms; {counting:.0f} ms where ended jobs are counted anew"
    good = (
        tell(f"`/metrics` beside {JOBS:,} jobs on {kind}", said, f"{QUICK_MS} ms", is_held=usual <= QUICK_MS) and good
    )
    app.extensions["rushes.close"]()
    database.close()
    return good


def main() -> int:
    return 0 if on_both(measure) else 1


if __name__ == "__main__":
    sys.exit(main())
