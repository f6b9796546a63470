"""How much of a body is read, whatever it says of its length."""

from __future__ import annotations

import io

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
