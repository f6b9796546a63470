"""aivideoapi.ai.

Sources: its page (aivideoapi.txt), and that of credits (https://aivideoapi.ai/docs/getting-started/credits); the query
and the callback from protocols.md, sections 1.2 and 1.3.
"""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from random import Random
from typing import Any

from sandbox.fields import (
    RATIOS,
    SEED_MOST,
    Invalid,
    Model,
    array,
    check,
    choice,
    clip_length,
    flag,
    integer,
    media,
    table,
    text,
    url,
)
from sandbox.gateway import (
    Callback,
    Gateway,
    Glance,
    JsonObject,
    Query,
    Refused,
    Sight,
    bearer,
    number,
    per_second,
    tasks_own_seed,
)
from sandbox.tasks import Failure, Order, Phase, Task

WORDS = {
    Phase.QUEUED: "pending",
    Phase.RUNNING: "processing",
    Phase.FINISHED: "completed",
    Phase.FAILED: "failed",
}
# "Error Reference": the code and type that go with each status, the usual one where there are two.
CODES = {
    400: ("invalid_request", "invalid_request_error"),
    401: ("invalid_api_key", "authentication_error"),
    402: ("insufficient_credits", "billing_error"),
    403: ("ip_not_allowed", "permission_error"),
    404: ("task_not_found", "invalid_request_error"),
    429: ("rate_limit_exceeded", "rate_limit_error"),
    500: ("internal_error", "api_error"),
    503: ("upstream_error", "upstream_error"),
}
RARER = {(404, "model_not_found"): "invalid_request_error", (429, "spend_limit_exceeded"): "billing_error"}
TYPES = {**{code: kind for (_, code), kind in RARER.items()}, **dict(CODES.values())}

COMMON = {
    "negative_prompt": text(most=500),
    "prompt_extend": flag(True),
    "watermark": flag(False),
    "seed": integer(0, SEED_MOST),
}
PROMPT = text(required=True, most=5000)
RATIO = choice(*RATIOS, default="16:9")
RESOLUTION = choice("720p", "1080p", default="1080p")


def _references(kept: dict[str, Any]) -> list[tuple[str, str]]:
    count = len(kept["image_urls"] or []) + len(kept["video_urls"] or [])
    return [] if 1 <= count <= 5 else [("image_urls", f"and video_urls must hold 1 to 5 items together, got {count}")]


def _first(addresses: list[str] | None) -> list[str]:
    """Where the page says "the first is used", the rest is dropped without a word."""
    return (addresses or [])[:1]


MODELS = {
    "wan-2.7-text-to-video": Model(
        "text-to-video",
        COMMON
        | {
            "prompt": PROMPT,
            "resolution": RESOLUTION,
            "aspect_ratio": RATIO,
            "duration": integer(2, 15, default=5),
            "audio_urls": array(url()),
        },
        lambda kept: media(("driving_audio", _first(kept["audio_urls"]))),
    ),
    "wan-2.7-image-to-video": Model(
        "image-to-video",
        COMMON
        | {
            "prompt": PROMPT,
            "resolution": RESOLUTION,
            "image_urls": array(url(), 1, 2, required=True),
            "first_clip_url": url(),
            "audio_urls": array(url()),
            "duration": integer(2, 15, default=5),
        },
        lambda kept: media(
            ("first_frame", kept["image_urls"][0]),
            ("last_frame", kept["image_urls"][1:]),
            ("first_clip", kept["first_clip_url"]),
            ("driving_audio", _first(kept["audio_urls"])),
        ),
    ),
    "wan-2.7-reference-to-video": Model(
        "reference-to-video",
        COMMON
        | {
            "prompt": PROMPT,
            "resolution": RESOLUTION,
            "image_urls": array(url()),
            "video_urls": array(url()),
            "first_frame_url": url(),
            "audio_urls": array(url()),
            "aspect_ratio": RATIO,
            "duration": integer(2, 10, default=5),
        },
        lambda kept: media(
            ("first_frame", kept["first_frame_url"]),
            ("reference_image", kept["image_urls"]),
            ("reference_video", kept["video_urls"]),
            ("reference_voice", _first(kept["audio_urls"])),
        ),
        _references,
    ),
    "wan-2.7-video-edit": Model(
        "video-edit",
        COMMON
        | {
            "prompt": text(most=5000),
            "resolution": choice("720p", "1080p", default="720p"),
            "video_urls": array(url(), 1, 1, required=True),
            "image_urls": array(url()),
            "aspect_ratio": RATIO,
            "audio_setting": choice("auto", "origin", default="auto"),
            "duration": clip_length(),
        },
        lambda kept: media(("video", kept["video_urls"]), ("reference_image", _first(kept["image_urls"]))),
    ),
}
ENVELOPE = {"model": text(required=True), "callback_url": url(), "input": table({}, required=True, extra=True)}
EDITED_INPUT_S = 5  # what an edited video is taken to last; the sandbox does not fetch it


def read(body: Any, allow_loopback: bool) -> Order:
    """The order in a body of POST /v1/videos/generations."""
    envelope = check(body, ENVELOPE)
    model = MODELS.get(envelope["model"])
    if model is None:
        raise Refused(404, f"Model '{envelope['model']}' does not exist or is inactive.", "model_not_found")
    asked = model.read(envelope["input"], "input")
    # "First-frame image URL; output follows its aspect ratio", whatever ratio stands beside it. The sandbox fetches no
    # image; all of them are 16:9.
    led = asked.get("first_frame_url")
    return Order(
        mode=model.mode,
        model=envelope["model"],
        prompt=asked["prompt"] or "",
        negative_prompt=asked["negative_prompt"],
        media=model.media(asked),
        resolution=asked["resolution"],
        ratio="16:9" if led else asked.get("aspect_ratio") or "16:9",
        duration=asked["duration"] or EDITED_INPUT_S,
        seed=asked["seed"],
        callback_url=envelope["callback_url"],
    )


def report(task: Task, sight: Sight) -> JsonObject:
    """The flat body of a query; the callback's body is the same one."""
    body: JsonObject = {
        "id": task.id,
        "status": sight.word,
        "model": task.order.model,
        "created_at": int(task.accepted_at),
    }
    if sight.phase is Phase.FAILED and task.failure:
        return body | {"error": {"code": task.failure.code, "message": task.failure.message}}
    if sight.phase is Phase.FINISHED and task.ended_at is not None:
        order = task.order
        facts = {
            "duration": order.duration,
            "resolution": order.resolution,
            "ratio": order.ratio,
            "seed": tasks_own_seed(task),
        }
        return body | {"completed_at": int(task.ended_at), "output": {"urls": [sight.link], "metadata": facts}}
    return body | {"progress": sight.progress if sight.phase is Phase.RUNNING else None}


def refuse(refused: Refused) -> JsonObject:
    """An error body; the type follows the code."""
    code, kind = CODES.get(refused.status, ("internal_error", "api_error"))
    if refused.code is not None:
        code, kind = str(refused.code), TYPES.get(str(refused.code), kind)
    return {"error": {"code": code, "message": refused.message or code.replace("_", " "), "type": kind}}


def _invalid(invalid: Invalid) -> Refused:
    path, message = invalid.faults[0]
    return Refused(400, f"'{path or 'body'}' {message}.")


def _write(task: Task, sight: Sight, event: str) -> tuple[dict[str, str], bytes]:
    headers = {"X-Event": f"task.{event}", "X-Task-Id": task.id, "X-Timestamp": str(int(sight.now))}
    return headers, json.dumps(report(task, sight)).encode()


def _balance(glance: Glance) -> JsonObject:
    told = {"balance": glance.credits, "total_purchased": glance.credits + glance.used, "total_consumed": glance.used}
    return {"code": 200, "msg": "success", "data": {name: number(amount) for name, amount in told.items()}}


def _new_id(random: Random, now: float) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


AIVIDEOAPI = Gateway(
    name="aivideoapi",
    api_key="sk-sandbox",
    credits=Decimal(1_000_000),
    read_key=bearer,
    submits={"/v1/videos/generations": read},
    queries={"/v1/tasks/": Query(WORDS, report)},
    pages={"/v1/credits": _balance},
    price=per_second({"720p": "24", "1080p": "40"}),
    new_id=_new_id,
    accept=lambda task, word: {"code": 200, "msg": "success", "data": {"taskId": task.id}},
    refuse=refuse,
    refusals=(*((status, code) for status, (code, _) in CODES.items()), *RARER),
    refuse_invalid=_invalid,
    no_such_task=lambda task_id: Refused(404, f"Task '{task_id}' does not exist."),
    # Three tries: at once, after 3 minutes, after 10 (protocols.md 1.3); read as counted from the first.
    callback=Callback(_write, waits_s=(180, 420)),
    fails_for_good=Failure("upstream_error", "The input contains sensitive or prohibited content."),
    fails_for_now=Failure("internal_error", "Unexpected server error, please try again."),
)
