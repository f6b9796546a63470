"""aivideoapi.ai. No I/O here; client.py does the asking.

Sources: https://aivideoapi.ai/docs/video-generation/wan-2-7 (submit, prices, errors) and
https://aivideoapi.ai/docs/getting-started/callback; the query's body is told by the protocol notes, section 1.2.
Submit and query have different envelopes: {code, msg, data: {taskId}} and a flat object with `id`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from marshmallow import fields, validate

from jobs.errors import BadReport
from jobs.generation import DEFAULT_RATIO, Generation, Mode
from jobs.providers import misfits
from jobs.providers.answers import (
    LONGEST_TASK_ID,
    CallbackSchema,
    link,
    mapping,
    part,
    progress,
    status,
    task_id,
    text,
    unix_time,
)
from jobs.providers.base import (
    Acceptance,
    Callbacks,
    Failure,
    Misfit,
    Polling,
    Price,
    Provider,
    Refusal,
    Report,
    ReportState,
    Request,
)
from jobs.providers.refusals import INVALID, NO_CREDIT, RATE_LIMITED, UNAUTHORIZED, Rule, refusal

MODELS = {Mode.TEXT: "wan-2.7-text-to-video"}
DURATIONS = {Mode.TEXT: (2, 15)}
LONGEST_NEGATIVE_PROMPT = 500

# "Query Task" on the Wan 2.7 page.
STATES = {
    "pending": ReportState.QUEUED,
    "processing": ReportState.RUNNING,
    "completed": ReportState.FINISHED,
    "failed": ReportState.FAILED,
}

# "Error Reference" on the Wan 2.7 page, by (HTTP status, code). One 429 is about pace, the other about money.
REFUSALS = {
    (400, "invalid_request"): INVALID,
    (401, "invalid_api_key"): UNAUTHORIZED,
    (402, "insufficient_credits"): NO_CREDIT,
    (403, "ip_not_allowed"): UNAUTHORIZED,
    (404, "model_not_found"): INVALID,
    (429, "rate_limit_exceeded"): RATE_LIMITED,
    (429, "spend_limit_exceeded"): NO_CREDIT,
}

# The same reference, met in a task that failed: (our code, retryable). `upstream_error` also stands for content and
# parameters that the upstream refuses, so a second try helps at times; the limit of attempts bounds it.
FAILURES = {
    "upstream_error": ("provider_unavailable", True),
    "internal_error": ("provider_unavailable", True),
    "rate_limit_exceeded": ("rate_limited", True),
    "invalid_request": ("invalid_request", False),
    "insufficient_credits": ("insufficient_credits", False),
    "spend_limit_exceeded": ("insufficient_credits", False),
}

# "Pricing" there; $0.005 a credit by the Seedance page. Both resolutions count per second.
PRICES = Price(
    {(Mode.TEXT, "720p"): 24, (Mode.TEXT, "1080p"): 40},
    usd_per_credit=0.005,
)


class Callback(CallbackSchema):
    id = fields.String(required=True, validate=validate.Length(1, LONGEST_TASK_ID))


def auth_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def submit_request(spec: Generation, callback_url: str | None) -> Request:
    """Everything with a default of the gateway's is said, so that its defaults cannot change the meaning."""
    body: dict[str, Any] = {"model": MODELS[spec.mode], "input": _common(spec) | _INPUTS[spec.mode](spec)}
    if callback_url is not None:
        body["callback_url"] = callback_url
    return Request("POST", "/v1/videos/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/tasks/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{code: 200, data: {taskId}} under a 2xx. Raises BadReport for all else."""
    accepted = task_id(part(body, "data", "taskId"))
    if not 200 <= http_status < 300 or part(body, "code") != 200 or accepted is None:
        raise BadReport(f"aivideoapi: no acceptance (HTTP {http_status})")
    return Acceptance(accepted)


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{error: {code, message, type}} with a pair of the table, or with a code that no other status documents."""
    code = part(body, "error", "code")
    if not isinstance(code, str):
        return None
    rule = REFUSALS.get((http_status, code))
    if rule is None and code not in _DOCUMENTED:
        rule = _BY_STATUS.get(http_status)
    return refusal(rule, part(body, "error", "message"), headers) if rule else None


def read_report(body: Any) -> Report:
    """A query's answer or a callback: they have the same shape. Raises BadReport."""
    task = mapping(body, "aivideoapi's task")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("id")),
        link=link(part(task, "output", "urls", 0)) if state is ReportState.FINISHED else None,
        progress=progress(task.get("progress")),
        failure=_failure(task) if state is ReportState.FAILED else None,
        model=text(task.get("model"), 200),
        created_at=unix_time(task.get("created_at")),
        finished_at=unix_time(task.get("completed_at")) if state is ReportState.FINISHED else None,
    )


def _failure(task: Mapping[str, Any]) -> Failure:
    said = text(part(task, "error", "code"), 100) or ""
    code, retryable = FAILURES.get(said, ("generation_failed", False))
    return Failure(code, text(part(task, "error", "message")) or said or "no reason given", retryable)


def _common(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {
        "prompt": spec.prompt,
        "resolution": spec.resolution,
        "duration": spec.duration,
        "prompt_extend": spec.prompt_extend,
        "watermark": spec.watermark,
    }
    if spec.negative_prompt is not None:
        given["negative_prompt"] = spec.negative_prompt
    if spec.seed is not None:
        given["seed"] = spec.seed
    return given


def _text_input(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {"aspect_ratio": spec.ratio or DEFAULT_RATIO}
    if audio := misfits.media_urls(spec, "driving_audio"):
        given["audio_urls"] = audio
    return given


def _misfits(spec: Generation) -> list[Misfit]:
    return [
        *misfits.long_negative_prompt(spec, LONGEST_NEGATIVE_PROMPT),
        *misfits.audio_setting(spec),
        *misfits.driving_audio(spec),
    ]


_INPUTS: dict[Mode, Callable[[Generation], dict[str, Any]]] = {Mode.TEXT: _text_input}
_BY_STATUS: dict[int, Rule] = {400: INVALID, 401: UNAUTHORIZED, 402: NO_CREDIT, 403: UNAUTHORIZED, 429: RATE_LIMITED}
_DOCUMENTED = {code for _, code in REFUSALS} | {"task_not_found", "internal_error", "upstream_error"}

AIVIDEOAPI = Provider(
    name="aivideoapi",
    base_url="https://api.aivideoapi.ai",
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    read_report=read_report,
    read_callback=read_report,
    callback_schema=Callback,
    callbacks=Callbacks(https_only=True),  # undocumented; assumed
    models=MODELS,
    durations=DURATIONS,
    prices=PRICES,
    polling=Polling(first_s=10, then_s=10),  # undocumented; the pace that its kin advise
    misfits=_misfits,
)
