"""Answers and callbacks in encodings that nobody asked for: the job goes its way all the same."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
from altered import AlteredSandbox
from test_core_callbacks import callback_url
from test_core_gate import altered, make_altered  # noqa: F401 - fixtures
from workshop import Workshop

from jobs.machine.states import State

ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "marks": lambda body: b"\n" + b"\xef\xbb\xbf" * 2 + body + b"\0\n<!-- served by edge -->",
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
}


@pytest.mark.parametrize("encoded", ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("provider", ["easyrouter", "evolink"])
def test_a_job_comes_home_whatever_its_gateways_answers_are_packed_in(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
    encoded: Callable[[bytes], bytes],
    provider: str,
) -> None:
    workshop = make_altered()
    altered.rewrite = encoded
    job_id = workshop.create(provider=provider)
    workshop.until(job_id, State.ARCHIVED)
    assert not {"answer_lost", "transfer_trouble"} & set(workshop.history(job_id))


@pytest.mark.parametrize("encoded", ENCODED.values(), ids=ENCODED)
def test_a_callback_is_read_whatever_it_is_packed_in(
    workshop: Workshop, receiver: Any, sandbox: Any, encoded: Callable[[bytes], bytes]
) -> None:
    sandbox.fault("evolink", "stall")
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.GENERATING)
    body = encoded(b'{"id": "t-1", "status": "processing"}')
    assert requests.post(callback_url(workshop, job_id), data=body, timeout=5).status_code == 200
    [kept] = workshop.case(job_id).callbacks
    assert (kept.readable, kept.task_id) == (True, "t-1")
