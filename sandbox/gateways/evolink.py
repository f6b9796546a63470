"""EvoLink.

Rules and limits: its page (evolink.txt). Field names, which that copy lost: protocols.md, section 5.
"""

from __future__ import annotations

import ipaddress
import json
import string
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlsplit

from sandbox.fields import RATIOS, SEED_MOST, Invalid, Model, array, choice, flag, integer, table, text, url
from sandbox.gateway import Callback, Gateway, JsonObject, Query, Refused, Sight, bearer, number, per_second
from sandbox.tasks import Failure, Order, Phase, Task

WORDS = {
    Phase.QUEUED: "pending",
    Phase.RUNNING: "processing",
    Phase.FINISHED: "completed",
    Phase.FAILED: "failed",
}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large_error",
    429: "rate_limit_error",
    500: "internal_server_error",
    502: "upstream_error",
    503: "service_unavailable_error",
}
MESSAGES = {
    401: "Invalid API key",
    402: "Insufficient quota, please top up",
    404: "Task not found or expired",
    429: "Too many requests",
}
HINTS = {429: "retry after 60 seconds", 503: "retry after 30 seconds"}
CALLBACK_URL_MOST = 2048

# A prompt that is too long is cut, not refused; the seed starts at 1; rewriting is off unless asked for.
COMMON = {
    "model": text(required=True),
    "quality": choice("720p", "1080p", default="720p"),
    "seed": integer(1, SEED_MOST),
    "prompt_extend": flag(False),
    "negative_prompt": text(most=500, cut=True),
    "callback_url": url(most=CALLBACK_URL_MOST),
}
PROMPT = text(required=True, most=5000, cut=True)
RATIO = choice(*RATIOS, default="16:9")
AUDIO = array(url(), 1, 1)


def _frames(kept: dict[str, Any]) -> list[tuple[str, str]]:
    """protocols.md 5.1: three sets of material, and no other. `generation_mode` may be left out."""
    given = {name for name in ("image_start", "image_end", "video_urls", "audio_urls") if kept[name]}
    sets = {
        "first_frame": ({"image_start"}, {"audio_urls"}),
        "first_last_frame": ({"image_start", "image_end"}, {"audio_urls"}),
        "video_continuation": ({"video_urls"}, {"image_end"}),
    }
    wanted = [kept["generation_mode"]] if kept["generation_mode"] else list(sets)
    fits = any(sets[name][0] <= given <= sets[name][0] | sets[name][1] for name in wanted)
    return [] if fits else [("generation_mode", f"does not fit the material given: {', '.join(sorted(given))}")]


def _references(kept: dict[str, Any]) -> list[tuple[str, str]]:
    count = len(kept["image_urls"] or []) + len(kept["video_urls"] or [])
    return [] if 1 <= count <= 5 else [("image_urls", f"and video_urls must hold 1 to 5 items together, got {count}")]


MODELS = {
    "wan2.7-text-to-video": Model(
        "text-to-video",
        COMMON
        | {
            "prompt": PROMPT,
            "audio_urls": AUDIO,
            "aspect_ratio": RATIO,
            "duration": integer(2, 15, default=5),
        },
    ),
    "wan2.7-image-to-video": Model(
        "image-to-video",
        COMMON
        | {
            "prompt": text(most=5000, cut=True),
            "generation_mode": choice("first_frame", "first_last_frame", "video_continuation"),
            "image_start": url(),
            "image_end": url(),
            "video_urls": array(url(), 1, 1),
            "audio_urls": AUDIO,
            "duration": integer(2, 15, default=5),
        },
        _frames,
    ),
    "wan2.7-reference-video": Model(
        "reference-to-video",
        COMMON
        | {
            "prompt": PROMPT,
            "image_urls": array(url()),
            "video_urls": array(url()),
            "image_start": url(),
            "audio_urls": array(url()),
            "model_params": table({}, extra=True),
            "aspect_ratio": RATIO,
            "duration": integer(2, 15, default=5),
        },
        _references,
    ),
    "wan2.7-video-edit": Model(
        "video-edit",
        COMMON
        | {
            "prompt": text(most=5000, cut=True),
            "video_urls": array(url(), 1, 1, required=True),
            "image_urls": array(url(), 0, 4),
            "keep_original_sound": flag(),
            "aspect_ratio": choice(*RATIOS),
            "duration": integer(0, 10, default=0),
        },
    ),
}
EDITED_INPUT_S = 5  # what an edited video is taken to last; the sandbox does not fetch it


def read(body: Any, allow_loopback: bool) -> Order:
    """The order in a body of POST /v1/videos/generations."""
    name = body.get("model") if isinstance(body, dict) else None
    if name not in MODELS:
        raise Invalid([("model", f"must be one of {', '.join(MODELS)}, got {name!r}")])
    asked = MODELS[name].read(body)
    if asked["callback_url"]:
        check_callback_url(asked["callback_url"], allow_loopback)
    return Order(
        mode=MODELS[name].mode,
        model=name,
        prompt=asked["prompt"] or "",
        resolution=asked["quality"],
        ratio=asked.get("aspect_ratio") or "16:9",
        duration=asked["duration"] or EDITED_INPUT_S,
        seed=asked["seed"],
        callback_url=asked["callback_url"],
    )


def check_callback_url(address: str, allow_loopback: bool) -> None:
    """ "Security Restrictions": https only, and no internal address.

    With `allow_loopback` plain http to this machine will do too.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        literal = None
    loopback = host == "localhost" or host.endswith(".localhost") or (literal is not None and literal.is_loopback)
    if loopback and allow_loopback:
        return
    if parts.scheme != "https":
        raise Invalid([("callback_url", "must use the HTTPS protocol")])
    if loopback or (literal is not None and not literal.is_global):
        raise Invalid([("callback_url", "must not point to an internal address")])


def report(task: Task, sight: Sight) -> JsonObject:
    """The body of GET /v1/tasks/{task_id}; the callback's body is the same one. No time of completion."""
    body = _task(task, sight.word, sight.progress)
    if sight.link:
        body["results"] = [sight.link]
    if sight.phase is Phase.FAILED and task.failure:
        body["error"] = {"code": task.failure.code, "message": task.failure.message}
    return body


def refuse(refused: Refused) -> JsonObject:
    """An error body; the code is the status where no word is documented."""
    error: JsonObject = {
        "code": refused.code if refused.code is not None else refused.status,
        "message": refused.message or MESSAGES.get(refused.status, "Request failed"),
        "type": TYPES.get(refused.status, "internal_server_error"),
        **refused.more,
    }
    if refused.status in HINTS:
        error["fallback_suggestion"] = HINTS[refused.status]
    return {"error": error}


def _task(task: Task, word: str, progress: int) -> JsonObject:
    running = word in (WORDS[Phase.QUEUED], WORDS[Phase.RUNNING])
    return {
        "created": int(task.accepted_at),
        "id": task.id,
        "model": task.order.model,
        "object": "video.generation.task",
        "progress": progress,
        "status": word,
        "type": "video",
        "task_info": {"can_cancel": running, "estimated_time": 120, "video_duration": task.order.duration},
        "usage": {
            "billing_rule": "per_second",
            "credits_reserved": number(task.charged),
            "user_group": "default",
        },
    }


def _invalid(invalid: Invalid) -> Refused:
    path, message = invalid.faults[0]
    return Refused(400, f"{path or 'body'} {message}", "invalid_request", param=path)


def _no_such_task(task_id: str) -> Refused:
    if not task_id.startswith("task-unified-"):
        return Refused(400, "Task ID must start with task-unified-", "invalid_task_id", param="task_id")
    return Refused(404)


def _new_id(random: Random, now: float) -> str:
    return f"task-unified-{int(now)}-{''.join(random.choices(string.ascii_lowercase + string.digits, k=8))}"


EVOLINK = Gateway(
    name="evolink",
    api_key="sk-sandbox",
    credits=Decimal(1_000_000),
    read_key=bearer,
    submits={"/v1/videos/generations": read},
    queries={"/v1/tasks/": Query(WORDS, report)},
    # $0.086 and $0.144 a second (protocols.md 5.5), at 1,000 credits to the dollar.
    price=per_second({"720p": "86", "1080p": "144"}),
    new_id=_new_id,
    accept=lambda task, word: _task(task, word, 0),
    refuse=refuse,
    refuse_invalid=_invalid,
    no_such_task=_no_such_task,
    callback=Callback(lambda task, sight, event: ({}, json.dumps(report(task, sight)).encode()), waits_s=(1, 2, 4)),
    fails_for_good=Failure("content_policy_violation", "The request was refused by the content policy."),
    fails_for_now=Failure("service_error", "The service failed, please try again later."),
)
