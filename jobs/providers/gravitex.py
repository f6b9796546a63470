"""GravitexAI. No I/O here; client.py does the asking.

Source: https://docs.gravitex.ai (Wan 2.7 page; endpoint pages submit-video-task and query-video-task): protocol
notes, section 4. It has no callbacks, no published price, and it forgets a task after about 24 hours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from jobs.errors import BadReport
from jobs.generation import DEFAULT_RATIO, Generation, Mode
from jobs.providers import misfits
from jobs.providers.answers import link, mapping, part, status, task_id, text
from jobs.providers.base import Acceptance, Failure, Misfit, Polling, Provider, Refusal, Report, ReportState, Request
from jobs.providers.refusals import INVALID, RATE_LIMITED, UNAUTHORIZED, refusal

MODELS = {Mode.TEXT: "wan2.7-t2v-2026-04-25"}
DURATIONS = {Mode.TEXT: (2, 15)}
RESOLUTIONS = {"720p": "720P", "1080p": "1080P"}
LONGEST_NEGATIVE_PROMPT = 500

# Submit and query pages; `processing` is in new-api's page for the same answer.
STATES = {
    "submitted": ReportState.QUEUED,
    "queued": ReportState.QUEUED,
    "in_progress": ReportState.RUNNING,
    "processing": ReportState.RUNNING,
    "succeeded": ReportState.FINISHED,
    "failed": ReportState.FAILED,
}

# "Error handling" on the Wan 2.7 page, which lists these three and 502.
REFUSALS = {400: INVALID, 401: UNAUTHORIZED, 429: RATE_LIMITED}

# A failed task's error.code is an HTTP status; the same table says which are worth another try.
FAILURES = {
    400: ("invalid_request", False),
    401: ("unauthorized", False),
    429: ("rate_limited", True),
    500: ("provider_unavailable", True),
    502: ("provider_unavailable", True),
    503: ("provider_unavailable", True),
    504: ("provider_unavailable", True),
}
# The query page's example of a 400 is moderation; only the message tells it from a bad parameter.
REFUSED_CONTENT = ("inappropriate", "datainspectionfailed")


def auth_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def submit_request(spec: Generation, callback_url: str | None) -> Request:
    """Prompt and duration stand twice, as the page asks. `callback_url` is left out: there are no callbacks."""
    parameters, given = _common(spec), {"prompt": spec.prompt}
    if spec.negative_prompt is not None:
        given["negative_prompt"] = spec.negative_prompt
    more_input, more_parameters = _METADATA[spec.mode](spec)
    body = {
        "model": MODELS[spec.mode],
        "prompt": spec.prompt,
        "duration": spec.duration,
        "metadata": {"input": given | more_input, "parameters": parameters | more_parameters},
    }
    return Request("POST", "/v1/video/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/video/generations/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{task_id, status, format} under a 2xx. Raises BadReport for all else."""
    accepted = task_id(part(body, "task_id"))
    if not 200 <= http_status < 300 or accepted is None:
        raise BadReport(f"gravitex: no acceptance (HTTP {http_status})")
    return Acceptance(accepted)


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """The body's shape is not documented: any object will do that names no task."""
    rule = REFUSALS.get(http_status)
    if rule is None or not isinstance(body, Mapping) or body.get("task_id") is not None:
        return None
    said = part(body, "error", "message") or body.get("message") or body.get("error")
    return refusal(rule, said, headers)


def read_report(body: Any) -> Report:
    """A query's answer. Raises BadReport."""
    task = mapping(body, "Gravitex's task")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("task_id")),
        link=link(task.get("url")) if state is ReportState.FINISHED else None,
        failure=_failure(task) if state is ReportState.FAILED else None,
    )


def _failure(task: Mapping[str, Any]) -> Failure:
    said, message = part(task, "error", "code"), text(part(task, "error", "message")) or "no reason given"
    if any(words in message.lower() for words in REFUSED_CONTENT):
        return Failure("content_refused", message, retryable=False)
    number = said if isinstance(said, int) and not isinstance(said, bool) else None
    code, retryable = FAILURES.get(number or 0, ("generation_failed", False))
    return Failure(code, message, retryable)


def _common(spec: Generation) -> dict[str, Any]:
    given: dict[str, Any] = {
        "resolution": RESOLUTIONS[spec.resolution],
        "duration": spec.duration,
        "prompt_extend": spec.prompt_extend,
        "watermark": spec.watermark,
    }
    if spec.seed is not None:
        given["seed"] = spec.seed
    return given


def _text_metadata(spec: Generation) -> tuple[dict[str, Any], dict[str, Any]]:
    audio = misfits.media_urls(spec, "driving_audio")
    return ({"audio_url": audio[0]} if audio else {}), {"ratio": spec.ratio or DEFAULT_RATIO}


def _misfits(spec: Generation) -> list[Misfit]:
    return [
        *misfits.long_negative_prompt(spec, LONGEST_NEGATIVE_PROMPT),
        *misfits.audio_setting(spec),
        *misfits.driving_audio(spec),
    ]


# What each mode adds to metadata.input and to metadata.parameters.
_METADATA: dict[Mode, Callable[[Generation], tuple[dict[str, Any], dict[str, Any]]]] = {Mode.TEXT: _text_metadata}

GRAVITEX = Provider(
    name="gravitex",
    base_url="https://api.gravitex.ai",
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
    polling=Polling(first_s=10, then_s=10),  # "Call flow": every 3 to 15 s
    refunds_failures=False,  # its pages do not say
    misfits=_misfits,
)
