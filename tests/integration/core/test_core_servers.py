"""Whole jobs, and the doctor, on S3 servers of other makers that the package indexes carry."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from other_stores import OTHERS_KEY
from workshop import Workshop

from jobs.machine.states import State
from jobs.settings import load
from jobs.steps import store_trial
from rushes.doctor import store as doctor
from rushes.doctor.findings import Verdict
from storage.bucket import Bucket, BucketConfig
from storage.proof.probe import Prober


@pytest.fixture(params=["moto", pytest.param("s3rver", marks=pytest.mark.prove)])
def elsewhere(request: pytest.FixtureRequest) -> Bucket:
    """A bucket of the test's own on one of these servers."""
    url, name = request.getfixturevalue(request.param), f"{request.param}-{secrets.token_hex(4)}"
    bucket = Bucket(BucketConfig(name, "archive/", url, "us-east-1", OTHERS_KEY, OTHERS_KEY))
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
    env = {
        **workshop.env,
        "AWS_ACCESS_KEY_ID": OTHERS_KEY,
        "AWS_SECRET_ACCESS_KEY": OTHERS_KEY,
        "AWS_REGION": "us-east-1",
    }
    found = list(doctor.look(load(env)))
    wrong = {each.check: str(each.then) for each in found if each.verdict is not Verdict.OK}
    if bucket.config.bucket.startswith("s3rver"):  # it takes a second object for a key, whatever the condition
        assert list(wrong) == ["conditional put"]
        assert "RUSHES_S3_CONDITION=head" in wrong["conditional put"]
    else:
        assert wrong == {}
    assert {"get", "presigned link", "delete", "lifecycle"} <= {each.check for each in found}
    assert list(bucket.listing("")) == []
