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

from jobs.errors import StoreUnfit
from jobs.steps import store_trial
from storage.bucket import Bucket, BucketConfig

ROOT = Path(__file__).parents[3]
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
OTHER_KEYS = ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
ROLE = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/rushes", "AWS_WEB_IDENTITY_TOKEN_FILE": __file__}
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


@pytest.mark.parametrize(
    ("told", "said", "then"),
    [
        ({}, "NoCredentialsError", "AWS_ACCESS_KEY_ID"),
        ({"AWS_PROFILE": "nobody"}, "ProfileNotFound", "AWS_ACCESS_KEY_ID"),
        ({**ROLE, "AWS_ENDPOINT_URL_STS": "https://127.0.0.1:1"}, r"ConnectionError \(127.0.0.1\)", "SSL_CERT_FILE"),
        ({**ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "/absent"}, r"FileNotFoundError \(/absent\)", "AWS_ACCESS_KEY_ID"),
        pytest.param(  # boto3 asks it again for six seconds
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1"},
            "CredentialRetrievalError",
            "AWS_ACCESS_KEY_ID",
            marks=pytest.mark.prove,
        ),
    ],
)
def test_a_store_whose_keys_cannot_be_got_is_no_store(
    monkeypatch: pytest.MonkeyPatch, make_odd_store: MakeStore, told: dict[str, str], said: str, then: str
) -> None:
    for name in (*KEYS, *OTHER_KEYS):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1", **told}.items():
        monkeypatch.setenv(name, value)
    store = make_odd_store(Ways())
    archive = Bucket(BucketConfig(BUCKET, "", store.url, "eu-west-1", access_key=None, secret_key=None))
    with pytest.raises(StoreUnfit, match=rf"{said}\. What to do: .*{then}"):
        store_trial.require(archive, "start")
    assert store.connections == []
