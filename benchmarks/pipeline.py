"""How many jobs a second go from the client to the bucket, beside the plain way and beside messages that do nothing.

    python benchmarks/pipeline.py

Ours runs as `rushes up` starts it, once on SQLite and once on PostgreSQL. The plain way (`plain_pipeline.py`) has a web
process and a worker of 32 threads, on PostgreSQL; it runs once as it is, and once so that it leaves in the bucket what
ours does: a film that was decoded, its poster and its sidecar. The floor is four chained tasks per job that do nothing,
in that worker. All order of a gateway that takes no time (`fast_gateway.py`), are called back, and copy films of 8 KB
into the same SeaweedFS. Each turn begins with the first request and ends with the last archived job. Turns are
shuffled. Load, gateway and stores share the machine.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import redis
import requests
import sqlalchemy as sa
from arena import PROMPT, Arena, arena
from figures import spread, tell
from transfer_memory import make_film
from two_hundred_jobs import cpu_s

from jobs.store.database import Database
from rushes.local.ports import free_ports, port_is_served
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor

ROUNDS, CALLERS = 5, 8
PROVEN = "plain, with proof, poster and sidecar"
JOBS = {"ours, SQLite": 100, "ours, PostgreSQL": 100, "plain": 200, PROVEN: 200, "floor": 400}
FILM_BYTES = 8_192
LONGEST_S = 180
OF_FLOOR = 0.12
WHAT = "the whole pipeline, a gateway that answers at once, films of 8 KB"
KEY = "0123456789abcdef0123456789abcdef"
BIN, HERE = Path(sys.executable).parent, Path(__file__).parent


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {LONGEST_S} s")
        time.sleep(0.05)  # more often would be work of its own, and most of it beside the slowest


class Ours:
    """Our whole service on one database."""

    def __init__(self, it: Arena, database: Database) -> None:
        self.it, self.database, self.cpu_ms = it, database, list[float]()

    def turn(self, count: int) -> None:
        before, cpu = self._archived(), cpu_s(self.it)
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda _: self.it.submit(provider="aivideoapi"), range(count)))
        until(lambda: self._archived() >= before + count, "ours")
        self.cpu_ms.append((cpu_s(self.it) - cpu) / count * 1000)

    def _archived(self) -> int:
        with self.database.read() as db:
            return int(db.execute(sa.text("SELECT count(*) FROM jobs WHERE state = 'archived'")).scalar_one())


class Plain:
    """The plain way, and the messages that do nothing."""

    def __init__(self, url: str, engine: sa.Engine, broker: redis.Redis) -> None:
        self._url, self._engine, self._broker, self._session = url, engine, broker, requests.Session()

    def turn(self, count: int, *, is_proven: bool = False) -> None:
        before = self._archived()
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda _: self._submit(is_proven=is_proven), range(count)))
        until(lambda: self._archived() >= before + count, "plain")

    def proven(self, count: int) -> None:
        self.turn(count, is_proven=True)

    def floor(self, count: int) -> None:
        from plain_pipeline import floor

        self._broker.set("floor", 0)
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda _: floor.delay(1), range(count)))
        until(lambda: int(self._broker.get("floor") or 0) >= count, "floor")

    def _submit(self, *, is_proven: bool) -> None:
        asked = {"prompt": PROMPT, "is_proven": is_proven}
        self._session.post(f"{self._url}/jobs", json=asked, timeout=30).raise_for_status()

    def _archived(self) -> int:
        with self._engine.connect() as db:
            return int(db.execute(sa.text("SELECT count(*) FROM plain_jobs WHERE state = 'archived'")).scalar_one())


def ours(stack: ExitStack, gateway: int, url: str | None, more: Mapping[str, str] | None = None) -> Ours:
    port = free_ports(1)[0]
    settings = {
        "RUSHES_AIVIDEOAPI_API_KEY": "sk-bench",
        "RUSHES_AIVIDEOAPI_BASE_URL": f"http://127.0.0.1:{gateway}",
        "RUSHES_STAND_INS": "aivideoapi",
        "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
        "RUSHES_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "RUSHES_API_REQUESTS_PER_MIN": "10000000",
        "RUSHES_AIVIDEOAPI_QUERIES_PER_S": "1000",  # the gateway's own page allows few
        **({"RUSHES_DATABASE_URL": url} if url else {}),
        **(more or {}),
    }
    it = stack.enter_context(arena(settings, port=port))
    database = Database(it.service.settings.database_url)
    stack.callback(database.close)
    return Ours(it, database)


def plain(stack: ExitStack, supervisor: Supervisor, gateway: int, url: str, at: Arena) -> Plain:
    port, weed = free_ports(1)[0], at.service.plan.seaweedfs
    valkey = at.service.plan.valkey
    assert weed is not None
    assert valkey is not None
    told = {
        "PLAIN_GATEWAY": f"http://127.0.0.1:{gateway}",
        "PLAIN_PUBLIC": f"http://127.0.0.1:{port}",
        "PLAIN_DATABASE": url,
        "PLAIN_BROKER": valkey.url.removesuffix("/0") + "/1",
        "PLAIN_S3": weed.endpoint_url,
        "PLAIN_BUCKET": weed.bucket,
        "AWS_ACCESS_KEY_ID": weed.access_key,
        "AWS_SECRET_ACCESS_KEY": weed.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(told)
    from plain_pipeline import engine, metadata

    metadata.create_all(engine)
    stack.callback(engine.dispose)
    env: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(HERE)}
    web = ["granian", "--interface", "wsgi", "--factory", "--no-ws", "--http", "1", "--port", str(port)]
    web += ["--workers", "1", "--blocking-threads", "16", "--backpressure", "1024", "--no-access-log"]
    worker = ["celery", "--quiet", "-A", "plain_pipeline.celery", "worker", "-Q", "plain", "-P", "threads", "-c", "32"]
    worker += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    for name, words, ready in (
        ("plain web", [*web, "plain_pipeline:create_app"], lambda: port_is_served(port)),
        ("plain worker", worker, None),
    ):
        argv = [str(BIN / words[0]), *words[1:]]
        supervisor.start(Process(name, argv, env=env, cwd=HERE, **({"ready": ready} if ready else {})))
    broker = redis.Redis.from_url(told["PLAIN_BROKER"])
    stack.callback(broker.close)
    return Plain(f"http://127.0.0.1:{port}", engine, broker)


def main() -> int:
    rates: dict[str, list[float]] = {name: [] for name in JOBS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rushes-bench-")))
        make_film(folder / "film.mp4", FILM_BYTES)
        postgres = Postgres(folder / "postgres", free_ports(1)[0], KEY)
        postgres.prepare()
        stack.callback(postgres.remove)
        supervisor = stack.enter_context(Supervisor())
        durable = postgres.process()  # and its commits written through to the disk
        supervisor.start(replace(durable, argv=[*durable.argv, "-c", "fsync=on", "-c", "full_page_writes=on"]))
        gateway = free_ports(1)[0]
        argv = [sys.executable, str(HERE / "fast_gateway.py"), str(gateway), str(folder / "film.mp4")]
        supervisor.start(Process("gateway", argv, env=dict(os.environ), ready=lambda: port_is_served(gateway)))
        mine = {
            "ours, SQLite": ours(stack, gateway, None),
            "ours, PostgreSQL": ours(stack, gateway, postgres.create_database("ours")),
        }
        theirs = plain(stack, supervisor, gateway, postgres.create_database("plain"), mine["ours, SQLite"].it)
        turns: dict[str, Callable[[int], None]] = {name: each.turn for name, each in mine.items()}
        turns |= {"plain": theirs.turn, PROVEN: theirs.proven, "floor": theirs.floor}
        for number in range(ROUNDS + 1):
            for name in random.sample(list(turns), len(turns)):
                count = JOBS[name] if number else 10  # the first round is for warming up
                begun = time.monotonic()
                turns[name](count)
                if number:
                    rates[name].append(count / (time.monotonic() - begun))
        cpu_ms = {name: statistics.median(each.cpu_ms[1:]) for name, each in mine.items()}
    floor, plainly = statistics.median(rates["floor"]), statistics.median(rates["plain"])
    held = []
    for name, found in rates.items():
        rate = statistics.median(found)
        ratios = f"{rate / floor:.2f} of the floor, {rate / plainly:.2f} of the plain way"
        said = f"{rate:.1f} jobs/s ({spread(found)}), {ratios}"
        if name in cpu_ms:
            said += f", {cpu_ms[name]:.0f} ms of CPU a job"
            is_held = rate / floor >= OF_FLOOR and rate > plainly
            wanted = f"{OF_FLOOR} of the floor, ahead of the plain way"
            held.append(tell(f"{WHAT}: {name}", said, wanted, is_held=is_held))
        else:
            tell(f"{WHAT}: {name}", said)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
