"""Real servers for every test: one Valkey, one SeaweedFS, one PostgreSQL and one sandbox per test process."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from canaries import canary

from jobs.store import migrate
from jobs.store.database import Database
from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey
from storage.bucket import Bucket, BucketConfig, connect

S3_KEY = "rushes"
pytest_plugins = ["leak_scan", "plants", "proving", "spreading"]


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


@pytest.fixture
def bucket_config(seaweedfs: SeaweedFS) -> Iterator[BucketConfig]:
    """A fresh bucket; it goes at the end, because a small SeaweedFS has room for few."""
    name = f"test-{secrets.token_hex(6)}"
    config = BucketConfig(name, "", seaweedfs.endpoint_url, "us-east-1", S3_KEY, seaweedfs.secret_key)
    Bucket(config).ensure()
    yield config
    client = connect(config)
    for item in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


@pytest.fixture
def bucket(bucket_config: BucketConfig) -> Bucket:
    return Bucket(bucket_config)


@pytest.fixture(scope="session")
def postgres(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"), free_ports(1)[0], canary())
    server.prepare()
    servers.start(server.process())
    yield server
    servers.stop_one("postgres")  # before its files go
    server.remove()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database without rows, to be copied: migrating anew for every test would take minutes in all."""
    file = tmp_path_factory.mktemp("migrated") / "rushes.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """The same in PostgreSQL."""
    name = "migrated"
    _migrate(postgres.create_database(name))
    return name


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.close()


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of this kind, without rows. `tests/proving.py` chooses the kinds."""
    if database_kind == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_file"), tmp_path / "rushes.db")
        yield f"sqlite:///{tmp_path}/rushes.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(6)}"
    yield postgres.create_database(name, like=request.getfixturevalue("migrated_name"))
    postgres.drop_database(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@dataclass(frozen=True)
class Sandbox:
    """The stand-in gateways, by their control endpoints."""

    url: str

    def set(self, **settings: Any) -> None:
        requests.post(f"{self.url}/control/settings", json=settings, timeout=5).raise_for_status()

    def fault(self, provider: str, fault: str, **params: Any) -> None:
        body = {"provider": provider, "fault": fault, **params}
        requests.post(f"{self.url}/control/faults", json=body, timeout=5).raise_for_status()

    def clear(self) -> None:
        requests.delete(f"{self.url}/control/faults", timeout=5).raise_for_status()

    def tasks(self, provider: str | None = None) -> list[dict[str, Any]]:
        params = {} if provider is None else {"provider": provider}
        answer = requests.get(f"{self.url}/control/tasks", params=params, timeout=5)
        found: list[dict[str, Any]] = answer.json()["tasks"]
        return found

    def call_back(self, provider: str, task_id: str, **more: Any) -> int:
        body = {"provider": provider, "task_id": task_id, **more}
        status: int = requests.post(f"{self.url}/control/callback", json=body, timeout=10).json()["status"]
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


@pytest.fixture
def sandbox(sandbox_url: str) -> Sandbox:
    """The stand-in gateways as freshly started; they make small films at once, and call back when told."""
    requests.post(f"{sandbox_url}/control/reset", timeout=5).raise_for_status()
    sandbox = Sandbox(sandbox_url)
    sandbox.set(film="small", generation_s=0, link_life_s=3600, task_life_s=3600)
    return sandbox
