"""EasyRouter. No I/O here; client.py does the asking.

Source: https://docs.easyrouter.io/en/docs/api/ai-model/videos/wanx27; the words it leaves out are new-api's, from
which the gateway is derived: protocol notes, section 3. It has no callbacks. Submit answers with a flat object, the
query with {code, message, data}, in which data.data is the upstream's own answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from jobs.errors import BadReport
from jobs.generation import DEFAULT_RATIO, Generation, Mode
from jobs.providers import misfits
from jobs.providers.answers import link, mapping, number, part, progress, status, task_id, text, unix_time
from jobs.providers.base import (
    Acceptance,
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
from jobs.providers.refusals import INVALID, NO_CREDIT, RATE_LIMITED, UNAUTHORIZED, refusal

MODELS = {Mode.TEXT: "wan2.7-t2v"}
DURATIONS = {Mode.TEXT: (2, 15)}
RESOLUTIONS = {"720p": "720P", "1080p": "1080P"}
LONGEST_NEGATIVE_PROMPT = 500

# "Status Enum" on the page; `submitted` and `unknown` are new-api's (model/task.go). UNKNOWN is no end.
STATES = {
    "not_start": ReportState.QUEUED,
    "submitted": ReportState.QUEUED,
    "queued": ReportState.QUEUED,
    "in_progress": ReportState.RUNNING,
    "unknown": ReportState.RUNNING,
    "success": ReportState.FINISHED,
    "failure": ReportState.FAILED,
}

# "Error Handling" on the page, sections 8.1 to 8.3; 429 is what HTTP says it is.
REFUSALS = {400: INVALID, 401: UNAUTHORIZED, 402: NO_CREDIT, 403: UNAUTHORIZED, 429: RATE_LIMITED}

# Section 8.4: the upstream's code stands before a colon. Moderation says the same again; other codes are unlisted.
FAILURES = {"DataInspectionFailed": ("content_refused", False)}

# "Billing": quota units, 500,000 to the dollar; the query tells the same unit.
QUOTA_PER_USD = 500_000
PRICES = Price(
    {(Mode.TEXT, "720p"): 50_000, (Mode.TEXT, "1080p"): 75_000},
    usd_per_credit=1 / QUOTA_PER_USD,
)

_UPSTREAM_CODE = re.compile(r"\s*([A-Za-z][\w.]{0,99})\s*:")


def auth_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def submit_request(spec: Generation, callback_url: str | None) -> Request:
    """`callback_url` is left out: the gateway has no callbacks."""
    body = {
        "model": MODELS[spec.mode],
        "prompt": spec.prompt,
        "resolution": RESOLUTIONS[spec.resolution],
        "duration": spec.duration,
        "metadata": _common(spec) | _METADATA[spec.mode](spec),
    }
    return Request("POST", "/v1/video/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/video/generations/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{id, task_id, status, ...} with both ids alike, under a 2xx. Raises BadReport for all else."""
    accepted = task_id(part(body, "task_id")) or task_id(part(body, "id"))
    if not 200 <= http_status < 300 or accepted is None:
        raise BadReport(f"easyrouter: no acceptance (HTTP {http_status})")
    return Acceptance(accepted)


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{code, message, data} from the task routes, or {error: {message, type, code}} from the door before them."""
    rule = REFUSALS.get(http_status)
    said = part(body, "message") or part(body, "error", "message")
    if rule is None or not isinstance(said, str) or part(body, "task_id") is not None:
        return None
    if http_status == 403 and _is_about_credit(said):
        rule = NO_CREDIT  # the stock new-api says 403 where this page says 402
    return refusal(rule, said, headers)


def read_report(body: Any) -> Report:
    """A query's answer. Raises BadReport."""
    envelope = mapping(body, "EasyRouter's answer")
    task = mapping(envelope.get("data"), "EasyRouter's task")
    if str(envelope.get("code", "success"))[:20].lower() != "success":
        raise BadReport("EasyRouter's answer is not a success")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("task_id")),
        link=_link(task) if state is ReportState.FINISHED else None,
        progress=progress(task.get("progress")),
        failure=_failure(task) if state is ReportState.FAILED else None,
        cost=0.0 if state is ReportState.FAILED else number(task.get("quota")),  # a failed task's quota is given back
        model=_model(task),
        created_at=unix_time(task.get("submit_time")) or unix_time(task.get("created_at")),
        finished_at=unix_time(task.get("finish_time")) if state in (ReportState.FINISHED, ReportState.FAILED) else None,
    )


def _link(task: Mapping[str, Any]) -> str | None:
    # Old builds of new-api put a finished video's URL into fail_reason.
    return link(task.get("result_url"), part(task, "data", "output", "video_url"), task.get("fail_reason"))


def _model(task: Mapping[str, Any]) -> str | None:
    named = part(task, "properties", "origin_model_name") or part(task, "properties", "upstream_model_name")
    return text(named, 200)


def _failure(task: Mapping[str, Any]) -> Failure:
    reason = text(task.get("fail_reason")) or "no reason given"
    found = _UPSTREAM_CODE.match(reason)
    code, retryable = FAILURES.get(found[1] if found else "", ("generation_failed", False))
    return Failure(code, reason, retryable)


def _is_about_credit(said: str) -> bool:
    words = said[:2000].lower()
    return "quota" in words and ("insufficient" in words or "not enough" in words)


def _common(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if spec.seed is not None:
        given["seed"] = spec.seed
    if spec.negative_prompt is not None:
        given["negative_prompt"] = spec.negative_prompt
    return given


def _text_metadata(spec: Generation) -> dict[str, Any]:
    return {"ratio": spec.ratio or DEFAULT_RATIO}


def _misfits(spec: Generation) -> list[Misfit]:
    rewriting = [] if spec.prompt_extend else [Misfit("prompt_extend", False, "true; it cannot be switched off here")]
    return [
        *misfits.long_negative_prompt(spec, LONGEST_NEGATIVE_PROMPT),
        *misfits.watermark(spec),
        *rewriting,
        *misfits.audio_setting(spec),
        *misfits.driving_audio(spec, most=0),
    ]


_METADATA: dict[Mode, Callable[[Generation], dict[str, Any]]] = {Mode.TEXT: _text_metadata}

EASYROUTER = Provider(
    name="easyrouter",
    base_url="https://easyrouter.io",
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    read_report=read_report,
    read_callback=read_report,
    callback_schema=None,
    callbacks=None,
    models=MODELS,
    durations=DURATIONS,
    prices=PRICES,
    polling=Polling(first_s=15, then_s=15),  # "Polling Guide": every 10 to 15 s, never under 5
    misfits=_misfits,
)
