"""Apiframe v2: what is read of its answers, and the signatures its SDK makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.providers.apiframe import (
    APIFRAME,
    read_acceptance,
    read_callback,
    read_refusal,
    read_report,
    verify_signature,
)
from jobs.providers.base import Acceptance, ReportState

Sample = Callable[[str], Any]
JOB = "3f0f5f6e-0d8a-4c7a-9a51-0d6f7a9d3b11"
VIDEO = "https://cdn2.apiframe.ai/videos/3f0f5f6e.mp4"
# protocols.md, section 2.3.
API_KEY = "afk_" + "0" * 40
SIGNED = b'{"jobId":"abc","status":"COMPLETED"}'
BY_DIGEST = "58e6d7af820911d918b1b43ade255ec260002ca8b24ba46dd057a99d192c89f4"
BY_HEX_TEXT = "2cb660473e59908c969f761f7444eda6c9067d13d2d83a0057fb8fb5197c60af"


@pytest.mark.parametrize("status", [202, 200])
def test_an_acceptance_bears_the_job_id_and_so_does_a_replay(sample: Sample, status: int) -> None:
    body = sample("apiframe/submit_accepted")
    assert read_acceptance(status, body) == Acceptance(JOB)
    assert read_acceptance(status, body | {"status": "FAILED"}) == Acceptance(JOB)


@pytest.mark.parametrize("result", [VIDEO, {"videoUrl": VIDEO}, {"videos": [VIDEO]}, {"videos": [{"url": VIDEO}]}])
def test_the_link_is_found_in_every_shape_of_a_result(sample: Sample, result: Any) -> None:
    assert read_report(sample("apiframe/query_completed") | {"result": result}).link == VIDEO


def test_a_callback_names_the_task_in_its_own_field(sample: Sample) -> None:
    for name in ("callback_completed", "callback_completed_string"):
        report = read_callback(sample(f"apiframe/{name}"))
        assert (report.state, report.task_id, report.link) == (ReportState.FINISHED, JOB, VIDEO)
    assert read_callback(sample("apiframe/query_completed")).task_id is None


@pytest.mark.parametrize(
    ("status", "code", "pause_s"),
    [
        (400, "invalid_request", None),
        (401, "unauthorized", 300),
        (402, "insufficient_credits", 900),
        (403, "unauthorized", 300),
        (429, "rate_limited", 30),
    ],
)
def test_a_documented_refusal_is_read(status: int, code: str, pause_s: float | None) -> None:
    refusal = read_refusal(status, {}, {"error": "m"})
    assert refusal is not None
    assert (refusal.failure.code, refusal.failure.message, refusal.pause_s) == (code, "m", pause_s)


def test_a_validation_says_which_field(sample: Sample) -> None:
    refusal = read_refusal(400, {}, sample("apiframe/refused_400"))
    assert refusal is not None
    assert "wan27Params.duration" in refusal.failure.message


def test_a_reused_idempotency_key_is_no_refusal_for_a_job_exists() -> None:
    assert read_refusal(409, {}, {"error": "Idempotency key reused"}) is None


def test_the_same_key_is_sent_again_for_23_hours_at_most() -> None:
    assert (APIFRAME.idempotency_header, APIFRAME.idempotency_life_s) == ("Idempotency-Key", 82_800)


@pytest.mark.parametrize("digest", [BY_DIGEST, BY_HEX_TEXT])
@pytest.mark.parametrize("prefix", ["sha256=", ""])
def test_a_signature_by_either_reading_of_the_key_is_apiframes(digest: str, prefix: str) -> None:
    assert verify_signature(API_KEY, SIGNED, prefix + digest)
    assert verify_signature(API_KEY, SIGNED, prefix + digest.upper())
    assert not verify_signature(API_KEY + "1", SIGNED, prefix + digest)
    assert not verify_signature(API_KEY, SIGNED + b" ", prefix + digest)
    assert not verify_signature(API_KEY, SIGNED, prefix + digest[:-1])


@pytest.mark.parametrize("header", [None, "", "sha256=", "é", "sha256=" + "0" * 64])
def test_anything_else_is_not(header: str | None) -> None:
    assert not verify_signature(API_KEY, SIGNED, header)


@given(st.text(max_size=80))
def test_no_header_makes_the_check_raise(header: str) -> None:
    assert not verify_signature(API_KEY, SIGNED, header)


def test_the_worker_finds_the_signature_among_the_headers() -> None:
    assert APIFRAME.verify_callback is not None
    assert APIFRAME.verify_callback(API_KEY, SIGNED, {"x-webhook-SIGNATURE": f"sha256={BY_DIGEST}"})
    assert not APIFRAME.verify_callback(API_KEY, SIGNED, {})
