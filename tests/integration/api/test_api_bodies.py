"""How much of a body is read, whatever it says of its length."""

from __future__ import annotations

import gc
import io
import json
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from rushes.api.edge.parser import LARGEST_BODY_BYTES


class Endless(io.RawIOBase):
    """A body in chunks that goes on and on; the server hands such a one over without a length."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = 65_536 if size < 0 else size
        self.given += size
        assert self.given < 4 * LARGEST_BODY_BYTES, "it is read on and on"
        return b"x" * size

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        buffer[:] = self.read(len(buffer))
        return len(buffer)


@pytest.mark.parametrize("place", ["", "/job_01K8Z3V0QWERTYUIOPASDFGHJK/retry"])
def test_a_body_without_a_length_is_read_no_further_than_the_largest_there_may_be(api: FlaskClient, place: str) -> None:
    body = Endless()
    environ = {"wsgi.input": body, "wsgi.input_terminated": True}
    answer = api.post(f"/v1/jobs{place}", content_type="application/json", environ_overrides=environ)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (413, "too_large")
    assert str(LARGEST_BODY_BYTES) in answer.get_json(force=True)["detail"]


def test_a_body_is_not_read_at_all_without_a_key(api: FlaskClient) -> None:
    body = Endless()
    environ = {"wsgi.input": body, "wsgi.input_terminated": True}
    answer = api.application.test_client().post("/v1/jobs", environ_overrides=environ)
    assert (answer.status_code, body.given) == (401, 0)


MANY_FAULTS: dict[str, Any] = {
    "unknown fields": {f"k{n}": 1 for n in range(20_000)},
    "unknown fields of long names": {f"{n}{'k' * 10_000}": 1 for n in range(24)},
    "one of a very long name": {"k" * 250_000: 1},
    "bad media": {"prompt": "x", "media": [{"type": "x", "url": "y"}] * 6_000},
    "media that are none": {"prompt": "x", "media": [[1]] * 40_000},
    "media with unknown fields": {"prompt": "x", "media": [{f"f{n}": 1 for n in range(1_200)}] * 16},
    "metadata": {"prompt": "x", "metadata": {f"{n}{'k' * 80}": 1 for n in range(2_500)}},
    "gateways": {"prompt": "x", "provider": [f"p{n}" for n in range(20_000)]},
    "a long value": {"prompt": "x", "mode": "y" * 250_000},
    "a list": [1] * 60_000,
}


@pytest.mark.parametrize("body", MANY_FAULTS.values(), ids=MANY_FAULTS)
def test_thousands_of_faults_cost_no_second_and_no_megabyte(api: FlaskClient, body: Any) -> None:
    sent = json.dumps(body).encode()
    assert len(sent) <= LARGEST_BODY_BYTES
    gc.collect()  # what other tests have left behind is not to be looked through meanwhile
    began = time.thread_time()
    answer = api.post("/v1/jobs", data=sent, content_type="application/json")
    assert time.thread_time() - began < 1
    assert answer.status_code == 422
    assert len(answer.get_data()) < 16_000


def test_of_many_faults_the_first_are_told_and_how_many_there_are_more(api: FlaskClient) -> None:
    answer = api.post("/v1/jobs", json={f"promt{n}": 1 for n in range(10_000)}).get_json(force=True)
    assert set(map(tuple, answer["errors"].values())) == {("Unknown field; did you mean prompt?",)}
    assert len(answer["errors"]) == 20
    assert answer["detail"].endswith("and 9,981 more like these")  # the prompt is missing as well


def test_paths_and_parameters_that_are_long_or_many_are_told_shortly(api: FlaskClient) -> None:
    for path in (
        "/v1/jobs/" + "x" * 60_000,
        "/v1/jobs?" + "&".join(f"k{n}=1" for n in range(6_000)),
        "/v1/jobs?" + "&".join(f"metadata.k{n}=1" for n in range(6_000)),
        "/v1/jobs/job_1/events?" + "&".join(f"k{n}=1" for n in range(6_000)),
    ):
        answer = api.get(path)
        assert answer.status_code in (404, 422)
        assert len(answer.get_data()) < 16_000
