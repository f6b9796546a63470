"""One `rushes up --sandbox` for the tests that read the documentation as its readers do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from emptying import at_rest, empty_bucket, empty_database, empty_valkey
from whole_machine import RUSHES, environment, launch, until

from jobs.store.database import Database
from rushes.local.ports import free_ports
from rushes.local.seaweedfs import SeaweedFS
from rushes.local.valkey import Valkey
from storage.bucket import Bucket, BucketConfig

QUICK = {"RUSHES_POLL_INTERVAL_S": "1", "RUSHES_SWEEP_INTERVAL_S": "1"}
STOPPED_WITHIN_S = 60


@dataclass(frozen=True)
class House:
    """A running `rushes up --sandbox` and its data folder."""

    data_dir: Path
    url: str
    kept: dict[str, Any]  # its local.json
    database: Database

    @property
    def valkey(self) -> Valkey:
        return Valkey(self.data_dir / "valkey", self.kept["valkey"]["port"], self.kept["valkey"]["password"])

    @property
    def bucket(self) -> Bucket:
        own = self.kept["seaweedfs"]
        store = SeaweedFS(self.data_dir / "seaweedfs", own["ports"], own["access_key"], own["secret_key"])
        return Bucket(
            BucketConfig(store.bucket, "", store.endpoint_url, "us-east-1", store.access_key, store.secret_key)
        )

    def environment(self, **more: str) -> dict[str, str]:
        """What a reader has set: where the service is, its key, and our programs on the path."""
        told = {
            "RUSHES_URL": self.url,
            "RUSHES_API_KEY": self.kept["api_key"]["key"],
            "RUSHES_REDIS_URL": self.valkey.url,
            "RUSHES_NOTICE_SECRETS": self.kept["notice_secrets"],
            "PATH": f"{Path(RUSHES).parent}{os.pathsep}{os.environ['PATH']}",
        }
        return environment(**{**QUICK, **told, **more})

    def empty(self) -> None:
        """No job, no message, no object and no task is left of what went before."""
        requests.post(f"http://127.0.0.1:{self.kept['sandbox']['port']}/control/reset", timeout=10).raise_for_status()
        until(lambda: at_rest(self.database))
        empty_database(self.database)
        empty_valkey(self.valkey)
        empty_bucket(self.bucket)


@pytest.fixture(scope="session")
def running_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Started once in a test process."""
    folder = tmp_path_factory.mktemp("house")
    (port,) = free_ports(1)
    up = launch(folder, "up", "up", "--sandbox", "--speed", "30", "--port", str(port), **QUICK)
    try:
        up.until_said("Rushes is up at")
        kept = json.loads((folder / ".rushes" / "local.json").read_text())
        database = Database(f"sqlite:///{folder}/.rushes/rushes.db")
        yield House(folder / ".rushes", f"http://127.0.0.1:{port}", kept, database)
        database.close()
    finally:
        up.process.terminate()
        up.process.wait(STOPPED_WITHIN_S)


@pytest.fixture
def house(running_house: House) -> House:
    """The house without anything in it."""
    running_house.empty()
    return running_house
