"""EasyRouter. No I/O here; client.py does the asking.

Source: https://docs.easyrouter.io/en/docs/api/ai-model/videos/wanx27; the words it leaves out are new-api's, from
which the gateway is derived: protocol notes, section 3. It has no callbacks. Submit answers with a flat object, the
query with {code, message, data}, in which data.data is the upstream's own answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jobs.errors import BadReport
from jobs.providers.answers import (
    acceptance,
    cost_fields,
    link_fields,
    mapping,
    part,
    progress,
    status,
    task_id,
    text,
    unix_time,
)
from jobs.providers.base import Acceptance, Failure, Provider, Refusal, Report, ReportState, Request
from jobs.providers.bodies import values
from jobs.providers.capabilities import Ability, Count, Length, MediaSet, Polling, Text
from jobs.providers.credit import without_credit
from jobs.providers.refusals import INVALID, NO_CREDIT, RATE_LIMITED, UNAUTHORIZED, names_a_task, refusal
from jobs.request.generation import WAN_2_7, Generation, Kind, Mode

RESOLUTIONS = {"720p": "720P", "1080p": "1080P"}
PROMPT = Text(5000, required=True)
NEGATIVE_PROMPT = Text(500)
# "Billing": quota units, 500,000 to the dollar; the query tells the same unit.
QUOTA_PER_USD = 500_000
QUOTA_PER_S = {"720p": 50_000, "1080p": 75_000}
VIDEO_FILE = "MP4, MOV; 2 to 10 s, up to 100 MB, 240 to 4096 px a side"

# Sections 1 and 3. No field for rewriting, watermark or sound is named; what the page does not name is forwarded to
# the upstream, so the media that the upstream knows and the page does not may work.
_EVERYWHERE: dict[str, Any] = {
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE_PROMPT,
    "prompt_extend": (True,),
    "watermark": (False,),
    "credits_per_s": QUOTA_PER_S,
}
ABILITIES: dict[Kind, Ability] = {
    (WAN_2_7, Mode.TEXT): Ability(
        model="wan2.7-t2v", media=(MediaSet(),), duration=Length(2, 15), unasked_ratio="16:9", **_EVERYWHERE
    ),
    (WAN_2_7, Mode.IMAGE): Ability(
        model="wan2.7-i2v",
        media=(
            MediaSet(("first_frame",)),
            MediaSet(("first_frame", "last_frame"), undocumented="last_frame"),
            MediaSet(("first_clip",), ("last_frame",), undocumented="first_clip"),
        ),
        duration=Length(2, 15),
        ratios=(),
        files={"first_frame": "JPEG, PNG, WEBP; up to 10 MB, 240 to 8000 px a side, 1:8 to 8:1"},
        **_EVERYWHERE,
    ),
    (WAN_2_7, Mode.REFERENCE): Ability(
        model="wan2.7-r2v",
        media=(
            MediaSet(("reference_image",)),
            # Without an image the task fails (section 8.4).
            MediaSet(("reference_image",), ("reference_video",), undocumented="reference_video"),
        ),
        counts=(Count(("reference_image",), 9),),
        duration=Length(2, 15, most_with={"reference_video": 10}),
        unasked_ratio="16:9",
        files={"reference_image": "JPEG, PNG, WEBP; up to 10 MB, shorter side at least 300 px"},
        **_EVERYWHERE,
    ),
    (WAN_2_7, Mode.EDIT): Ability(
        model="wan2.7-videoedit",
        media=(MediaSet(("video",), ("reference_image",)),),
        counts=(Count(("reference_image",), 3),),
        duration=None,  # "ignored by videoedit"
        ratios=(),
        files={"video": VIDEO_FILE, "reference_image": "JPEG, PNG, BMP, WEBP; up to 20 MB, 240 to 8000 px a side"},
        **_EVERYWHERE,
    ),
}

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

# Section 5.2; `unknown` is new-api's here too.
OPENAI_STATES = {
    "queued": ReportState.QUEUED,
    "in_progress": ReportState.RUNNING,
    "unknown": ReportState.RUNNING,
    "completed": ReportState.FINISHED,
    "failed": ReportState.FAILED,
}

# "Error Handling" on the page, sections 8.1 to 8.3; 429 is what HTTP says it is.
REFUSALS = {400: INVALID, 401: UNAUTHORIZED, 402: NO_CREDIT, 403: UNAUTHORIZED, 429: RATE_LIMITED}

# Section 8.4: the upstream's code stands before a colon. Moderation says the same again; other codes are unlisted.
FAILURES = {"DataInspectionFailed": ("content_refused", False)}

_UPSTREAM_CODE = re.compile(r"\s*([A-Za-z][\w.]{0,99})\s*:")


def auth_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def submit_request(spec: Generation, model: str, callback_url: str | None) -> Request:
    """`callback_url` is left out: the gateway has no callbacks."""
    body: dict[str, Any] = {
        "model": model,
        "prompt": spec.prompt,
        "resolution": RESOLUTIONS[spec.resolution],
    }
    if spec.mode is not Mode.EDIT:
        body["duration"] = spec.duration
    metadata = values(ratio=spec.ratio, seed=spec.seed, negative_prompt=spec.negative_prompt)
    if [item.type for item in spec.media] == ["first_frame"]:
        body["input_reference"] = spec.media[0].url
    elif spec.media:
        # Section 2.1: `images`, whose types are guessed by their extensions, may or may not be released. This is.
        metadata["input"] = {"media": [{"type": item.type, "url": item.url} for item in spec.media]}
    if metadata:
        body["metadata"] = metadata
    return Request("POST", "/v1/video/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/video/generations/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{id, task_id, status, ...} with both ids alike, under a 2xx. Raises BadReport for all else."""
    return acceptance(http_status, part(body, "task_id"), part(body, "id"))


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{code, message, data} from the task routes, or {error: {message, type, code}} from the door before them."""
    if names_a_task(body):
        return None
    if out_of_credit := without_credit(http_status, headers, body):
        return out_of_credit
    rule = REFUSALS.get(http_status)
    said = part(body, "message") or part(body, "error", "message")
    if rule is None or not isinstance(said, str):
        return None
    return refusal(rule, said, headers)


def is_error(body: Any) -> bool:
    """{code, message, data} from the task routes, or {error: {message, …}} from the door before them."""
    said, code = part(body, "message"), part(body, "code")
    return (isinstance(said, str) and isinstance(code, str)) or isinstance(part(body, "error", "message"), str)


def read_report(body: Any) -> Report:
    """A query's answer, in either of the page's two forms (sections 2.2 and 5.2). Raises BadReport."""
    answer = mapping(body, "EasyRouter's answer")
    if "data" not in answer and "status" in answer:
        return _read_openai(answer)
    task = mapping(answer.get("data"), "EasyRouter's task")
    if str(answer.get("code", "success"))[:20].lower() != "success":
        raise BadReport("EasyRouter's answer is not a success")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("task_id")),
        **link_fields(state, *_links(task)),
        progress=progress(task.get("progress")),
        failure=_failure(task.get("fail_reason")) if state is ReportState.FAILED else None,
        **cost_fields(0 if state is ReportState.FAILED else task.get("quota")),  # a failed task's quota is given back
        model=_model(task),
        created_at=unix_time(task.get("submit_time")) or unix_time(task.get("created_at")),
        finished_at=unix_time(task.get("finish_time")) if state in (ReportState.FINISHED, ReportState.FAILED) else None,
    )


def _read_openai(task: Mapping[str, Any]) -> Report:
    """Flat, and without the cost. new-api fills `completed_at` before the end as well, so only an end shows it."""
    state, word, known = status(task.get("status"), OPENAI_STATES)
    if not known:  # new-api's words of the other form, which some builds give a flat body
        state = status(word, STATES)[0]
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("task_id")) or task_id(task.get("id")),
        **link_fields(state, part(task, "metadata", "url"), task.get("result_url"), task),
        progress=progress(task.get("progress")),
        failure=_failure(part(task, "error", "message")) if state is ReportState.FAILED else None,
        model=text(task.get("model"), 200),
        created_at=unix_time(task.get("created_at")),
        finished_at=unix_time(task.get("completed_at")) if state is ReportState.FINISHED else None,
    )


def _links(task: Mapping[str, Any]) -> tuple[Any, ...]:
    reason = task.get("fail_reason")  # old builds of new-api put a finished video's URL there
    old = reason if isinstance(reason, str) and "://" in reason else None
    return task.get("result_url"), part(task, "data", "output", "video_url"), old


def _model(task: Mapping[str, Any]) -> str | None:
    named = part(task, "properties", "origin_model_name") or part(task, "properties", "upstream_model_name")
    return text(named, 200)


def _failure(words: Any) -> Failure:
    reason = text(words) or "no reason given"
    found = _UPSTREAM_CODE.match(reason)
    said = found[1] if found else None
    code, retryable = FAILURES.get(said or "", ("generation_failed", False))
    return Failure(code, reason, retryable, said)


EASYROUTER = Provider(
    name="easyrouter",
    base_url="https://easyrouter.io",
    link_hosts=("dashscope-result-bj.oss-cn-beijing.aliyuncs.com",),
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    is_error=is_error,
    read_report=read_report,
    read_callback=read_report,
    callback_schema=None,
    callbacks=None,
    abilities=ABILITIES,
    credit="quota unit",
    usd_per_credit=1 / QUOTA_PER_USD,
    polling=Polling(first_s=15, then_s=15),  # "Polling Guide": every 10 to 15 s, never under 5
)
