"""Bodies for the contract: the samples, garbage of many kinds, and what holds of whatever is read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from jobs.providers.base import Failure, Provider, Report, ReportState
from jobs.providers.registry import PROVIDERS

SAMPLES = Path(__file__).parents[3] / "samples"
CODES = {
    "content_refused",
    "invalid_request",
    "insufficient_credits",
    "unauthorized",
    "rate_limited",
    "provider_unavailable",
    "generation_failed",
}
EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))

# Words and keys the gateways use are mixed in, so that the garbage reaches further than the first check.
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["failed", "COMPLETED", "success", "succeeded", "https://h/v.mp4", "https://[", "40%", "9" * 400, "\ud800\0"]
    )
)
_WORDS = """id task_id jobId taskId status data output urls results result result_data videoUrl videos url error code
message type fail_reason result_url progress quota creditCost created created_at createdAt completed_at completedAt
submit_time finish_time model properties origin_model_name fallback_suggestion details"""
_keys = st.sampled_from(_WORDS.split()) | st.text(max_size=5)
JSON = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=8), max_leaves=30
)
GARBAGE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OBJECTS = st.dictionaries(_keys, JSON, max_size=20)


def samples(provider: Provider, start: str) -> dict[str, Any]:
    found = sorted((SAMPLES / provider.name).glob(f"{start}*.json"))
    return {path.stem: json.loads(path.read_text()) for path in found}


def check(report: Report) -> None:
    """What holds of every report."""
    assert report.link is None or report.state is ReportState.FINISHED
    assert (report.failure is not None) == (report.state is ReportState.FAILED)
    assert report.link is None or report.link.startswith(("http://", "https://"))
    assert report.progress is None or 0 <= report.progress <= 100
    assert report.cost is None or 0 <= report.cost < float("inf")
    assert report.task_id is None or 1 <= len(report.task_id) <= 200
    for moment in (report.created_at, report.finished_at):
        assert moment is None or (moment.utcoffset() is not None and not moment.utcoffset())
    if report.failure is not None:
        check_failure(report.failure)
    for words in (report.word, report.model, report.task_id):
        assert words is None or words.encode()  # neither empty nor with half surrogates
        assert "\0" not in (words or "")


def check_failure(failure: Failure) -> None:
    assert failure.code in CODES
    assert 1 <= len(failure.message) <= 2000
    assert failure.message.encode()
    assert "\0" not in failure.message


def with_status(body: Any, word: str) -> Any:
    """The sample with another status word, wherever the gateway keeps it."""
    if "status" in body:
        return body | {"status": word}
    return body | {"data": body["data"] | {"status": word}}
