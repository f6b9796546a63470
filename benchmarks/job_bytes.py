"""How many bytes a job's rows take on PostgreSQL, with their indexes.

    python benchmarks/job_bytes.py

A job at each gateway goes its whole way: ordered under an idempotency key, called back or polled, archived, its notice
delivered. Its rows are then written again for ten thousand jobs, each with ids of its own, and the tables are measured:
as they are when the jobs have ended, and once more when their histories are packed, as `rushes db prune` does a day
later.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psycopg
import requests
import sqlalchemy as sa
from arena import PROMPT, Arena, arena
from figures import tell
from two_hundred_jobs import PROVIDERS

from jobs.settings import Settings
from jobs.store import tables
from jobs.store.database import Database
from jobs.upkeep.prune import Pruning
from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.supervisor import Supervisor

COPIES = 2_000
WITHIN_S = 60
KEY = "0123456789abcdef0123456789abcdef"
OF_A_JOB = (
    tables.jobs,
    tables.attempts,
    tables.inbox,
    tables.hearsay,
    tables.events,
    tables.histories,
    tables.idempotency_keys,
    tables.notices,
    tables.notice_tries,
)
OF_ITSELF, WANTED = 6, 3_500  # the first of these tables, and how many bytes they may take
# What a copy has of its own: as long as the original's, and rising from copy to copy, as ids that name their time do.
OF_ITS_OWN = "left({0}, 4) || lpad(n::text, 16, '0') || right({0}, 10)"
TASK = "{0} || '-' || n"


class Taker(BaseHTTPRequestHandler):
    """A pipeline that takes each notice."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


def order(it: Arena, notify_url: str) -> list[str]:
    job_ids = []
    for provider in PROVIDERS:
        body = {"prompt": PROMPT, "provider": provider, "resolution": "720p", "duration": 2}
        body |= {"notify_url": notify_url, "metadata": {"project": "spring", "shot": "12"}}
        headers = {"Authorization": f"Bearer {it.service.api_key.key}", "Idempotency-Key": f"shot-12-{provider}"}
        answer = requests.post(f"{it.service.url}/v1/jobs", json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        job_ids.append(str(answer.json()["id"]))
    return job_ids


def until_told(database: Database, count: int) -> None:
    delivered = sa.select(sa.func.count()).where(tables.notices.c.delivered_at.is_not(None))
    end = time.monotonic() + WITHIN_S
    while True:
        with database.read() as db:
            if db.execute(delivered).scalar_one() == count:
                return
        if time.monotonic() > end:
            raise SystemExit(f"not all notices were delivered within {WITHIN_S} s")
        time.sleep(0.1)  # between two looks


def copy(database: Database) -> None:
    """Write each job's rows again, `COPIES` times."""
    for table in OF_A_JOB:
        columns = [c.name for c in table.columns if not (c.name == "id" and isinstance(c.type, sa.Integer))]
        said = ", ".join(_value(name) for name in columns)
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {said}"
        with database.write() as db:
            db.exec_driver_sql("SET LOCAL statement_timeout = 0")
            db.exec_driver_sql(f"{statement} FROM {table.name} CROSS JOIN generate_series(1, {COPIES}) AS numbers(n)")


def _value(name: str) -> str:
    own = {"id": OF_ITS_OWN, "job_id": OF_ITS_OWN, "notice_id": OF_ITS_OWN, "task_id": TASK, "key": TASK}
    return own.get(name, "{0}").format(name)


def pack(database: Database, settings: Settings) -> None:
    """Pack all histories at once, and give back the room of their lines, which the next jobs' lines would take."""
    at_once = replace(settings, pack_history_d=0)
    packed = Pruning(database, at_once, pause=lambda seconds: None).run().packed_histories
    if packed != len(PROVIDERS) * (COPIES + 1):
        raise SystemExit(f"{packed} histories were packed")
    with psycopg.connect(settings.database_url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute("VACUUM FULL events")


def bytes_of_each(database: Database) -> dict[str, float]:
    """Bytes of a job in each table, with its indexes."""
    with database.read() as db:
        sizes = {
            t.name: db.execute(sa.text(f"SELECT pg_total_relation_size('{t.name}')")).scalar_one() for t in OF_A_JOB
        }
    return {name: size / (len(PROVIDERS) * (COPIES + 1)) for name, size in sizes.items()}


def said(each: dict[str, float]) -> str:
    own = sum(list(each.values())[:OF_ITSELF])
    return f"{own:,.0f} bytes; {sum(each.values()):,.0f} with key and notice"


def main() -> int:
    taker = HTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=taker.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as name, Supervisor() as supervisor:
        postgres = Postgres(Path(name) / "postgres", free_ports(1)[0], KEY)
        postgres.prepare()
        supervisor.start(postgres.process())
        url = postgres.create_database("ours")
        with arena({"RUSHES_DATABASE_URL": url, "RUSHES_POLL_INTERVAL_S": "1"}) as it:
            it.set_sandbox(generation_s=2, film="small")
            job_ids = order(it, f"http://127.0.0.1:{taker.server_port}/notices")
            ended = it.until_ended(job_ids, within_s=WITHIN_S)
            settings = it.service.settings
            database = Database(settings.database_url)
            until_told(database, len(job_ids))
        if any(job["state"] != "archived" for job in ended):
            raise SystemExit(f"not all are archived: {[job['state'] for job in ended]}")
        copy(database)
        at_end = bytes_of_each(database)
        pack(database, settings)
        at_rest = bytes_of_each(database)
        database.close()
        postgres.remove()
    by_table = ", ".join(f"{name} {size:,.0f}" for name, size in at_end.items() if size >= 1)
    what = "the job, its order, callbacks and history on PostgreSQL, with indexes"
    tell(
        "bytes of a job on PostgreSQL, with indexes, by table",
        f"{by_table}; packed histories {at_rest['histories']:,.0f}",
    )
    tell(f"{what}, when it has ended", said(at_end))
    is_held = sum(list(at_rest.values())[:OF_ITSELF]) <= WANTED
    return 0 if tell(f"{what}, a day later", said(at_rest), f"{WANTED:,} bytes", is_held=is_held) else 1


if __name__ == "__main__":
    sys.exit(main())
