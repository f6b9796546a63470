"""Every sample of an answer or a callback, and exactly what is read from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway_bodies import SAMPLES

from jobs.errors import BadReport
from jobs.providers.base import Acceptance, Failure, Refusal, Report, ReportState
from jobs.providers.registry import PROVIDERS

QUEUED, RUNNING, FINISHED, FAILED = ReportState

A_TASK, A_MODEL = "8b6a5162-5c91-4a42-8e80-4c8ef5486f24", "wan-2.7-text-to-video"
A_BEGUN = datetime(2026, 3, 28, 13, 56, 5, tzinfo=UTC)
A_FINISHED = Report(
    FINISHED,
    "completed",
    task_id=A_TASK,
    link="https://file.aivideoapi.ai/videos/8b6a5162.mp4",
    model=A_MODEL,
    created_at=datetime(2026, 3, 29, 13, 17, 7, tzinfo=UTC),
    finished_at=datetime(2026, 3, 29, 15, 2, 9, tzinfo=UTC),
)
A_SAID = "The upstream AI provider returned an error"
A_FAILED = Report(
    FAILED,
    "failed",
    task_id=A_TASK,
    failure=Failure("provider_unavailable", A_SAID, retryable=True, said="upstream_error"),
    model=A_MODEL,
    created_at=datetime(2026, 3, 29, 14, 15, 58, tzinfo=UTC),
)

F_JOB, F_VIDEO = "3f0f5f6e-0d8a-4c7a-9a51-0d6f7a9d3b11", "https://cdn2.apiframe.ai/videos/3f0f5f6e.mp4"
F_BEGUN = datetime(2026, 3, 15, 10, tzinfo=UTC)
F_ENDED = F_BEGUN + timedelta(seconds=32)
F_LOST = Failure("generation_failed", "Provider returned an error: the task was not finished", retryable=False)
F_CANCELLED = Failure("generation_failed", "cancelled, no reason given", retryable=False)

E_TASK = "task_AbCdEf1234567890XyZw"
E_BEGUN = datetime.fromtimestamp(1778300000, UTC)
E_ENDED = E_BEGUN + timedelta(seconds=95)
E_LINK = "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/.../output.mp4?Expires=...&Signature=..."
E_INSPECTED = Failure(
    "content_refused",
    "DataInspectionFailed: input data may contain inappropriate content",
    retryable=False,
    said="DataInspectionFailed",
)

L_TASK, L_MODEL = "task-unified-1757169743-7cvnl5zw", "wan2.7-text-to-video"
L_BEGUN = datetime.fromtimestamp(1757169743, UTC)
L_LINK = "https://files.evolink.ai/7cvnl5zw.mp4"
L_POLICY = Failure("content_refused", "The content was refused", retryable=False, said="content_policy_violation")
L_CANCELLED = Failure("generation_failed", "The request was cancelled", retryable=False, said="request_cancelled")

G_TASK = "video_69095b4ce0048190893a01510c0c98b0"
G_LINK = "https://gravitex-ads.oss-cn-guangzhou.aliyuncs.com/2025/11/18/abc123/video.mp4"
G_MODERATED = Failure("content_refused", "Prompt contains inappropriate content", retryable=False, said="400")


def evolink(state: ReportState, word: str, progress: int, **more: Any) -> Report:
    return Report(state, word, task_id=L_TASK, progress=progress, model=L_MODEL, **({"created_at": L_BEGUN} | more))


def apiframe(state: ReportState, word: str, **more: Any) -> Report:
    return Report(state, word, task_id=F_JOB, model="wan-2.7", **more)


def easyrouter(state: ReportState, word: str, **more: Any) -> Report:
    return Report(state, word, task_id=E_TASK, **more)


READ: dict[str, Report | type[BadReport]] = {
    "aivideoapi/query_pending": Report(QUEUED, "pending", task_id=A_TASK, model=A_MODEL, created_at=A_BEGUN),
    "aivideoapi/query_processing": Report(RUNNING, "processing", task_id=A_TASK, model=A_MODEL, created_at=A_BEGUN),
    "aivideoapi/query_completed": A_FINISHED,
    "aivideoapi/query_failed": A_FAILED,
    "apiframe/query_queued": apiframe(QUEUED, "QUEUED", progress=0, cost=136, created_at=F_BEGUN),
    "apiframe/query_processing": apiframe(RUNNING, "PROCESSING", progress=65, cost=136, created_at=F_BEGUN),
    "apiframe/query_completed": apiframe(
        FINISHED, "COMPLETED", link=F_VIDEO, progress=100, cost=136, created_at=F_BEGUN, finished_at=F_ENDED
    ),
    "apiframe/query_failed": apiframe(FAILED, "FAILED", progress=0, failure=F_LOST, cost=0, created_at=F_BEGUN),
    "apiframe/query_cancelled": apiframe(
        FAILED, "CANCELLED", progress=0, failure=F_CANCELLED, cost=0, created_at=F_BEGUN
    ),
    "easyrouter/query_not_start": easyrouter(
        QUEUED, "NOT_START", progress=0, cost=250_000, model="wan2.7-t2v", created_at=E_BEGUN
    ),
    "easyrouter/query_in_progress": easyrouter(
        RUNNING, "IN_PROGRESS", progress=40, model="wan2.7-t2v", created_at=E_BEGUN
    ),
    "easyrouter/query_success": easyrouter(
        FINISHED,
        "SUCCESS",
        link=E_LINK,
        progress=100,
        cost=250_000,
        model="wan2.7-t2v",
        created_at=E_BEGUN,
        finished_at=E_ENDED,
    ),
    "easyrouter/query_failure": easyrouter(FAILED, "FAILURE", progress=100, failure=E_INSPECTED, cost=0),
    "easyrouter/query_openai_completed": easyrouter(
        FINISHED,
        "completed",
        link=E_LINK,
        progress=100,
        model="wan2.7-t2v",
        created_at=E_BEGUN,
        finished_at=E_ENDED,
    ),
    "easyrouter/query_unknown_task": BadReport,
    "evolink/query_pending": evolink(QUEUED, "pending", 0),
    "evolink/query_processing": evolink(RUNNING, "processing", 40),
    "evolink/query_completed": evolink(FINISHED, "completed", 100, link=L_LINK),
    "evolink/query_failed": evolink(FAILED, "failed", 0, failure=L_POLICY),
    "evolink/query_failed_short": evolink(FAILED, "failed", 0, failure=L_POLICY, created_at=None),
    "gravitex/query_queued": Report(QUEUED, "queued", task_id=G_TASK),
    "gravitex/query_in_progress": Report(RUNNING, "in_progress", task_id=G_TASK),
    "gravitex/query_succeeded": Report(FINISHED, "succeeded", task_id=G_TASK, link=G_LINK),
    "gravitex/query_failed": Report(FAILED, "failed", task_id=G_TASK, failure=G_MODERATED),
}
CALLED: dict[str, Report] = {
    "aivideoapi/callback_completed": A_FINISHED,
    "aivideoapi/callback_failed": A_FAILED,
    "apiframe/callback_completed": apiframe(
        FINISHED, "COMPLETED", link=F_VIDEO, progress=100, cost=136, finished_at=F_ENDED
    ),
    "apiframe/callback_completed_string": apiframe(
        FINISHED, "COMPLETED", link=F_VIDEO, progress=100, cost=136, finished_at=F_ENDED
    ),
    "apiframe/callback_failed": apiframe(FAILED, "FAILED", failure=F_LOST),
    "apiframe/callback_progress": apiframe(RUNNING, "PROCESSING", progress=45),
    "evolink/callback_completed": evolink(FINISHED, "completed", 100, link=L_LINK),
    "evolink/callback_failed": evolink(FAILED, "failed", 0, failure=L_POLICY),
    "evolink/callback_cancelled": evolink(FAILED, "failed", 0, failure=L_CANCELLED),
}
ACCEPTED = {
    "aivideoapi/submit_accepted": (200, A_TASK),
    "apiframe/submit_accepted": (202, F_JOB),
    "easyrouter/submit_accepted": (200, E_TASK),
    "evolink/submit_accepted": (200, L_TASK),
    "gravitex/submit_accepted": (200, G_TASK),
}


def refusal(code: str, message: str, pause_s: float | None = None) -> Refusal:
    return Refusal(Failure(code, message, retryable=code == "rate_limited"), pause_s)


NO_CREDIT_S, NO_KEY_S = 900, 300
REFUSED = {
    "aivideoapi/refused_400": refusal("invalid_request", "'model' is required."),
    "aivideoapi/refused_402": refusal(
        "insufficient_credits", "Your credit balance is too low. Please top up.", NO_CREDIT_S
    ),
    "apiframe/refused_400": refusal(
        "invalid_request",
        "Validation failed: wan27Params.duration: Number must be less than or equal to 15",
    ),
    "apiframe/refused_402": refusal("insufficient_credits", "Insufficient credits", NO_CREDIT_S),
    "easyrouter/refused_400": refusal("invalid_request", "prompt is required"),
    "easyrouter/refused_400_no_images": refusal("invalid_request", "images is required for videoedit"),
    "easyrouter/refused_400_unknown_model": refusal("invalid_request", "unknown model: ..."),
    "easyrouter/refused_401": refusal("unauthorized", "invalid token", NO_KEY_S),
    "easyrouter/refused_402": refusal("insufficient_credits", "insufficient user quota", NO_CREDIT_S),
    "evolink/refused_400": refusal("invalid_request", "duration must be between 2 and 15"),
    "evolink/refused_402": refusal("insufficient_credits", "Insufficient quota", NO_CREDIT_S),
    "evolink/refused_429": refusal("rate_limited", "Too many requests", 60),
    "gravitex/refused_400": refusal("invalid_request", "duration must be between 2 and 15"),
}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", READ)
def test_a_query_is_read_to_the_letter(name: str) -> None:
    expected, read = READ[name], PROVIDERS[name.partition("/")[0]].read_report
    if isinstance(expected, Report):
        assert read(sample(name)) == expected
    else:
        with pytest.raises(expected):
            read(sample(name))


@pytest.mark.parametrize("name", CALLED)
def test_a_callback_is_read_to_the_letter(name: str) -> None:
    assert PROVIDERS[name.partition("/")[0]].read_callback(sample(name)) == CALLED[name]


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_acceptance_is_read_to_the_letter(name: str) -> None:
    status, task = ACCEPTED[name]
    assert PROVIDERS[name.partition("/")[0]].read_acceptance(status, sample(name)) == Acceptance(task)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_read_to_the_letter(name: str) -> None:
    status = int(name.partition("_")[2][:3])
    assert PROVIDERS[name.partition("/")[0]].read_refusal(status, {}, sample(name)) == REFUSED[name]


def test_every_sample_of_an_answer_is_in_a_table() -> None:
    files = {f"{path.parent.name}/{path.stem}" for path in SAMPLES.glob("*/*.json")}
    answers = {name for name in files if not name.partition("/")[2].startswith("request_")}
    assert answers == READ.keys() | CALLED.keys() | ACCEPTED.keys() | REFUSED.keys()
