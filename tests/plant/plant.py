"""Real processes of the service, each reaching the database, Valkey and the bucket through a proxy of its own.

One plant serves all tests of a test process that ask for it: it takes longer to start than most of them take.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from emptying import at_rest, empty_bucket, empty_database, empty_valkey
from order_book import OrderBook
from stand_ins import StandIns
from tcp_proxy import Proxy
from wire_words import PostgresReader

from jobs.intake import api_keys
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.store import migrate, tables
from jobs.store.database import Database
from rushes.local import procfile
from rushes.local.folder import new_secret
from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.seaweedfs import SeaweedFS
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey
from storage.bucket import Bucket, BucketConfig

ROOT = Path(__file__).parents[2]
START_WITHIN_S = 100  # all processes at once, on a machine that is busy with other things as well
ROLES = ("web", "worker", "transfer", "notify", "sweep", "beat")
NOTICE_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CALLBACK_SECRET = "0123456789abcdef0123456789abcdef"
SECRETS = ("sk-sandbox", "afk_sandbox", NOTICE_SECRET, CALLBACK_SECRET)  # what no line of a log may hold
# Deadlines leave a busy machine time for honest answers; holds end soon after them.
SHORT = {
    "SUBMIT_DEADLINE_S": 5,
    "SUBMIT_LEASE_S": 5.5,
    "QUERY_DEADLINE_S": 3,
    "QUERY_LEASE_S": 3.5,
    "TRANSFER_DEADLINE_S": 10,
    "TRANSFER_STALL_S": 2,
    "TRANSFER_LEASE_S": 3,
    "NOTICE_DEADLINE_S": 1.5,
    "NOTICE_LEASE_S": 2,
    "SWEEP_INTERVAL_S": 0.5,
    "POLL_INTERVAL_S": 2,
    "RETRY_FIRST_S": 0.3,
    "RETRY_LONGEST_S": 1,
    "UNCONFIRMED_WINDOW_S": 6,
    "RESUBMIT_AFTER_S": 2,
    "RESEND_UNIT_S": 1,
    "NOTICE_UNIT_S": 0.1,
    "MAX_VIDEO_BYTES": 4_000_000,
    "WORKER_SLOTS": 16,
    "TRANSFER_SLOTS": 4,
}


class Plant:
    """The service at work. What a fault has broken, `heal` puts right for the next test."""

    def __init__(
        self,
        supervisor: Supervisor,
        folder: Path,
        bucket: BucketConfig,
        stand_ins: StandIns,
        valkey: Valkey,
        postgres: Postgres | None,
        roles: tuple[str, ...] = ROLES,
    ) -> None:
        self.supervisor, self.roles = supervisor, roles
        self.valkey, self.postgres, self.stand_ins = valkey, postgres, stand_ins
        self.bucket = Bucket(bucket)
        self.lines: list[str] = []
        (folder / "data").mkdir()
        url = postgres.create_database("rushes") if postgres else f"sqlite:///{folder}/data/rushes.db"
        self.database = Database(url)
        migrate.upgrade(self.database)
        _, self.key = api_keys.create(self.database, "faults")
        # One proxy for each process and each thing it stands on, so that a fault befalls that process alone.
        names = [*roles, *(f"{role}-2" for role in roles)]
        self.to_database = {name: Proxy(postgres.port, PostgresReader) for name in names} if postgres else {}
        self.to_valkey = {name: Proxy(valkey.port) for name in names}
        self.to_bucket = {name: Proxy(int(str(bucket.endpoint_url).rpartition(":")[2])) for name in names}
        self._ports = dict(zip(("web", "web-2"), free_ports(2), strict=True))
        self.url = self.url_of("web")
        self._env = self._environment(folder, bucket)
        self._told_otherwise: set[str] = set()  # processes that run under settings of their own
        self.book = OrderBook(self)

    def url_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self, name: str, **settings: float | Path) -> None:
        """Start a role's process, "worker", or a second one of it, "worker-2"; does not wait for it.

        `settings` are for this process alone, and until the test's end.
        """
        role = name.removesuffix("-2")
        env = self.environment_of(name) | {f"RUSHES_{key}": str(value) for key, value in settings.items()}
        if settings:
            self._told_otherwise.add(name)
        command = procfile.parse((ROOT / "Procfile").read_text(), env)[role]
        if "-n" in command:
            command[command.index("-n") + 1] = f"{role}@{name}"
        self.supervisor.start(Process(name, command, env=env, cwd=ROOT, stage=1, grace_s=10))

    def environment_of(self, name: str) -> dict[str, str]:
        """What this process is told: its own proxies stand before everything."""
        env = dict(self._env)
        if self.to_database:
            env["RUSHES_DATABASE_URL"] = self._behind(self.database.url, self.to_database[name])
        env["RUSHES_REDIS_URL"] = self._behind(sa.make_url(self.valkey.url), self.to_valkey[name])
        env["RUSHES_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{self.to_bucket[name].port}"
        env["RUSHES_DATA_DIR"] = str(self.folder_of(name))
        env["PORT"] = str(self._ports.get(name, self._ports["web"]))
        return env

    def folder_of(self, name: str) -> Path:
        """The data folder of this process: that of its role, as in compose; but two beats have two schedules."""
        folder = Path(self._env["RUSHES_DATA_DIR"], name if name == "beat-2" else name.removesuffix("-2"))
        folder.mkdir(exist_ok=True)
        return folder

    def kill(self, *names: str) -> None:
        """SIGKILL to the process and all it has started."""
        for name in names:
            self.supervisor.kill(name)

    def stop(self, name: str) -> None:
        """SIGTERM, as a rolling restart does it; waits for its end."""
        self.supervisor.stop_one(name)

    def freeze(self, name: str) -> None:
        """SIGSTOP to the process and all it has started."""
        for pid in family(self.supervisor.pids[name]):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        for pid in family(self.supervisor.pids[name]):
            os.kill(pid, signal.SIGCONT)

    def await_(self, condition: Callable[[], Any], what: Callable[[], str] | str, within_s: float = 60) -> Any:
        """Wait for what must come true; returns it."""
        end = time.monotonic() + within_s
        while not (found := condition()):
            self.supervisor.check()  # whoever ends by himself is the reason
            said = what if isinstance(what, str) else what()
            assert time.monotonic() < end, f"not within {within_s:g} s: {said}\n{self.last_words()}"
            time.sleep(0.03)  # between two looks
        return found

    def last_words(self) -> str:
        """What our processes said lately, each line cut where a traceback would begin."""
        return "\n".join(line[:300] for line in self.lines[-40:])

    def await_alive(self, *names: str, within_s: float = 60) -> None:
        """Wait until these processes, started just now or long ago, work: web answers, others beat."""
        for name in names:
            role = name.removesuffix("-2")
            if role == "web":
                self.await_(lambda n=name: self._web_answers(n), "the web process", within_s)
            else:
                self.await_(lambda n=name, r=role: self._beats(n, r), f"a heartbeat of {name}", within_s)

    def heal(self) -> None:
        """Everything runs and passes again, with all processes of the roles and no others."""
        self.restore()
        self.await_alive(*self.roles, within_s=START_WITHIN_S)

    def restore(self) -> None:
        """The same, without waiting for others than the web process."""
        self.heal_wires()
        for name in list(self.supervisor.pids):
            if name.endswith("-2") or name in self._told_otherwise:
                self.supervisor.kill(name)
        self._told_otherwise.clear()
        if "valkey" not in self.supervisor.pids:
            self.supervisor.start(self.valkey.process())
        if self.postgres and "postgres" not in self.supervisor.pids:
            self.revive_postgres()
        for role in self.roles:
            if role not in self.supervisor.pids:
                self.start(role)
            if role == "web":  # alone with the database: it gives up at its start when that takes too long
                self.await_alive(role, within_s=START_WITHIN_S)

    def revive_postgres(self) -> None:
        assert self.postgres is not None
        self.supervisor.start(self.postgres.process())
        self.database.engine.dispose()  # our own connections died with it

    def empty(self) -> None:
        """No job, no message, no object and no task is left of what went before. Call it on a plant that is whole."""
        self.stand_ins.empty()
        self.await_(lambda: at_rest(self.database), "the end of every step")
        empty_database(self.database)
        empty_valkey(self.valkey)
        empty_bucket(self.bucket)
        self.book.forget()

    def settle(self) -> None:
        """Wait for the end of all that was ordered, and hold everybody to it."""
        self.book.await_ended()
        self.book.check()
        password = self.database.url.password  # SQLite has none
        assert self.book.told_secrets(*SECRETS, *([password] if password else [])) == []

    def cut_off(self, *names: str) -> None:
        """Let these processes reach neither database nor Valkey nor bucket; what they had open is reset."""
        for proxies in (self.to_database, self.to_valkey, self.to_bucket):
            for name in names:
                proxies[name].refuse()

    def heal_wires(self) -> None:
        """Everything passes, nobody is frozen, no gateway's fault waits; who was killed stays so."""
        for proxy in self._proxies():
            proxy.heal()
        for member in family(*self.supervisor.pids.values()):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGCONT)
        self.stand_ins.reset()

    def close(self) -> None:
        """End it. Our processes are killed: their way of stopping has tests of its own, and takes its time."""
        for name in list(self.supervisor.pids):
            if name.removesuffix("-2") in ROLES:
                self.supervisor.kill(name)
        self.database.close()
        for proxy in self._proxies():
            proxy.close()

    def objects(self) -> dict[str, int]:
        """The videos in the bucket: key and size."""
        pages = self.bucket._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.config.bucket)
        found = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"]: item["Size"] for item in found if item["Key"].endswith(".mp4")}

    def hear(self, name: str, line: str) -> None:
        if "Discarding revoked task" not in line:  # a sweep that came after its time; there are many
            self.lines.append(f"{name}: {line}")

    def _proxies(self) -> list[Proxy]:
        return [*self.to_database.values(), *self.to_valkey.values(), *self.to_bucket.values()]

    def _web_answers(self, name: str) -> bool:
        try:
            return requests.get(f"{self.url_of(name)}/livez", timeout=2).ok
        except requests.RequestException:
            return False

    def _beats(self, name: str, role: str) -> bool:
        pid = self.supervisor.pids[name]
        with self.database.read() as db:
            row = sa.select(tables.heartbeats.c.seen_at).where(
                tables.heartbeats.c.role == role, tables.heartbeats.c.name.endswith(f":{pid}")
            )
            seen_at = db.execute(row).scalar_one_or_none()
            age = None if seen_at is None else self.database.clock(db) - seen_at
        return age is not None and age.total_seconds() < 3

    def _behind(self, url: sa.URL, proxy: Proxy) -> str:
        return url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)

    def _environment(self, folder: Path, bucket: BucketConfig) -> dict[str, str]:
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "RUSHES_DATA_DIR": str(folder / "data"),
            "RUSHES_DATABASE_URL": self.database.url.render_as_string(hide_password=False),
            "RUSHES_S3_BUCKET": bucket.bucket,
            "AWS_ACCESS_KEY_ID": str(bucket.access_key),
            "AWS_SECRET_ACCESS_KEY": str(bucket.secret_key),
            "AWS_REGION": "us-east-1",
            "RUSHES_PUBLIC_URL": self.url,
            "RUSHES_CALLBACK_KEYS": f"k1:{CALLBACK_SECRET}",
            "RUSHES_NOTICE_SECRETS": NOTICE_SECRET,
            "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
        }
        for name in PROVIDERS:
            env[f"RUSHES_{name.upper()}_API_KEY"] = "afk_sandbox" if name == "apiframe" else "sk-sandbox"
            env[f"RUSHES_{name.upper()}_BASE_URL"] = f"{self.stand_ins.url}/{name}"
        env |= {f"RUSHES_{name}": str(value) for name, value in SHORT.items()}
        load({**env, "RUSHES_REDIS_URL": self.valkey.url})  # what is wrong is said at once, and once
        return env


@contextmanager
def plant(
    folder: Path, seaweedfs: SeaweedFS, *, sqlite: bool = False, roles: tuple[str, ...] = ROLES
) -> Iterator[Plant]:
    """A plant of its own at work, in a fresh bucket of a store that runs already."""
    lines: list[Callable[[str, str], None]] = []
    with ExitStack() as ends:
        supervisor = ends.enter_context(Supervisor(lambda name, line: [hear(name, line) for hear in lines]))
        valkey = Valkey(folder / "valkey", free_ports(1)[0], new_secret())
        supervisor.start(valkey.process())
        postgres = None
        if not sqlite:
            (folder / "postgres").mkdir()
            postgres = Postgres(folder / "postgres", free_ports(1)[0], new_secret())
            ends.callback(postgres.remove)
            ends.callback(supervisor.stop)  # before its files go
            postgres.prepare()
            supervisor.start(postgres.process())
        config = BucketConfig(
            f"faults-{secrets.token_hex(6)}",
            "",
            seaweedfs.endpoint_url,
            "us-east-1",
            seaweedfs.access_key,
            seaweedfs.secret_key,
        )
        Bucket(config).ensure()
        stand_ins = StandIns(folder / "sandbox")
        supervisor.start(stand_ins.process())
        made = Plant(supervisor, folder, config, stand_ins, valkey, postgres, roles)
        ends.callback(made.close)
        lines.append(made.hear)
        made.heal()
        yield made


def family(*pids: int) -> list[int]:
    """Processes and all their descendants; PostgreSQL's backends lead sessions of their own."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    found = list(pids)
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found
