"""A process that orders or copies does not start on a store that refuses videos."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from odd_store import ACCESS_KEY, BUCKET, OddStore, Ways
from structlog.testing import capture_logs
from workshop import Workshop

from jobs.errors import StoreUnfit
from jobs.steps import store_trial
from storage.bucket import Bucket, BucketConfig

ROOT = Path(__file__).parents[3]
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
OTHER_KEYS = ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
ROLE = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/rushes", "AWS_WEB_IDENTITY_TOKEN_FILE": __file__}
MakeStore = Callable[[Ways], OddStore]


def bucket_of(store: OddStore) -> Bucket:
    return Bucket(BucketConfig(BUCKET, "", store.url, None, ACCESS_KEY, "secret"))


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
        "jobs",
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


def test_a_store_that_answers_late_and_refuses_ends_it_as_the_start_would(
    workshop: Workshop, make_odd_store: MakeStore
) -> None:
    store = make_odd_store(Ways(away=True))
    process = start(workshop, store, "transfer")
    try:
        assert process.stdout is not None
        while "store_not_tried" not in (line := process.stdout.readline()):
            assert line, "it ended before"
        store.ways.denied, store.ways.away = ("PUT",), False
        said, _ = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, said
    assert "The store cannot take a video, so nothing is bought: " in said
    assert "s3:PutObject" in said


def test_a_store_that_answers_late_is_tried_until_it_does(
    make_odd_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, tries, told = make_odd_store(Ways(away=True)), [], []

    class Stopping(threading.Event):
        """Waits for nothing, and lets the store answer the third time."""

        def wait(self, timeout: float | None = None) -> bool:
            tries.append(timeout)
            store.ways.away = len(tries) < 3
            return len(tries) > 9

    assert not store_trial.require(bucket_of(store), "start-worker")
    store_trial.await_answer(lambda: store_trial.require(bucket_of(store), "start-worker"), Stopping(), told.append)
    assert (tries, told, store.objects) == ([1.0, 2.0, 4.0], [], {})
    assert [key for key, _ in store.puts if key.endswith(".mp4")] != []


UNFIT: dict[str, tuple[Ways, str, str]] = {
    "a body limit before it": (Ways(most_bytes=1 << 20), "413", "client_max_body_size"),
    "metadata that is lost": (Ways(loses_metadata="x-amz-meta-rushes-job"), "rushes-job", "what stands between"),
    "metadata that is lost of what need not be there": (
        Ways(loses_metadata="x-amz-meta-rushes-task"),
        "does not come back as it was put: rushes-task",
        "what stands between",
    ),
    "objects that are not there": (
        Ways(invents=True),
        "an object is told of where none was put",
        "what stands between",
    ),
}


@pytest.mark.parametrize(("ways", "said", "then"), list(UNFIT.values()), ids=list(UNFIT))
def test_a_store_that_would_lose_a_video_is_refused(
    make_odd_store: MakeStore, ways: Ways, said: str, then: str
) -> None:
    store = make_odd_store(ways)
    with pytest.raises(StoreUnfit) as caught:
        store_trial.require(bucket_of(store), "start-worker")
    assert said in str(caught.value)
    assert then in str(caught.value)
    assert store.objects == {}


def test_what_an_earlier_start_could_not_delete_is_no_fault(make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways(denied=("DELETE",)))
    for _ in range(2):
        assert store_trial.require(bucket_of(store), "start-worker")
    assert len(store.objects) == 5  # the video, what stands beside it, and what is kept aside


def test_a_key_that_may_keep_nothing_aside_is_told_and_no_end(make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways(denied_outside="videos/"))
    with capture_logs() as lines:
        assert store_trial.require(bucket_of(store), "start-worker")
    [line] = [line for line in lines if line["log_level"] == "error"]
    assert "unproven/" in line["reason"]
    assert "below unproven/ and contested/" in line["then"]
    assert store.objects == {}
