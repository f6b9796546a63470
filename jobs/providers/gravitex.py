"""GravitexAI. No I/O here; client.py does the asking.

Source: https://docs.gravitex.ai (Wan 2.7 page; endpoint pages submit-video-task and query-video-task): protocol
notes, section 4. It has no callbacks, no published price, and it forgets a task after about 24 hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from jobs.providers.answers import acceptance, link_fields, mapping, part, status, task_id, text
from jobs.providers.base import Acceptance, Failure, Provider, Refusal, Report, ReportState, Request
from jobs.providers.bodies import values
from jobs.providers.capabilities import Ability, Count, Length, MediaSet, Polling, Text, Voices
from jobs.providers.credit import without_credit
from jobs.providers.refusals import DOOR_TYPES, INVALID, RATE_LIMITED, UNAUTHORIZED, names_a_task, refusal
from jobs.request.generation import WAN_2_7, Generation, Kind, Mode

RESOLUTIONS = {"720p": "720P", "1080p": "1080P"}
PROMPT = Text(5000, required=True)  # not stated; the upstream's limit
NEGATIVE_PROMPT = Text(500)
# "Media limits".
IMAGE_FILE = "JPEG, PNG, BMP, WEBP; up to 20 MB, 240 to 8000 px a side, 1:8 to 8:1"
AUDIO_FILE = "WAV, MP3; 2 to 30 s, up to 15 MB"
VOICE_FILE = "WAV, MP3; 1 to 10 s, up to 15 MB"
CLIP_FILE = "MP4, MOV; 2 to 10 s, up to 100 MB"
VIDEO_FILE = "MP4, MOV; 1 to 30 s, up to 100 MB"
REFERENCES = ("reference_image", "reference_video")

# "Supported models" and "Usage scenarios". Video editing is named in the introduction and nowhere else. No prices.
ABILITIES: dict[Kind, Ability] = {
    (WAN_2_7, Mode.TEXT): Ability(
        model="wan2.7-t2v-2026-04-25",
        media=(MediaSet(may=("driving_audio",)),),
        duration=Length(2, 15),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        files={"driving_audio": AUDIO_FILE},
    ),
    (WAN_2_7, Mode.IMAGE): Ability(
        model="wan2.7-i2v-2026-04-25",
        media=(
            MediaSet(("first_frame",), ("driving_audio",)),
            MediaSet(("first_frame", "last_frame")),
            MediaSet(("first_clip",)),
            # The upstream takes it; the page gives last_frame to first_frame only.
            MediaSet(("first_clip", "last_frame"), undocumented="clip_with_last_frame"),
        ),
        duration=Length(2, 15),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        ratios=(),
        files={
            "first_frame": IMAGE_FILE,
            "last_frame": IMAGE_FILE,
            "first_clip": CLIP_FILE,
            "driving_audio": AUDIO_FILE,
        },
    ),
    (WAN_2_7, Mode.REFERENCE): Ability(
        model="wan2.7-r2v",
        media=(MediaSet(may=("reference_image", "reference_video", "first_frame")),),
        counts=(Count(("reference_image", "reference_video"), 5),),
        duration=Length(2, 15, most_with={"reference_video": 10}),
        prompt=PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        unasked_ratio="16:9",
        voices=Voices.EACH,
        files={
            "reference_image": IMAGE_FILE,
            "reference_video": VIDEO_FILE,
            "reference_voice": VOICE_FILE,
            "first_frame": IMAGE_FILE,
        },
    ),
}

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


def submit_request(spec: Generation, model: str, callback_url: str | None) -> Request:
    """Prompt and duration stand twice, as the page asks. `callback_url` is left out: there are no callbacks."""
    given = values(prompt=spec.prompt, negative_prompt=spec.negative_prompt)
    if spec.mode is Mode.TEXT:
        given |= values(audio_url=spec.url("driving_audio"))
    else:
        given["media"] = _media(spec)
    body = {
        "model": model,
        "prompt": spec.prompt,
        "duration": spec.duration,
        "metadata": {"input": given, "parameters": _parameters(spec)},
    }
    return Request("POST", "/v1/video/generations", body)


def query_request(task: str) -> Request:
    return Request("GET", f"/v1/video/generations/{quote(task, safe='')}")


def read_acceptance(http_status: int, body: Any) -> Acceptance:
    """{task_id, status, format} under a 2xx. Raises BadReport for all else."""
    return acceptance(http_status, part(body, "task_id"))


def read_refusal(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """The body's shape is not documented: any object will do that names no task. new-api's door refuses with 403."""
    if names_a_task(body):
        return None
    if out_of_credit := without_credit(http_status, headers, body):
        return out_of_credit
    is_door = http_status == 403 and part(body, "error", "type") in DOOR_TYPES
    rule = UNAUTHORIZED if is_door else REFUSALS.get(http_status)
    if rule is None or not isinstance(body, Mapping):
        return None
    said = part(body, "error", "message") or body.get("message") or body.get("error")
    return refusal(rule, said, headers)


def is_error(body: Any) -> bool:
    """The page shows none: what new-api says, whose paths these are, {code, message} or {error: {message, …}}."""
    said, code = part(body, "message"), part(body, "code")
    return (isinstance(said, str) and code is not None) or isinstance(part(body, "error", "message"), str)


def read_report(body: Any) -> Report:
    """A query's answer. Raises BadReport."""
    task = mapping(body, "Gravitex's task")
    state, word, known = status(task.get("status"), STATES)
    return Report(
        state=state,
        word=word,
        word_known=known,
        task_id=task_id(task.get("task_id")),
        **link_fields(state, task.get("url"), task.get("data")),
        failure=_failure(task) if state is ReportState.FAILED else None,
    )


def _failure(task: Mapping[str, Any]) -> Failure:
    said, message = part(task, "error", "code"), text(part(task, "error", "message")) or "no reason given"
    if any(words in message.lower() for words in REFUSED_CONTENT):
        return Failure("content_refused", message, retryable=False, said=_word(said))
    number = said if isinstance(said, int) and not isinstance(said, bool) else None
    code, retryable = FAILURES.get(number or 0, ("generation_failed", False))
    return Failure(code, message, retryable, _word(said))


def _word(said: Any) -> str | None:
    return text(str(said), 100) if isinstance(said, int | str) and not isinstance(said, bool) else None


def _parameters(spec: Generation) -> dict[str, Any]:
    given = {
        "resolution": RESOLUTIONS[spec.resolution],
        "duration": spec.duration,
        "prompt_extend": spec.prompt_extend,
    } | values(ratio=spec.ratio, seed=spec.seed)
    return given | {"watermark": True} if spec.watermark else given  # "default false"


def _media(spec: Generation) -> list[dict[str, str]]:
    """The media in the order given, each reference with its voice inside; a first frame beside them comes last.

    A prompt counts images from 1 (图1): whether the gateway counts the first frame with them is not said.
    """
    spoken = iter(spec.references)
    if spec.references:
        spec = replace(spec, media=tuple(sorted(spec.media, key=lambda item: item.type == "first_frame")))
    items = [item if item.type not in REFERENCES else next(spoken) for item in spec.media]
    return [
        values(type=item.type, url=item.url, reference_voice=item.reference_voice)
        for item in items
        if item.type != "reference_voice"
    ]


GRAVITEX = Provider(
    name="gravitex",
    base_url="https://api.gravitex.ai",
    link_hosts=("gravitex-ads.oss-cn-guangzhou.aliyuncs.com",),
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
    polling=Polling(first_s=10, then_s=10),  # "Call flow": every 3 to 15 s
    refunds_failures=False,  # its pages do not say
)
