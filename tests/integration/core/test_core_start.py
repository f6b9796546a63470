"""A process that orders or copies does not start on a store that refuses videos."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from odd_store import ACCESS_KEY, BUCKET, OddStore, Ways
from workshop import Workshop

ROOT = Path(__file__).parents[3]
MakeStore = Callable[[Ways], OddStore]


def start(workshop: Workshop, store: OddStore, role: str) -> subprocess.Popen[str]:
    """The Procfile's process of that role."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RUSHES_"))},
        **workshop.env,
        "RUSHES_S3_ENDPOINT_URL": store.url,
        "RUSHES_S3_BUCKET": BUCKET,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    argv = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "jobs.celery_app",
        "worker",
        "-n",
        f"{role}@h",
        "-P",
        "threads",
    ]
    return subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("role", ["transfer", pytest.param("worker", marks=pytest.mark.prove)])
def test_a_store_that_refuses_videos_is_refused_with_what_mends_it(
    workshop: Workshop, make_odd_store: MakeStore, role: str
) -> None:
    store = make_odd_store(Ways(addressing=("virtual",)))
    process = start(workshop, store, role)
    try:
        said, _ = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, said
    assert "The store cannot take a video, so nothing is bought: " in said
    assert "403 SecondLevelDomainForbidden (Please use virtual hosted style to access.)" in said
    assert "RUSHES_S3_ADDRESSING=virtual" in said
    assert "Traceback" not in said
