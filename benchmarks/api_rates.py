"""How fast the API takes a job in and shows it, beside the same views written plainly on the same parts.

    python benchmarks/api_rates.py

The plain views check the key, do the same work in the fewest statements, and know neither cursors, limits, request ids
nor long polls. Both answer in this process, in turns, on SQLite and on PostgreSQL, with a real Valkey to ring at, for
one caller and for eight at once. Fails where a ratio is below what is wanted.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from figures import tell
from flask import Flask, jsonify, request
from ulid import ULID

from jobs.broker import ringing_app
from jobs.intake import api_keys
from jobs.request.schema import RequestSchema
from jobs.settings import Settings, load
from jobs.store import migrate
from jobs.store.database import Database
from jobs.store.tables import api_keys as keys
from jobs.store.tables import attempts, events, jobs
from rushes.app import create_app
from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey

Wsgi = Callable[..., Iterable[bytes]]

ROUNDS = 30
SHOWS, CREATES = 120, 64  # calls of a round
CALLERS = (1, 8)
SETTLE_S = 0.1  # so that the last doorbells of one turn are not rung in the next
WANTED = {"GET /v1/jobs/<id>": 0.6, "POST /v1/jobs": 1.2}
REQUEST = {"prompt": "A red fox runs through snow", "resolution": "720p", "duration": 2, "metadata": {"scene": "12"}}


def plain_app(database: Database, settings: Settings) -> Flask:
    """Both views as one would write them in an hour."""
    app, celery, schema_ = Flask("plain", static_folder=None), ringing_app(settings), RequestSchema()

    def checked(db: sa.Connection) -> str:
        digest = api_keys._digest(request.headers["Authorization"].removeprefix("Bearer "))
        live = sa.and_(keys.c.digest == digest, keys.c.revoked_at.is_(None))
        return str(db.execute(sa.select(keys.c.id).where(live)).scalar_one())

    @app.get("/v1/jobs/<job_id>")
    def show(job_id: str) -> Any:
        with database.read() as db:
            checked(db)
            current = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
            both = sa.select(jobs, attempts).outerjoin_from(jobs, attempts, current).where(jobs.c.id == job_id)
            row = db.execute(both.set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)).mappings().one()
        return jsonify(seen(row))

    @app.post("/v1/jobs")
    def create() -> Any:
        asked = schema_.load(request.get_json())
        with database.write() as db:
            key_id, now = checked(db), datetime.now(UTC)
            row = new_row(request.get_json(), asked, key_id, now)
            db.execute(sa.insert(jobs).values(**row))
            line = {
                "job_id": row["id"],
                "at": now,
                "event": "created",
                "attempt": 0,
                "to_state": "queued",
                "detail": {},
            }
            db.execute(sa.insert(events).values(**line))
        celery.send_task("jobs.submit", args=[row["id"]])
        return jsonify({name: str(value) for name, value in row.items()}), 202

    return app


def seen(row: Any) -> dict[str, Any]:
    """The answer, from one row of both tables."""
    cost = {
        name: row[f"attempts_{name}"]
        for name in ("standing", "estimated_credits", "estimated_usd", "reported_credits", "reported_usd")
    }
    order = {name: row[f"attempts_{name}"] for name in ("number", "provider", "task_id", "outcome")}
    video = ("bucket", "bytes", "sha256", "duration_s", "width", "height", "fps")
    facts = ("id", "state", "mode", "provider", "attempt", "progress", "overdue", "metadata")
    times = ("created_at", "updated_at", "ended_at")
    return {
        **{name: row[f"jobs_{name}"] for name in facts},
        **{name: row[f"jobs_{name}"].isoformat() for name in times},
        "error": None,
        "cost": cost,
        "attempts": [{**order, "cost": cost}],
        "video": {name: row[f"jobs_{name}"] for name in video},
        "links": {"self": f"/v1/jobs/{row['jobs_id']}"},
    }


def new_row(body: Any, asked: Any, key_id: str, now: datetime) -> dict[str, Any]:
    job_id = f"job_{ULID()}"
    return {
        "id": job_id,
        "state": "queued",
        "version": 0,
        "alarm_at": now,
        "mode": asked.generation.mode.value,
        "request": body,
        "attempt": 0,
        "overdue": False,
        "troubles": 0,
        "on_unconfirmed": "wait",
        "start_by": now,
        "archive_key": f"videos/{job_id}.mp4",
        "notices": 0,
        "metadata": body["metadata"],
        "api_key_id": key_id,
        "created_at": now,
        "updated_at": now,
    }


def asked(app: Wsgi, method: str, path: str, key: str, body: bytes = b"") -> str:
    """One request through the whole application; the status that it answers."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "rushes.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    said: list[str] = []
    b"".join(app(environ, lambda status, headers, _=None: said.append(status)))
    return said[0]


def rate(call: Callable[[], str], times: int, wanted: str, pool: ThreadPoolExecutor) -> float:
    """Calls per second, of some by as many callers as the pool has threads."""
    before = time.perf_counter()
    for status in pool.map(lambda _: call(), range(times)):
        assert status.startswith(wanted), status
    took_s = time.perf_counter() - before
    time.sleep(SETTLE_S)
    return times / took_s


def archived_job(database: Database, app: Wsgi, key: str) -> str:
    """A job with one order and its video, as most that are asked for have."""
    assert asked(app, "POST", "/v1/jobs", key, json.dumps(REQUEST).encode()).startswith("202")
    with database.write() as db:
        job_id = str(db.execute(sa.select(jobs.c.id)).scalar_one())
        now = database.clock(db)
        order = {"job_id": job_id, "number": 1, "provider": "evolink", "base_url": "https://x", "account": "a"}
        order |= {"with_callback": True, "request": {}, "outcome": "delivered", "standing": "charged", "task_id": "t"}
        order |= {"rejected_task_ids": [], "day": "2026-11-21", "estimated_usd": 0.17, "estimate_exact": True}
        db.execute(sa.insert(attempts).values(**order, reserved_micro_usd=0, created_at=now))
        video = {"bytes": 1, "sha256": "0" * 64, "duration_s": 2.0, "width": 1280, "height": 720, "fps": 24.0}
        ended = {"state": "archived", "attempt": 1, "provider": "evolink", "alarm_at": None, "ended_at": now}
        db.execute(sa.update(jobs).values(**video, **ended, bucket="videos"))
    return job_id


def on_both(measure: Callable[[str, str], bool]) -> bool:
    """Whether it held on a SQLite and on a PostgreSQL of their own, each by its name and URL."""
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as temporary:
        folder = Path(temporary)
        with servers(folder) as (_, postgres):
            good = measure("SQLite", f"sqlite:///{folder}/rushes.db")
            return measure("PostgreSQL", postgres.create_database("bench")) and good


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Valkey, Postgres]]:
    """A Valkey and a PostgreSQL of their own."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its lines would stand between the figures
    valkey = Valkey(folder / "valkey", free_ports(1)[0], "password-of-a-benchmark")
    postgres = Postgres(folder / "postgres", free_ports(1)[0], "password-of-a-benchmark")
    postgres.prepare()
    with Supervisor() as supervisor:
        supervisor.start(valkey.process())
        supervisor.start(postgres.process())
        yield valkey, postgres
    postgres.remove()


def measure(kind: str, url: str, valkey: Valkey) -> bool:
    """Print both ratios on one database; whether they are as wanted."""
    database = Database(url)
    migrate.upgrade(database)
    settings = load(
        {
            "RUSHES_DATABASE_URL": url,
            "RUSHES_REDIS_URL": valkey.url,
            "RUSHES_S3_BUCKET": "videos",
            "RUSHES_EVOLINK_API_KEY": "sk-of-a-benchmark",
            "RUSHES_API_REQUESTS_PER_MIN": "10000000",
        }
    )
    _, key = api_keys.create(database, "benchmark")
    ours, plain = create_app(settings), plain_app(database, settings)
    job_id = archived_job(database, ours, key)
    body = json.dumps(REQUEST).encode()

    def show(app: Wsgi, pool: ThreadPoolExecutor) -> float:
        return rate(lambda: asked(app, "GET", f"/v1/jobs/{job_id}", key), SHOWS, "200", pool)

    def create(app: Wsgi, pool: ThreadPoolExecutor) -> float:
        return rate(lambda: asked(app, "POST", "/v1/jobs", key, body), CREATES, "202", pool)

    good = True
    for name, run in (("GET /v1/jobs/<id>", show), ("POST /v1/jobs", create)):
        for callers in CALLERS:
            with ThreadPoolExecutor(callers) as pool:
                run(ours, pool), run(plain, pool)
                gc.collect()
                both = [(run(ours, pool), run(plain, pool)) for _ in range(ROUNDS)]
            mine, theirs = (statistics.median(each) for each in zip(*both, strict=True))
            ratio = statistics.median(a / b for a, b in both)
            what = f"`{name}` on {kind}, {callers} at once, of the rate of the same written plainly"
            said = f"{ratio:.2f}: {mine:.0f}/s of {theirs:.0f}/s"
            good = tell(what, said, f"{WANTED[name]:.1f}", is_held=ratio >= WANTED[name]) and good
    ours.extensions["rushes.close"]()
    database.close()
    return good


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as temporary:
        folder = Path(temporary)
        with servers(folder) as (valkey, postgres):
            good = measure("SQLite", f"sqlite:///{folder}/rushes.db", valkey)
            good = measure("PostgreSQL", postgres.create_database("bench"), valkey) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
