"""Apiframe v2. No I/O here; client.py does the asking.

Sources: https://docs.apiframe.ai (Wan 2.7 page: parameters, prices), https://docs-v2.apiframe.ai/docs/webhooks and
.../jobs/get, and the gateway's OpenAPI file (https://api.apiframe.ai/v2/openapi.json): protocol notes, section 2.
Bodies with a field it does not know are refused (400), so nothing is sent that is not documented.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from jobs.providers.answers import (
    CallbackSchema,
    TaskId,
    acceptance,
    cost_fields,
    iso_time,
    link_fields,
    mapping,
    part,
    progress,
    status,
    task_id,
    text,
)
from jobs.providers.base import Acceptance, Failure, Provider, Refusal, Report, ReportState, Request
from jobs.providers.bodies import lists, values
from jobs.providers.capabilities import Ability, Callbacks, Count, Length, MediaSet, Polling, Text, Why
from jobs.providers.credit import without_credit
from jobs.providers.refusals import INVALID, NO_CREDIT, RATE_LIMITED, UNAUTHORIZED, header, names_a_task, refusal
from jobs.request.generation import WAN_2_7, Generation, Kind, Mode

# The service answers as zod does (`details` by field), which counts in UTF-16 code units.
PROMPT = Text(5000, required=True, utf16=True)
NEGATIVE_PROMPT = Text(2500, utf16=True)

# The Wan 2.7 page has "wan-2.7"; the other two models are in the OpenAPI file. No field for a watermark anywhere.
ABILITIES: dict[Kind, Ability] = {
    (WAN_2_7, Mode.TEXT): Ability(
        model="wan-2.7",
        media=(MediaSet(may=("driving_audio",)),),
        duration=Length(2, 15),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        watermark=(False,),
        credits_per_s={"720p": 17, "1080p": 17},
        files={"driving_audio": "WAV, MP3; 3 to 30 s, up to 15 MB"},
    ),
    (WAN_2_7, Mode.IMAGE): Ability(
        model="wan-2.7",
        media=(
            MediaSet(("first_frame",), ("last_frame", "driving_audio")),
            MediaSet(("first_clip",), ("last_frame", "driving_audio")),
        ),
        duration=Length(2, 15),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        ratios=(),
        watermark=(False,),
        credits_per_s={"720p": 17, "1080p": 26},
        files={"driving_audio": "WAV, MP3; 3 to 30 s, up to 15 MB", "first_clip": "2 to 10 s"},
    ),
    (WAN_2_7, Mode.REFERENCE): Ability(
        model="wan-2.7-r2v",
        media=(MediaSet(may=("reference_image", "reference_video")),),
        counts=(Count(("reference_image",), 5), Count(("reference_video",), 5)),
        duration=Length(2, 10),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        prompt_extend=(True,),
        watermark=(False,),
        shot_type=("single", "multi"),
    ),
    (WAN_2_7, Mode.EDIT): Ability(
        model="wan-2.7-videoedit",
        media=(MediaSet(("video",), ("reference_image",)),),
        counts=(Count(("reference_image",), 1, beyond=Why.NO_FIELD),),
        duration=Length(2, 10, whole_input=True),  # nothing said: the upstream's default, the whole input
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        prompt_extend=(True,),
        watermark=(False,),
        audio_setting=("auto", "origin"),
    ),
}
PATHS = {Mode.EDIT: "/v2/videos/edit"}  # all others: /v2/videos/generate
PARAMS = {"wan-2.7": "wan27Params", "wan-2.7-r2v": "wan27R2vParams", "wan-2.7-videoedit": "wan27VideoeditParams"}
# Without the list the events sent are undocumented; "progress" would only cost us requests.
WEBHOOK_EVENTS = ["completed", "failed"]
# A key is honoured for 24 h; an hour is kept back for clocks and for a request that is long under way.
IDEMPOTENCY_LIFE_S = 23 * 3600

# Enum of Job.status in the OpenAPI file.
STATES = {
    "queued": ReportState.QUEUED,
    "processing": ReportState.RUNNING,
    "completed": ReportState.FINISHED,
    "failed": ReportState.FAILED,
    "cancelled": ReportState.FAILED,
}

# Responses of POST /v2/videos/generate in the OpenAPI file. 409 (the key was used with another body) is missing on
# purpose: it says that a job exists.
REFUSALS = {400: INVALID, 401: UNAUTHORIZED, 402: NO_CREDIT, 403: UNAUTHORIZED, 429: RATE_LIMITED}


class Callback(CallbackSchema):
    # Under Apiframe's own name, by which it is read afterwards.
    jobId = TaskId(required=True)  # noqa: N815


def auth_headers(api_key: str) -> dict[str, str]:
    return {"X-API-Key": api_key}


def submit_request(spec: Generation, model: str, callback_url: str | None) -> Request:
    body: dict[str, Any] = {
        "model": model,
        "prompt": spec.prompt,
        PARAMS[model]: _common(spec) | _PARAMETERS[spec.mode](spec),
    }
    if callback_url is not None:
        body |= {"webhookUrl": callback_url, "webhookEvents": WEBHOOK_EVENTS}
    return Request("POST", PATHS.get(spec.mode, "/v2/videos/generate"), body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v2/jobs/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{jobId, status} under 202; a replay of the same idempotency key may answer with any 2xx and status."""
    return acceptance(http_status, part(body, "jobId"))


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{error: "..."}; a 400 adds details by field."""
    if names_a_task(body):
        return None
    if out_of_credit := without_credit(http_status, headers, body):
        return out_of_credit
    rule, said = REFUSALS.get(http_status), part(body, "error")
    if rule is None or not isinstance(said, str):
        return None
    details = part(body, "details")
    return refusal(rule, f"{said}: {_flat(details)}" if isinstance(details, Mapping) and details else said, headers)


def is_error(body: Any) -> bool:
    """{error: "..."}."""
    return isinstance(part(body, "error"), str)


def read_report(body: Any) -> Report:
    """A query's answer. Raises BadReport."""
    return _read(mapping(body, "Apiframe's job"), "id")


def read_callback(body: Any) -> Report:
    """A callback names the task `jobId`, a query `id`; the rest is alike. Raises BadReport."""
    return _read(mapping(body, "Apiframe's callback"), "jobId")


def verify_signature(api_key: str, raw_body: bytes, header: str | None) -> bool:
    """Whether X-Webhook-Signature is Apiframe's: HMAC-SHA256 over the raw body, in hex, `sha256=` before it or not.

    The key is the SHA-256 of the API key. The SDK takes its 32 bytes; the page can also be read as its hex text.
    Either proves that the sender knows the API key. Nothing signed tells the time: a true signature can be a replay.
    """
    if not header:
        return False
    given = header.strip().removeprefix("sha256=").lower().encode(errors="replace")
    key = hashlib.sha256(api_key.encode())
    digests = [hmac.new(k, raw_body, hashlib.sha256) for k in (key.digest(), key.hexdigest().encode())]
    return any(hmac.compare_digest(d.hexdigest().encode(), given) for d in digests)


def _verify_callback(api_key: str, raw_body: bytes, headers: Mapping[str, str]) -> bool:
    return verify_signature(api_key, raw_body, header(headers, "x-webhook-signature"))


def _read(job: Mapping[str, Any], id_field: str) -> Report:
    state, word, known = status(job.get("status"), STATES)
    ended = state in (ReportState.FINISHED, ReportState.FAILED)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(job.get(id_field)),
        **link_fields(state, *_links(job.get("result"))),
        progress=progress(job.get("progress")),
        failure=_failure(job, word) if state is ReportState.FAILED else None,
        **cost_fields(job.get("creditCost")),
        model=text(job.get("model"), 200),
        created_at=iso_time(job.get("createdAt")),
        finished_at=iso_time(job.get("completedAt")) if ended else None,
    )


def _links(result: Any) -> tuple[Any, ...]:
    # The OpenAPI file has an object with videoUrl, older pages a bare string, other models a list.
    return part(result, "videoUrl"), result, part(result, "videos", 0)


def _failure(job: Mapping[str, Any], word: str) -> Failure:
    # The error is prose without a code; nothing in it is promised, so nothing tells us that a new try would help.
    return Failure("generation_failed", text(job.get("error")) or f"{word.lower()}, no reason given", retryable=False)


def _flat(details: Mapping[str, Any]) -> str:
    said = {name: ", ".join(map(str, each[:5])) if isinstance(each, list) else each for name, each in details.items()}
    return "; ".join(f"{name}: {each}" for name, each in list(said.items())[:20])


def _common(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {"resolution": spec.resolution}
    if spec.duration:
        given["duration"] = spec.duration
    if spec.negative_prompt is not None:
        given["negative_prompt"] = spec.negative_prompt
    if spec.seed is not None:
        given["seed"] = spec.seed
    if spec.ratio is not None:
        given["aspect_ratio"] = spec.ratio
    return given


def _text_parameters(spec: Generation) -> dict[str, Any]:
    # What the gateway does when expansion is not mentioned is not said, so it always is.
    return {"enable_prompt_expansion": spec.prompt_extend} | values(audio=spec.url("driving_audio"))


def _image_parameters(spec: Generation) -> dict[str, Any]:
    return _text_parameters(spec) | values(
        image=spec.url("first_frame"), last_frame=spec.url("last_frame"), first_clip=spec.url("first_clip")
    )


def _reference_parameters(spec: Generation) -> dict[str, Any]:
    given = lists(reference_images=spec.urls("reference_image"), reference_videos=spec.urls("reference_video"))
    return given | values(shot_type=spec.shot_type)


def _edit_parameters(spec: Generation) -> dict[str, Any]:
    said = {"aspect_ratio": spec.ratio or "auto", "audio_setting": spec.audio_setting or "auto"}
    return said | values(video=spec.url("video"), reference_image=spec.url("reference_image"))


_PARAMETERS: dict[Mode, Callable[[Generation], dict[str, Any]]] = {
    Mode.TEXT: _text_parameters,
    Mode.IMAGE: _image_parameters,
    Mode.REFERENCE: _reference_parameters,
    Mode.EDIT: _edit_parameters,
}

APIFRAME = Provider(
    name="apiframe",
    base_url="https://api.apiframe.ai",
    link_hosts=("cdn2.apiframe.ai", "cdn.apiframe.ai"),
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    is_error=is_error,
    read_report=read_report,
    read_callback=read_callback,
    callback_schema=Callback,
    callbacks=Callbacks(https_only=True, signed=True, tries="not documented"),  # https: assumed
    abilities=ABILITIES,  # what a credit costs is not published
    polling=Polling(first_s=10, then_s=10),
    idempotency_header="Idempotency-Key",
    idempotency_life_s=IDEMPOTENCY_LIFE_S,
    verify_callback=_verify_callback,
)
