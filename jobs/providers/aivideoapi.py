"""aivideoapi.ai. No I/O here; client.py does the asking.

Sources: https://aivideoapi.ai/docs/video-generation/wan-2-7 (submit, prices, errors) and
https://aivideoapi.ai/docs/getting-started/callback; the query's body is told by the protocol notes, section 1.2.
Submit and query have different envelopes: {code, msg, data: {taskId}} and a flat object with `id`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from jobs.errors import BadReport
from jobs.providers.answers import (
    CallbackSchema,
    TaskId,
    acceptance,
    link_fields,
    mapping,
    part,
    progress,
    status,
    task_id,
    text,
    told_amount,
    unix_time,
)
from jobs.providers.base import (
    Acceptance,
    BalanceCall,
    CreditBalance,
    Failure,
    Provider,
    Refusal,
    Report,
    ReportState,
    Request,
)
from jobs.providers.bodies import lists
from jobs.providers.capabilities import Ability, Callbacks, Count, Length, MediaSet, Polling, Text, Voices, Why
from jobs.providers.credit import without_credit
from jobs.providers.refusals import INVALID, NO_CREDIT, RATE_LIMITED, UNAUTHORIZED, Rule, names_a_task, refusal
from jobs.request.generation import WAN_2_7, Generation, Kind, Mode

# "Common Input": counted in characters; nothing says that it is done in any other way.
PROMPT = Text(5000, required=True)
NEGATIVE_PROMPT = Text(500)
# "Pricing": by the second and the resolution, whatever the mode.
CREDITS_PER_S = {"720p": 24, "1080p": 40}
IMAGES, VIDEOS = "JPEG, PNG, WEBP", "MP4, MOV"

ABILITIES: dict[Kind, Ability] = {
    (WAN_2_7, Mode.TEXT): Ability(
        model="wan-2.7-text-to-video",
        media=(MediaSet(may=("driving_audio",)),),
        duration=Length(2, 15),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        credits_per_s=CREDITS_PER_S,
    ),
    (WAN_2_7, Mode.IMAGE): Ability(
        model="wan-2.7-image-to-video",
        media=(
            MediaSet(("first_frame",), ("last_frame", "first_clip", "driving_audio")),
            # The page marks image_urls as required; whether a clip alone will do is not said.
            MediaSet(("first_clip",), ("driving_audio",), undocumented="first_clip"),
        ),
        duration=Length(2, 15),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        ratios=(),
        credits_per_s=CREDITS_PER_S,
        files={"first_frame": IMAGES, "last_frame": IMAGES, "first_clip": f"{VIDEOS}, MKV"},
    ),
    (WAN_2_7, Mode.REFERENCE): Ability(
        model="wan-2.7-reference-to-video",
        media=(MediaSet(may=("reference_image", "reference_video", "first_frame")),),
        counts=(Count(("reference_image", "reference_video"), 5),),
        duration=Length(2, 10),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        voices=Voices.ONE,
        credits_per_s=CREDITS_PER_S,
        files={"reference_image": IMAGES, "reference_video": VIDEOS},
    ),
    (WAN_2_7, Mode.EDIT): Ability(
        model="wan-2.7-video-edit",
        media=(MediaSet(("video",), ("reference_image",)),),
        counts=(Count(("reference_image",), 1, beyond=Why.ALTERED),),  # "the first is used"
        duration=Length(2, 10, whole_input=True),
        prompt=Text(5000),
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        audio_setting=("auto", "origin"),
        credits_per_s=CREDITS_PER_S,
        files={"video": VIDEOS},
    ),
}

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

# The Seedance page of the same gateway: 20 credits a second are $0.10.
USD_PER_CREDIT = 0.005


class Callback(CallbackSchema):
    id = TaskId(required=True)


def auth_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def submit_request(spec: Generation, model: str, callback_url: str | None) -> Request:
    """What the page gives another default than ours, or none, is always said."""
    body: dict[str, Any] = {"model": model, "input": _common(spec) | _INPUTS[spec.mode](spec)}
    if callback_url is not None:
        body["callback_url"] = callback_url
    return Request("POST", "/v1/videos/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/tasks/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{code: 200, data: {taskId}} under a 2xx. Raises BadReport for all else."""
    if part(body, "code") not in (200, "200"):
        raise BadReport(f"no acceptance (HTTP {http_status})")
    return acceptance(http_status, part(body, "data", "taskId"))


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{error: {code, message, type}} with a pair of the table, or with a code that no other status documents."""
    if names_a_task(body):
        return None
    code = part(body, "error", "code")
    is_word = isinstance(code, str)
    rule = REFUSALS.get((http_status, code)) if is_word else None
    if rule is None and (out_of_credit := without_credit(http_status, headers, body)):
        return out_of_credit
    if rule is None and is_word and code not in _DOCUMENTED:
        rule = _BY_STATUS.get(http_status)
    return refusal(rule, part(body, "error", "message"), headers) if rule else None


def is_error(body: Any) -> bool:
    """{error: {code, message, type}}."""
    return isinstance(part(body, "error", "code"), str)


def read_balance(body: Any) -> CreditBalance:
    """{code: 200, data: {balance, total_purchased, total_consumed}}; what was bought and is not there was used."""
    told = mapping(part(body, "data"), "aivideoapi's credits")
    left, bought = (told_amount(told.get(name), name) for name in ("balance", "total_purchased"))
    return CreditBalance(left, bought - left)


def read_report(body: Any) -> Report:
    """A query's answer or a callback: they have the same shape. Raises BadReport."""
    task = mapping(body, "aivideoapi's task")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("id")),
        **link_fields(state, part(task, "output", "urls", 0), part(task, "output")),
        progress=progress(task.get("progress")),
        failure=_failure(task) if state is ReportState.FAILED else None,
        model=text(task.get("model"), 200),
        created_at=unix_time(task.get("created_at")),
        finished_at=unix_time(task.get("completed_at")) if state is ReportState.FINISHED else None,
    )


def _failure(task: Mapping[str, Any]) -> Failure:
    said = text(part(task, "error", "code"), 100) or ""
    code, retryable = FAILURES.get(said, ("generation_failed", False))
    return Failure(code, text(part(task, "error", "message")) or said or "no reason given", retryable, said or None)


def _common(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {"resolution": spec.resolution, "duration": spec.duration}
    if spec.prompt is not None:
        given["prompt"] = spec.prompt
    if spec.negative_prompt is not None:
        given["negative_prompt"] = spec.negative_prompt
    if not spec.prompt_extend:  # "default true"
        given["prompt_extend"] = False
    if spec.watermark:  # "default false"
        given["watermark"] = True
    if spec.seed is not None:
        given["seed"] = spec.seed
    if spec.ratio is not None:
        given["aspect_ratio"] = spec.ratio
    return given


def _text_input(spec: Generation) -> dict[str, Any]:
    return lists(audio_urls=spec.urls("driving_audio"))


def _image_input(spec: Generation) -> dict[str, Any]:
    first, clip = spec.urls("first_frame"), spec.url("first_clip")
    frames = first + spec.urls("last_frame") if first else []  # an image that stands first is the first frame
    given = lists(image_urls=frames, audio_urls=spec.urls("driving_audio"))
    return given | {"first_clip_url": clip} if clip else given


def _reference_input(spec: Generation) -> dict[str, Any]:
    voices = [item.reference_voice for item in spec.references if item.reference_voice]
    given = lists(
        image_urls=spec.urls("reference_image"),
        video_urls=spec.urls("reference_video"),
        audio_urls=voices or spec.urls("reference_voice"),
    )
    first = spec.url("first_frame")
    return given | {"first_frame_url": first} if first else given


def _edit_input(spec: Generation) -> dict[str, Any]:
    given = lists(video_urls=spec.urls("video"), image_urls=spec.urls("reference_image"))
    return given | {"audio_setting": spec.audio_setting or "auto"}


_INPUTS: dict[Mode, Callable[[Generation], dict[str, Any]]] = {
    Mode.TEXT: _text_input,
    Mode.IMAGE: _image_input,
    Mode.REFERENCE: _reference_input,
    Mode.EDIT: _edit_input,
}
_BY_STATUS: dict[int, Rule] = {400: INVALID, 401: UNAUTHORIZED, 402: NO_CREDIT, 403: UNAUTHORIZED, 429: RATE_LIMITED}
_DOCUMENTED = {code for _, code in REFUSALS} | {"task_not_found", "internal_error", "upstream_error"}

AIVIDEOAPI = Provider(
    name="aivideoapi",
    base_url="https://api.aivideoapi.ai",
    link_hosts=("file.aivideoapi.ai",),
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    is_error=is_error,
    read_report=read_report,
    read_callback=read_report,
    callback_schema=Callback,
    callbacks=Callbacks(
        https_only=True, signed=False, tries="3: at once, after 3 and after 10 minutes"
    ),  # https: assumed
    abilities=ABILITIES,
    usd_per_credit=USD_PER_CREDIT,
    # https://aivideoapi.ai/docs/getting-started/credits
    balance_call=BalanceCall(Request("GET", "/v1/credits"), read_balance, counts="account"),
    polling=Polling(first_s=10, then_s=10),  # undocumented; the pace that its kin advise
)
