"""`rushes up` with the store of another maker, and with one that refuses videos."""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import Path

import pytest
from odd_store import ACCESS_KEY, BUCKET, Ways, odd_store
from other_stores import OTHERS_KEY
from whole_machine import launch, run

from rushes.local.ports import free_ports
from storage.bucket import Bucket, BucketConfig

pytestmark = [pytest.mark.prove, pytest.mark.timeout(300)]


@pytest.mark.parametrize("server", ["moto", "s3rver"])
def test_a_job_is_archived_by_all_processes(server: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url, name = request.getfixturevalue(server), f"up-{secrets.token_hex(4)}"
    bucket = Bucket(BucketConfig(name, "", url, "us-east-1", OTHERS_KEY, OTHERS_KEY))
    bucket.ensure()
    there = {
        "RUSHES_S3_ENDPOINT_URL": url,
        "RUSHES_S3_BUCKET": name,
        "AWS_ACCESS_KEY_ID": OTHERS_KEY,
        "AWS_SECRET_ACCESS_KEY": OTHERS_KEY,
    }
    flags = ("--sandbox", "--speed", "30", "--port", str(free_ports(1)[0]))
    command = launch(tmp_path, "up", "up", *flags, **there)
    try:
        command.until_said("Rushes is up at")
        asked = ["A red fox", "--provider", "evolink", "--resolution", "720p", "--duration", "2", "--wait", "--json"]
        done = run(tmp_path, "submit", *asked)
        assert done.returncode == 0, done.stderr
        video = json.loads(done.stdout)["video"]
        assert [item.bytes for item in bucket.listing("") if item.key == video["key"]] == [video["bytes"]]
    finally:
        command.process.terminate()
        with contextlib.suppress(TimeoutError):
            command.process.wait(30)


def test_a_store_that_refuses_videos_ends_it_with_what_mends_it(tmp_path: Path) -> None:
    with odd_store(Ways(denied=("PUT",))) as store:
        there = {"RUSHES_S3_ENDPOINT_URL": store.url, "RUSHES_S3_BUCKET": BUCKET, "AWS_ACCESS_KEY_ID": ACCESS_KEY}
        flags = ("--sandbox", "--port", str(free_ports(1)[0]))
        done = run(tmp_path, "up", *flags, AWS_SECRET_ACCESS_KEY="secret", **there)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "The store cannot take a video" in last
    assert "403 AccessDenied (not authorized, with an explicit deny in a resource-based policy)" in last
    assert "s3:PutObject" in last
