"""Whole jobs, and the doctor, on S3 servers of other makers that the package indexes carry."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from workshop import Workshop

from jobs.machine.states import State
from jobs.settings import load
from jobs.steps import store_trial
from rushes.doctor import store as doctor
from rushes.doctor.findings import Verdict
from rushes.local.ports import free_ports
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor
from storage.bucket import Bucket, BucketConfig
from storage.proof.probe import Prober

NPM = Path(__file__).parents[2] / "npm"
S3RVER = NPM / "node_modules/s3rver/bin/s3rver.js"
KEY = "S3RVER"  # the one that it knows, and its secret; moto takes any


def serve(servers: Supervisor, name: str, argv: list[str], port: int) -> str:
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(url, timeout=1).status_code < 500
        except requests.ConnectionError:
            return False

    servers.start(Process(name, argv, ready=answers))
    return url


@pytest.fixture(scope="session")
def moto(servers: Supervisor) -> str:
    port = free_ports(1)[0]
    return serve(servers, "moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port)


@pytest.fixture(scope="session")
def s3rver(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> str:
    """From npm, installed once by its lock where it is missing."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not here")
    with (NPM / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not S3RVER.exists():
            subprocess.run([npm, "ci"], cwd=NPM, check=True, capture_output=True, timeout=100)
    port = free_ports(1)[0]
    folder = tmp_path_factory.mktemp("s3rver")
    return serve(servers, "s3rver", [node, str(S3RVER), "-d", str(folder), "-a", "127.0.0.1", "-p", str(port)], port)


@pytest.fixture(params=["moto", pytest.param("s3rver", marks=pytest.mark.prove)])
def elsewhere(request: pytest.FixtureRequest) -> Bucket:
    """A bucket of the test's own on one of these servers."""
    url, name = request.getfixturevalue(request.param), f"{request.param}-{secrets.token_hex(4)}"
    bucket = Bucket(BucketConfig(name, "archive/", url, "us-east-1", KEY, KEY))
    bucket.ensure()
    return bucket


@pytest.fixture
def workshop(
    elsewhere: Bucket, database: Any, prober: Prober, ca_file: str, sandbox: Any, tmp_path: Path
) -> Iterator[Workshop]:
    workshop = Workshop(database, elsewhere, prober, ca_file, sandbox.url, tmp_path)
    yield workshop
    workshop.close()


def test_whole_jobs_are_archived_and_their_links_lead_to_them(workshop: Workshop) -> None:
    bucket = workshop.bucket
    store_trial.require(bucket, "start-worker")
    job_ids = [workshop.create(provider=provider) for provider in ("evolink", "gravitex")]
    for job_id in job_ids:
        case = workshop.until(job_id, State.ARCHIVED)
        assert case.job.archive_key is not None
        answer = requests.get(bucket.link(case.job.archive_key, expires_s=60), timeout=5)
        assert (answer.status_code, len(answer.content)) == (200, case.job.bytes)
        stored = bucket.head_with_checksum(case.job.archive_key)
        assert stored is not None
        assert stored.metadata["rushes-job"] == job_id
    assert len(list(bucket.listing("archive/videos/"))) == 3 * len(job_ids)  # and nothing of the trial


def test_the_doctor_says_of_it_what_is_so(workshop: Workshop) -> None:
    bucket = workshop.bucket
    env = {**workshop.env, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1"}
    found = list(doctor.look(load(env)))
    wrong = {each.check: str(each.then) for each in found if each.verdict is not Verdict.OK}
    if bucket.config.bucket.startswith("s3rver"):  # it takes a second object for a key, whatever the condition
        assert list(wrong) == ["conditional put"]
        assert "RUSHES_S3_CONDITION=head" in wrong["conditional put"]
    else:
        assert wrong == {}
    assert {"get", "presigned link", "delete", "lifecycle"} <= {each.check for each in found}
    assert list(bucket.listing("")) == []
