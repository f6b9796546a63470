"""How many callbacks a second are kept and rung for, beside the plain way and a bare Flask.

    python benchmarks/receiver.py

Each server is granian with one worker; callbacks come over 32 connections that are kept, each with a body of its own
for a job of its own. PostgreSQL writes through to the disk. The bells go to a real Valkey, inside the clock: a turn
ends when they are there. Turns are shuffled. The load comes from this machine and takes a good part of it.
"""

from __future__ import annotations

import math
import os
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import redis
import sqlalchemy as sa
from figures import spread, tell

from jobs import callback_urls
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.store import migrate
from jobs.store.database import Database
from jobs.store.tables import attempts, jobs
from rushes.local.ports import free_ports, port_is_served
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey

ROUNDS, TURN_S, CONNECTIONS, GENERATORS = 5, 3.0, 32, 2
OF_PLAIN, OF_BARE, LATEST_MS = 1.5, 0.2, 60  # of their rates at least, and p99 at most
QUIET_S = 0.2
NAMES = ("ours", "plain", "plain, 256 threads", "bare")
JOBS = 60_000
KEY = "0123456789abcdef0123456789abcdef"
BELLS = ("rushes.transfer", "rushes.reconcile", "rushes.sweep", "plain")
BIN = Path(sys.executable).parent


class Turn(NamedTuple):
    """Callbacks a second, and the time that one took, in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float


def requests_of(port: int, job_ids: list[str], turn: int) -> list[bytes]:
    """A request for each job, ready to be sent, with a body that no other turn has."""
    ready = []
    for job_id in job_ids:
        path = callback_urls.mint("", {"k1": KEY.encode()}, "aivideoapi", job_id, 1)
        body = f'{{"id": "t-{job_id[-12:]}", "status": "processing", "turn": {turn}}}'
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        ready.append(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return ready


def load(port: int, job_ids: list[str], turn: int) -> tuple[list[float], int]:
    """Send callbacks over this process's share of the connections: the seconds that each took, and how many failed."""
    each = CONNECTIONS // GENERATORS
    shares = [requests_of(port, job_ids[n::each], turn) for n in range(each)]
    took: list[float] = []
    failed = [0]
    end = time.monotonic() + TURN_S

    def send(share: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for request in share:
                begun = time.monotonic()
                if begun >= end:
                    return
                connection.sendall(request)
                answer = connection.recv(4096)
                took.append(time.monotonic() - begun)
                failed[0] += not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204"))
        failed[0] += 1  # a turn had more callbacks than jobs

    threads = [threading.Thread(target=send, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, failed[0]


class Course:
    """Servers to measure by name, jobs that callbacks are about, and the broker where bells arrive."""

    def __init__(self, ports: Mapping[str, int], job_ids: list[str], broker: redis.Redis) -> None:
        self.ports, self._job_ids, self._unused, self._broker, self._turns = ports, job_ids, job_ids, broker, 0

    def turn(self, name: str, pool: ProcessPoolExecutor) -> Turn:
        """Let one server have its turn. A job is called back to ours once: an order's later callbacks are others."""
        self._broker.flushdb()
        self._turns += 1
        size, chosen = JOBS // (ROUNDS + 1), self._job_ids  # the others do not know of jobs
        if name == "ours":
            chosen, self._unused = self._unused[:size], self._unused[size:]
        begun = time.monotonic()
        parts = [pool.submit(load, self.ports[name], chosen[n::GENERATORS], self._turns) for n in range(GENERATORS)]
        told = [part.result() for part in parts]
        seconds = self._last_bell() - begun
        took = sorted(each for part, _ in told for each in part)
        if failed := sum(count for _, count in told):
            raise SystemExit(f"{name}: {failed} of {len(took)} callbacks were not kept, or JOBS is too low")
        return Turn(len(took) / seconds, 1000 * statistics.median(took), 1000 * took[int(len(took) * 0.99)])

    def _last_bell(self) -> float:
        """When the last bell came: none comes for a while after it."""
        count, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_S:
            if (now := sum(int(self._broker.llen(name)) for name in BELLS)) != count:
                count, since = now, time.monotonic()
            time.sleep(0.001)  # between two looks
        return since


def server(name: str, app: str, port: int, threads: int, env: Mapping[str, str]) -> Process:
    """Granian as the Procfile has it."""
    words = ["--interface", "wsgi", "--factory", "--no-ws", "--http", "1", "--port", str(port), "--workers", "1"]
    words += ["--blocking-threads", str(threads), "--backpressure", "1024", "--no-access-log", app]
    return Process(
        name=name,
        argv=[str(BIN / "granian"), *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **env},
        ready=lambda: port_is_served(port),
    )


def add_jobs(database: Database, count: int) -> list[str]:
    """Jobs that are generating, each with its order."""
    now = datetime.now(UTC)
    empty = {column.name: None for column in jobs.columns}
    job = {**empty, "state": State.GENERATING, "version": 1, "alarm_at": now + timedelta(days=1), "holder_deaths": 0}
    job |= {"mode": "text-to-video", "request": {"prompt": "A red fox"}, "provider": "aivideoapi", "attempt": 1}
    job |= {"overdue": False, "troubles": 0, "on_unconfirmed": "wait", "start_by": now, "archive_key": "a.mp4"}
    job |= {"notices": 0, "metadata": {}, "api_key_id": "key_1", "created_at": now, "updated_at": now}
    order = {column.name: None for column in attempts.columns}
    order |= {"number": 1, "origin": "ordered", "provider": "aivideoapi", "base_url": "https://gateway", "account": "f"}
    order |= {"with_callback": True, "request": {}, "outcome": AttemptOutcome.OPEN, "standing": Standing.HELD}
    order |= {"adopted": False, "contested": False, "rejected_task_ids": [], "day": "2026-11-29", "sends": 1}
    order |= {"estimate_exact": True, "reserved_micro_usd": 0, "created_at": now, "sending_at": now, "accepted_at": now}
    order |= {"age_unknown": False, "polls": 0}
    job_ids = [f"job_{n:026}" for n in range(count)]
    with database.write() as db:
        for first in range(0, count, 5_000):
            part = job_ids[first : first + 5_000]
            db.execute(sa.insert(jobs), [{**job, "id": job_id} for job_id in part])
            db.execute(sa.insert(attempts), [{**order, "job_id": j, "task_id": f"t-{j[-12:]}"} for j in part])
    return job_ids


@contextmanager
def course() -> Iterator[Course]:
    with tempfile.TemporaryDirectory() as name, Supervisor() as supervisor:
        folder, ports = Path(name), dict(zip(NAMES, free_ports(4), strict=True))
        valkey, postgres = Valkey(folder / "valkey", free_ports(1)[0], KEY), Postgres(folder, free_ports(1)[0], KEY)
        postgres.prepare()
        durable = postgres.process()
        supervisor.start(valkey.process())
        supervisor.start(replace(durable, argv=[*durable.argv, "-c", "fsync=on", "-c", "full_page_writes=on"]))
        database = Database(postgres.url)
        migrate.upgrade(database)
        job_ids = add_jobs(database, JOBS)
        env = {
            "RUSHES_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "RUSHES_REDIS_URL": valkey.url,
            "RUSHES_CALLBACK_KEYS": f"k1:{KEY}",
            "RUSHES_S3_BUCKET": "videos",
            "RUSHES_DATA_DIR": str(folder),
            "VALKEY_URL": valkey.url,
            "CALLBACK_KEY": KEY,
        }
        supervisor.start(server("ours", "rushes.app:create_app", ports["ours"], 256, env))
        supervisor.start(server("plain", "plain_receiver:create_app", ports["plain"], 16, env))
        supervisor.start(server("plain256", "plain_receiver:create_app", ports["plain, 256 threads"], 256, env))
        supervisor.start(server("bare", "plain_receiver:bare_app", ports["bare"], 16, env))
        with redis.Redis.from_url(valkey.url) as broker:
            yield Course(ports, job_ids, broker)
        database.close()


def main() -> int:
    found: dict[str, list[Turn]] = {}
    with course() as there, ProcessPoolExecutor(GENERATORS) as pool:
        for number in range(ROUNDS + 1):
            for name in random.sample(list(there.ports), len(there.ports)):
                turn = there.turn(name, pool)
                if number:  # the first round is for warming up
                    found.setdefault(name, []).append(turn)
    rates = {name: statistics.median(turn.per_s for turn in turns) for name, turns in found.items()}
    what, late_ms = "callbacks kept durably (PostgreSQL, fsync) with bells rung, 32 connections", math.inf
    for name, turns in found.items():
        p50, p99 = (statistics.median(getattr(t, of) for t in turns) for of in ("p50_ms", "p99_ms"))
        rounds = spread([t.per_s for t in turns], 0)
        tell(f"{what}: {name}", f"{rates[name]:,.0f}/s ({rounds}), p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        late_ms = p99 if name == "ours" else late_ms
    plain, bare = (rates["ours"] / rate for rate in (max(rates["plain"], rates["plain, 256 threads"]), rates["bare"]))
    held = [
        tell(f"{what}: of the plain way's better rate", f"{plain:.2f}", f"{OF_PLAIN}", is_held=plain >= OF_PLAIN),
        tell(f"{what}: of a bare Flask's rate", f"{bare:.2f}", f"{OF_BARE}", is_held=bare >= OF_BARE),
        tell(f"{what}: p99", f"{late_ms:.0f} ms", f"{LATEST_MS} ms", is_held=late_ms <= LATEST_MS),
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
