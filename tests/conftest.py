"""Real servers for every test: one Valkey, one SeaweedFS, one PostgreSQL and one sandbox per test process."""

from __future__ import annotations

import contextlib
import copy
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import structlog
from buckets import S3_KEY, bucket_config_of, empty_bucket
from canaries import canary
from own_database import OwnDatabase

from jobs.store import migrate
from jobs.store.database import Database
from jobs.tallies import Tallies
from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey
from storage.bucket import Bucket, BucketConfig
from storage.errors import BadVideo
from storage.proof.probe import Prober

if TYPE_CHECKING:
    from left_behind import LeftBehind  # a plugin: pytest wants to be the first to import it

pytest_plugins = ["leak_scan", "left_behind", "other_stores", "plants", "proving", "spreading"]


@pytest.fixture(scope="session", autouse=True)
def no_logger_is_cached() -> Iterator[None]:
    """What listens to a log would not reach a logger that was first used in another test."""
    with pytest.MonkeyPatch.context() as patch:
        real = structlog.configure
        patch.setattr(structlog, "configure", lambda **how: real(**{**how, "cache_logger_on_first_use": False}))
        yield


@pytest.fixture(scope="session")
def servers() -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def valkey(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Valkey:
    server = Valkey(tmp_path_factory.mktemp("valkey"), free_ports(1)[0], canary())
    servers.start(server.process())
    return server


@pytest.fixture(scope="session")
def seaweedfs(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> SeaweedFS:
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), seaweedfs_ports(), S3_KEY, canary())
    servers.start(server.process())
    return server


@pytest.fixture(scope="session")
def s3(seaweedfs: SeaweedFS) -> Any:
    """The test process's S3 client, and its one bucket `tests`: a small SeaweedFS is slow to make them."""
    bucket = Bucket(bucket_config_of(seaweedfs, "tests"))
    bucket.ensure()
    return bucket._client


@pytest.fixture
def bucket(seaweedfs: SeaweedFS, s3: Any) -> Bucket:
    """A prefix of the test's own in the process's bucket. Whoever looks at a whole bucket takes `own_bucket`."""
    return Bucket(bucket_config_of(seaweedfs, "tests", prefix=f"{secrets.token_hex(6)}/"), s3)


@pytest.fixture
def bucket_config(bucket: Bucket) -> BucketConfig:
    return bucket.config


@pytest.fixture
def own_bucket(seaweedfs: SeaweedFS, s3: Any) -> Iterator[Bucket]:
    """A whole bucket for one test; it goes at the end, because a small SeaweedFS has room for few."""
    bucket = Bucket(bucket_config_of(seaweedfs, f"test-{secrets.token_hex(6)}"), s3)
    bucket.ensure()
    yield bucket
    empty_bucket(bucket)
    s3.delete_bucket(Bucket=bucket.config.bucket)


@pytest.fixture(scope="session")
def prober() -> Iterator[Prober]:
    """With its helper process at work, which it else starts at the first film."""
    with Prober() as prober, tempfile.TemporaryFile() as empty:
        with contextlib.suppress(BadVideo):
            prober.probe(empty)
        yield prober


@pytest.fixture(scope="session")
def postgres(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"), free_ports(1)[0], canary())
    server.prepare()
    servers.start(server.process())
    yield server
    servers.stop_one("postgres")  # before its files go
    server.remove()


@pytest.fixture(scope="session")
def own_database(database_kind: str, request: pytest.FixtureRequest) -> Iterator[OwnDatabase]:
    """The test process's one database of this kind. `tests/proving.py` chooses the kinds."""
    with contextlib.ExitStack() as stack:
        if database_kind == "sqlite":
            # Every commit waits for the disk, which no test looks at: in memory, where the machine has such a folder.
            memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rushes-tests-", dir=memory))
            url = f"sqlite:///{folder}/rushes.db"
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            url = postgres.create_database("tests")
            stack.callback(postgres.drop_database, "tests")
        database = OwnDatabase(url)
        stack.callback(database.close)
        yield database


@pytest.fixture
def database_url(own_database: OwnDatabase, left_behind: LeftBehind) -> Iterator[str]:
    """A migrated database without rows."""
    filled = own_database.filled()
    if filled:
        own_database.empty()
    assert not filled, f"somebody whom an earlier test left behind wrote into {filled}"
    yield own_database.url
    try:
        left_behind.check()  # else they could write after this
    finally:
        own_database.empty()


@pytest.fixture(scope="session")
def standing_database(own_database: OwnDatabase) -> Iterator[Database]:
    database = Database(own_database.url)
    yield database
    database.close()


@pytest.fixture
def database(database_url: str, standing_database: Database) -> Iterator[Database]:
    """The test's own, but for the engine: what statements it has compiled would else be compiled in each test."""
    database = copy.copy(standing_database)
    database.tallies = Tallies()
    yield database
    database.close()  # no connection of it stays open


@pytest.fixture
def spare_database(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database that the test may spoil."""
    with contextlib.ExitStack() as stack:
        if database_kind == "sqlite":
            url = f"sqlite:///{tmp_path}/spare.db"
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            name = f"spare_{secrets.token_hex(6)}"
            url = postgres.create_database(name)
            stack.callback(postgres.drop_database, name)
        database = Database(url)
        stack.callback(database.close)
        migrate.upgrade(database)
        yield database


@dataclass(frozen=True)
class Sandbox:
    """The stand-in gateways, by their control endpoints."""

    url: str
    session: requests.Session

    def set(self, **settings: Any) -> None:
        self.session.post(f"{self.url}/control/settings", json=settings, timeout=5).raise_for_status()

    def fault(self, provider: str, fault: str, **params: Any) -> None:
        body = {"provider": provider, "fault": fault, **params}
        self.session.post(f"{self.url}/control/faults", json=body, timeout=5).raise_for_status()

    def reset(self) -> None:
        """As freshly started; they make small films at once, and call back when told."""
        self.session.post(f"{self.url}/control/reset", timeout=5).raise_for_status()
        self.set(film="small", generation_s=0, link_life_s=3600, task_life_s=3600)

    def clear(self) -> None:
        self.session.delete(f"{self.url}/control/faults", timeout=5).raise_for_status()

    def tasks(self, provider: str | None = None) -> list[dict[str, Any]]:
        params = {} if provider is None else {"provider": provider}
        answer = self.session.get(f"{self.url}/control/tasks", params=params, timeout=5)
        found: list[dict[str, Any]] = answer.json()["tasks"]
        return found

    def call_back(self, provider: str, task_id: str, **more: Any) -> int:
        body = {"provider": provider, "task_id": task_id, **more}
        status: int = self.session.post(f"{self.url}/control/callback", json=body, timeout=10).json()["status"]
        return status


@pytest.fixture(scope="session")
def sandbox_url(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stand-in gateways, in a process of their own."""
    port = free_ports(1)[0]
    argv = [sys.executable, "-m", "sandbox", "--port", str(port), "--allow-loopback-callbacks"]
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            return requests.get(f"{url}/control/settings", timeout=1).ok
        except requests.ConnectionError:
            return False

    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    folder = tmp_path_factory.mktemp("sandbox")
    servers.start(Process("sandbox", [*argv, "--data-dir", str(folder)], env=env, ready=is_ready))
    return url


@pytest.fixture(scope="session")
def running_sandbox(sandbox_url: str) -> Iterator[Sandbox]:
    with requests.Session() as session:
        yield Sandbox(sandbox_url, session)


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    running_sandbox.reset()
    return running_sandbox
