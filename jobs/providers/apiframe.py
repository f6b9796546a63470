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

from marshmallow import fields, validate

from jobs.errors import BadReport
from jobs.generation import DEFAULT_RATIO, Generation, Mode
from jobs.providers import misfits
from jobs.providers.answers import (
    LONGEST_TASK_ID,
    CallbackSchema,
    iso_time,
    link,
    mapping,
    number,
    part,
    progress,
    status,
    task_id,
    text,
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
from jobs.providers.refusals import INVALID, NO_CREDIT, RATE_LIMITED, UNAUTHORIZED, header, refusal

MODELS = {Mode.TEXT: "wan-2.7"}
DURATIONS = {Mode.TEXT: (2, 15)}
PATHS = {Mode.TEXT: "/v2/videos/generate"}
PARAMS = {Mode.TEXT: "wan27Params"}
LONGEST_NEGATIVE_PROMPT = 2500
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

# "Credit cost" on the Wan 2.7 page; what a credit costs is not published.
PRICES = Price({(Mode.TEXT, "720p"): 17, (Mode.TEXT, "1080p"): 17})


class Callback(CallbackSchema):
    job_id = fields.String(data_key="jobId", required=True, validate=validate.Length(1, LONGEST_TASK_ID))


def auth_headers(api_key: str) -> dict[str, str]:
    return {"X-API-Key": api_key}


def submit_request(spec: Generation, callback_url: str | None) -> Request:
    body: dict[str, Any] = {
        "model": MODELS[spec.mode],
        "prompt": spec.prompt,
        PARAMS[spec.mode]: _common(spec) | _PARAMETERS[spec.mode](spec),
    }
    if callback_url is not None:
        body |= {"webhookUrl": callback_url, "webhookEvents": WEBHOOK_EVENTS}
    return Request("POST", PATHS[spec.mode], body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v2/jobs/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{jobId, status} under 202; a replay of the same idempotency key may answer with any 2xx and status."""
    accepted = task_id(part(body, "jobId"))
    if not 200 <= http_status < 300 or accepted is None:
        raise BadReport(f"apiframe: no acceptance (HTTP {http_status})")
    return Acceptance(accepted)


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """{error: "..."}; a 400 adds details by field."""
    rule, said = REFUSALS.get(http_status), part(body, "error")
    if rule is None or not isinstance(said, str):
        return None
    details = part(body, "details")
    return refusal(rule, f"{said}: {_flat(details)}" if isinstance(details, Mapping) and details else said, headers)


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
        link=_link(job.get("result")) if state is ReportState.FINISHED else None,
        progress=progress(job.get("progress")),
        failure=_failure(job, word) if state is ReportState.FAILED else None,
        cost=number(job.get("creditCost")),
        model=text(job.get("model"), 200),
        created_at=iso_time(job.get("createdAt")),
        finished_at=iso_time(job.get("completedAt")) if ended else None,
    )


def _link(result: Any) -> str | None:
    # The OpenAPI file has an object with videoUrl, older pages a bare string, other models a list.
    return link(result, part(result, "videoUrl"), part(result, "videos", 0), part(result, "videos", 0, "url"))


def _failure(job: Mapping[str, Any], word: str) -> Failure:
    # The error is prose without a code; nothing in it is promised, so nothing tells us that a new try would help.
    return Failure("generation_failed", text(job.get("error")) or f"{word.lower()}, no reason given", retryable=False)


def _flat(details: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {said}" for name, said in list(details.items())[:20])


def _common(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {"duration": spec.duration, "resolution": spec.resolution}
    if spec.negative_prompt is not None:
        given["negative_prompt"] = spec.negative_prompt
    if spec.seed is not None:
        given["seed"] = spec.seed
    return given


def _text_parameters(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {
        "aspect_ratio": spec.ratio or DEFAULT_RATIO,
        "enable_prompt_expansion": spec.prompt_extend,
    }
    if audio := misfits.media_urls(spec, "driving_audio"):
        given["audio"] = audio[0]
    return given


def _misfits(spec: Generation) -> list[Misfit]:
    return [
        *misfits.long_negative_prompt(spec, LONGEST_NEGATIVE_PROMPT),
        *misfits.watermark(spec),
        *misfits.audio_setting(spec),
        *misfits.driving_audio(spec),
    ]


_PARAMETERS: dict[Mode, Callable[[Generation], dict[str, Any]]] = {Mode.TEXT: _text_parameters}

APIFRAME = Provider(
    name="apiframe",
    base_url="https://api.apiframe.ai",
    auth_headers=auth_headers,
    submit_request=submit_request,
    query_request=query_request,
    read_acceptance=read_acceptance,
    read_refusal=read_refusal,
    read_report=read_report,
    read_callback=read_callback,
    callback_schema=Callback,
    callbacks=Callbacks(https_only=True),  # undocumented; assumed
    models=MODELS,
    durations=DURATIONS,
    prices=PRICES,
    polling=Polling(first_s=10, then_s=10),
    idempotency_header="Idempotency-Key",
    idempotency_life_s=IDEMPOTENCY_LIFE_S,
    misfits=_misfits,
    verify_callback=_verify_callback,
)
