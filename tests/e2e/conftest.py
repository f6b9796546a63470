"""The Procfile's processes as they run in earnest, with all times twenty times shorter."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from canaries import canary

from jobs.intake import api_keys
from jobs.machine.rows import Case
from jobs.machine.states import ENDED
from jobs.store import cases, history
from jobs.store.database import Database
from rushes.local import procfile
from rushes.local.ports import free_ports
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey
from storage.bucket import Bucket, BucketConfig

ROOT = Path(__file__).parents[2]
SHORT = {
    "SUBMIT_DEADLINE_S": 10,
    "SUBMIT_LEASE_S": 12,
    "QUERY_DEADLINE_S": 5,
    "QUERY_LEASE_S": 6,
    "TRANSFER_DEADLINE_S": 45,
    "TRANSFER_STALL_S": 5,
    "TRANSFER_LEASE_S": 4.5,
    "SWEEP_INTERVAL_S": 0.5,
    "POLL_INTERVAL_S": 0.75,
    "RETRY_FIRST_S": 0.5,
}


@dataclass
class Service:
    """The running processes, and a client of theirs."""

    supervisor: Supervisor
    commands: dict[str, list[str]]
    env: dict[str, str]
    url: str
    database: Database
    bucket: Bucket
    valkey: Valkey
    key: str = field(default="", repr=False)

    def start(self, role: str, name: str | None = None) -> None:
        command = list(self.commands[role])
        if name is not None and "-n" in command:
            command[command.index("-n") + 1] = f"{role}@{name}"
        self.supervisor.start(Process(name or role, command, env=self.env, cwd=ROOT, stage=1, grace_s=10))

    def submit(self, **request: Any) -> str:
        body = {"prompt": "A red fox runs through snow", "resolution": "720p", "duration": 2, **request}
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.post(f"{self.url}/v1/jobs", json=body, headers=headers, timeout=10)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def case(self, job_id: str) -> Case:
        with self.database.read() as db:
            return cases.read_case(db, job_id)

    def history(self, job_id: str) -> list[str]:
        with self.database.read() as db:
            return [line["event"] for line in history.of_job(db, job_id)]

    def until_ended(self, *job_ids: str, within_s: float = 60) -> list[Case]:
        def ended() -> bool:
            return all(self.case(job_id).job.state in ENDED for job_id in job_ids)

        def standing() -> str:
            left = [self.case(j) for j in job_ids]
            return str([(c.job.id, c.job.state, self.history(c.job.id)[-4:]) for c in left if c.job.state not in ENDED])

        self.await_(ended, standing, within_s)
        return [self.case(job_id) for job_id in job_ids]

    def await_(self, condition: Callable[[], Any], what: Callable[[], str] | str, within_s: float = 60) -> None:
        end = time.monotonic() + within_s
        while not condition():
            self.supervisor.check()
            assert time.monotonic() < end, what if isinstance(what, str) else what()
            time.sleep(0.05)  # between two looks

    def objects(self) -> list[str]:
        client = self.bucket._client
        listed = client.list_objects_v2(Bucket=self.bucket.config.bucket).get("Contents", [])
        return [item["Key"] for item in listed if item["Key"].endswith(".mp4")]


@pytest.fixture
def make_service(
    database: Database, bucket_config: BucketConfig, sandbox: Any, tmp_path: Path
) -> Iterator[Callable[..., Service]]:
    """Starts processes of the Procfile: all of them, or those that are named."""
    lines: list[str] = []
    with Supervisor(lambda name, line: lines.append(f"{name}: {line}")) as supervisor:

        def make(*roles: str, **numbers: Any) -> Service:
            port, broker_port = free_ports(2)
            valkey = Valkey(tmp_path / "valkey", broker_port, canary())
            supervisor.start(valkey.process())
            url = f"http://127.0.0.1:{port}"
            env = {
                "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
                "PORT": str(port),
                "RUSHES_DATA_DIR": str(tmp_path / "data"),
                "RUSHES_DATABASE_URL": database.url.render_as_string(hide_password=False),
                "RUSHES_REDIS_URL": valkey.url,
                "RUSHES_S3_ENDPOINT_URL": str(bucket_config.endpoint_url),
                "RUSHES_S3_BUCKET": bucket_config.bucket,
                "AWS_ACCESS_KEY_ID": str(bucket_config.access_key),
                "AWS_SECRET_ACCESS_KEY": str(bucket_config.secret_key),
                "AWS_REGION": "us-east-1",
                "RUSHES_PUBLIC_URL": url,
                "RUSHES_CALLBACK_KEYS": "k1:0123456789abcdef0123456789abcdef",
                "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
                "RUSHES_WORKER_SLOTS": "16",
            }
            for name in ("aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink"):
                env[f"RUSHES_{name.upper()}_API_KEY"] = "afk_sandbox" if name == "apiframe" else "sk-sandbox"
                env[f"RUSHES_{name.upper()}_BASE_URL"] = f"{sandbox.url}/{name}"
            env |= {f"RUSHES_{name}": str(value) for name, value in {**SHORT, **numbers}.items()}
            (tmp_path / "data").mkdir()
            commands = procfile.parse((ROOT / "Procfile").read_text(), env)
            service = Service(supervisor, commands, env, url, database, Bucket(bucket_config), valkey)
            _, service.key = api_keys.create(database, "test")
            for role in roles or [name for name in commands if name != "release"]:
                service.start(role)
            if not roles:
                service.await_(lambda: _is_ready(url), lambda: "\n".join(lines[-60:]))
            return service

        yield make
    print("\n".join(lines[-400:]))  # noqa: T201 - pytest shows it when a test fails


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False
