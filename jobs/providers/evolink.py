"""EvoLink. No I/O here; client.py does the asking.

Sources: https://docs.evolink.ai/en/api-manual/video-series/wan2.7 (its stored copy has lost the field names),
.../task-management/get-task-detail and .../error-codes: protocol notes, section 5. A callback is the query's body,
unsigned, tried for some seven seconds only.
"""

from __future__ import annotations

import re
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
from jobs.providers.bodies import lists, values
from jobs.providers.capabilities import Ability, Callbacks, Count, Length, MediaSet, Polling, Text, Voices, Why
from jobs.providers.credit import without_credit
from jobs.providers.refusals import INVALID, NO_CREDIT, UNAUTHORIZED, Rule, names_a_task, refusal
from jobs.request.generation import LARGEST_SEED, WAN_2_7, Generation, Kind, Mode

# "Each character/callback counts as 1, with overflow auto-truncated": cut in silence, so a misfit here.
PROMPT = Text(5000, required=True, beyond=Why.ALTERED)
NEGATIVE_PROMPT = Text(500, beyond=Why.ALTERED)
# https://evolink.ai/en/blog/wan-2-7-api-guide, in dollars. `usage.credits_reserved` is another unit, never told.
USD_PER_S = {"720p": 0.086, "1080p": 0.144}
# https://docs.evolink.ai/en/api-manual/account-management/get-credits tells credits. What one is worth, its quickstart
# shows: 252 of them are an `estimated_cost` of 0.252.
USD_PER_ACCOUNT_CREDIT = 0.001
AUDIO_FILE = "WAV, MP3; 2 to 30 s, up to 15 MB"
IMAGE_FILE = "up to 20 MB, 240 to 8000 px a side"

# Section 5.1 of the protocol notes. No field for a watermark; seeds begin at 1.
_EVERYWHERE: dict[str, Any] = {
    "negative_prompt": NEGATIVE_PROMPT,
    "watermark": (False,),
    "seed": (1, LARGEST_SEED),
    "credits_per_s": USD_PER_S,
}
ABILITIES: dict[Kind, Ability] = {
    (WAN_2_7, Mode.TEXT): Ability(
        model="wan2.7-text-to-video",
        media=(MediaSet(may=("driving_audio",)),),
        duration=Length(2, 15),
        prompt=PROMPT,
        unasked_ratio="16:9",
        files={"driving_audio": AUDIO_FILE},
        **_EVERYWHERE,
    ),
    (WAN_2_7, Mode.IMAGE): Ability(
        model="wan2.7-image-to-video",
        media=(
            MediaSet(("first_frame",), ("last_frame", "driving_audio")),
            MediaSet(("first_clip",), ("last_frame",)),
        ),
        duration=Length(2, 15),
        prompt=PROMPT,
        ratios=(),
        files={"first_frame": IMAGE_FILE, "last_frame": IMAGE_FILE, "driving_audio": AUDIO_FILE},
        **_EVERYWHERE,
    ),
    (WAN_2_7, Mode.REFERENCE): Ability(
        model="wan2.7-reference-video",
        media=(MediaSet(may=("reference_image", "reference_video", "first_frame")),),
        counts=(Count(("reference_image", "reference_video"), 5),),
        duration=Length(2, 15, most_with={"reference_video": 10}),  # not stated; the upstream's limits
        prompt=PROMPT,
        unasked_ratio="16:9",
        voices=Voices.IN_ORDER,
        input_is_billed=True,
        files={"reference_image": IMAGE_FILE},
        **_EVERYWHERE,
    ),
    (WAN_2_7, Mode.EDIT): Ability(
        model="wan2.7-video-edit",
        media=(MediaSet(("video",), ("reference_image",)),),
        counts=(Count(("reference_image",), 4),),
        duration=None,  # neither a length nor a shape is documented for it
        prompt=Text(5000, beyond=Why.ALTERED),
        ratios=(),
        audio_setting=("auto", "origin"),
        input_is_billed=True,
        files={"video": "MP4, MOV; 2 to 10 s, up to 100 MB, 240 to 4096 px a side", "reference_image": IMAGE_FILE},
        **_EVERYWHERE,
    ),
}

# get-task-detail; callbacks also tell of cancelled tasks, in a word that no page gives.
STATES = {
    "pending": ReportState.QUEUED,
    "processing": ReportState.RUNNING,
    "completed": ReportState.FINISHED,
    "failed": ReportState.FAILED,
    "cancelled": ReportState.FAILED,
    "canceled": ReportState.FAILED,
}

# error-codes, HTTP level: the type each status has.
RATE_LIMITED = Rule("rate_limited", retryable=True, pause_s=60)  # the page's own hint
REFUSALS = {
    (400, "invalid_request_error"): INVALID,
    (401, "authentication_error"): UNAUTHORIZED,
    (402, "insufficient_quota_error"): NO_CREDIT,
    (403, "permission_error"): UNAUTHORIZED,
    (404, "not_found_error"): INVALID,
    (413, "request_too_large_error"): INVALID,
    (429, "rate_limit_error"): RATE_LIMITED,
}

# error-codes, task level: (our code, retryable as the gateway's own client has it). A code that is not listed is
# not retried.
FAILURES = {
    "content_policy_violation": ("content_refused", False),
    "invalid_parameters": ("invalid_request", False),
    "image_processing_error": ("invalid_request", False),
    "image_dimension_mismatch": ("invalid_request", False),
    "resource_not_found": ("invalid_request", False),
    "request_cancelled": ("generation_failed", False),
    "model_unavailable": ("provider_unavailable", False),
    # The client retries this one; the page advises another prompt, which is not ours to choose.
    "generation_failed_no_content": ("generation_failed", False),
    "generation_timeout": ("generation_failed", True),
    "unknown_error": ("generation_failed", True),
    "quota_exceeded": ("rate_limited", True),
    "resource_exhausted": ("provider_unavailable", True),
    "service_error": ("provider_unavailable", True),
    "service_unavailable": ("provider_unavailable", True),
}

_HINT = re.compile(r"retry after (\d{1,6}) second", re.IGNORECASE | re.ASCII)


class Callback(CallbackSchema):
    id = TaskId(required=True)


def auth_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def submit_request(spec: Generation, model: str, callback_url: str | None) -> Request:
    """All defaults are said: 720p and no prompt rewriting are this gateway's own."""
    body = {"model": model} | _common(spec) | _FIELDS[spec.mode](spec)
    if callback_url is not None:
        body["callback_url"] = callback_url
    return Request("POST", "/v1/videos/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/tasks/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{id, status, ...} under a 2xx. Raises BadReport for all else."""
    if part(body, "error") is not None:
        raise BadReport(f"an error (HTTP {http_status})")
    return acceptance(http_status, part(body, "id"))


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{error: {code, message, type, fallback_suggestion}}; the code is a number in old pages, a word in new ones."""
    if names_a_task(body):
        return None
    error = part(body, "error")
    kind, said = part(error, "type"), part(error, "message")
    is_own = isinstance(error, Mapping) and isinstance(said, str)
    rule = REFUSALS.get((http_status, kind)) if is_own and isinstance(kind, str) else None
    if rule is None and (out_of_credit := without_credit(http_status, headers, body)):
        return out_of_credit
    if not is_own:
        return None
    if rule is None and (not isinstance(kind, str) or kind not in _DOCUMENTED):
        rule = _BY_STATUS.get(http_status)
    hint = _HINT.search(str(error.get("fallback_suggestion") or "")[:500])
    return refusal(rule, said, headers, hint_s=float(hint[1]) if hint else None) if rule else None


def is_error(body: Any) -> bool:
    """{error: {message, …}}."""
    return isinstance(part(body, "error", "message"), str)


def read_balance(body: Any) -> CreditBalance:
    """{success, data: {user: {remaining_credits, …}, token: {remaining_credits, used_credits, unlimited_credits}}}.

    `token` is the key, which may have a limit of its own.
    """
    if part(body, "success") is not True:
        raise BadReport("no success")
    key, account = part(body, "data", "token"), part(body, "data", "user")
    left = told_amount(part(account, "remaining_credits"), "data.user.remaining_credits")
    if part(key, "unlimited_credits") is False:
        left = min(left, told_amount(part(key, "remaining_credits"), "data.token.remaining_credits"))
    return CreditBalance(left, told_amount(part(key, "used_credits"), "data.token.used_credits"))


def read_report(body: Any) -> Report:
    """A query's answer or a callback: they have the same shape. Raises BadReport."""
    task = mapping(body, "EvoLink's task")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("id")),
        **link_fields(state, task.get("results"), part(task, "result_data", 0, "video_url")),
        progress=progress(task.get("progress")),
        failure=_failure(task, word) if state is ReportState.FAILED else None,
        model=text(task.get("model"), 200),
        created_at=unix_time(task.get("created")),
    )


def _failure(task: Mapping[str, Any], word: str) -> Failure:
    said = text(part(task, "error", "code"), 100) or ""
    code, retryable = FAILURES.get(said, ("generation_failed", False))
    message = text(part(task, "error", "message")) or said or f"{word.lower()}, no reason given"
    return Failure(code, message, retryable, said or None)


def _common(spec: Generation) -> dict[str, Any]:
    given = values(
        prompt=spec.prompt, negative_prompt=spec.negative_prompt, seed=spec.seed, aspect_ratio=spec.ratio
    ) | {"quality": spec.resolution, "prompt_extend": spec.prompt_extend}
    return given | {"duration": spec.duration} if spec.duration else given


def _text_fields(spec: Generation) -> dict[str, Any]:
    return lists(audio_urls=spec.urls("driving_audio"))


def _image_fields(spec: Generation) -> dict[str, Any]:
    last, clip = spec.url("last_frame"), spec.urls("first_clip")
    mode = "video_continuation" if clip else "first_last_frame" if last else "first_frame"
    frames = values(generation_mode=mode, image_start=spec.url("first_frame"), image_end=last)
    return frames | lists(video_urls=clip, audio_urls=spec.urls("driving_audio"))


def _reference_fields(spec: Generation) -> dict[str, Any]:
    # By position; `model_params.voice_bindings` would say whose each is, but nobody says how it is written.
    voices = [item.reference_voice for item in spec.references if item.reference_voice]
    return values(image_start=spec.url("first_frame")) | lists(
        image_urls=spec.urls("reference_image"), video_urls=spec.urls("reference_video"), audio_urls=voices
    )


def _edit_fields(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {"keep_original_sound": spec.audio_setting == "origin"}
    return given | lists(video_urls=spec.urls("video"), image_urls=spec.urls("reference_image"))


_FIELDS: dict[Mode, Callable[[Generation], dict[str, Any]]] = {
    Mode.TEXT: _text_fields,
    Mode.IMAGE: _image_fields,
    Mode.REFERENCE: _reference_fields,
    Mode.EDIT: _edit_fields,
}
_BY_STATUS = {http_status: rule for (http_status, _), rule in REFUSALS.items()}
_DOCUMENTED = {kind for _, kind in REFUSALS} | {"upstream_error", "service_unavailable_error"}

EVOLINK = Provider(
    name="evolink",
    base_url="https://api.evolink.ai",
    link_hosts=("files.evolink.ai",),
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    is_error=is_error,
    read_report=read_report,
    read_callback=read_report,
    callback_schema=Callback,
    callbacks=Callbacks(https_only=True, signed=False, tries="4: at once, then after 1, 2 and 4 s", longest_url=2048),
    abilities=ABILITIES,
    credit="US$",
    usd_per_credit=1.0,
    balance_call=BalanceCall(Request("GET", "/v1/credits"), read_balance, counts="key", worth=USD_PER_ACCOUNT_CREDIT),
    polling=Polling(first_s=15, then_s=15),
)
