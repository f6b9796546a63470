"""Apiframe v2.

Source: its page (apiframe.txt); query, webhook, errors, idempotency and the other models: protocols.md, section 2.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from sandbox.fields import (
    RATIOS,
    Field,
    Invalid,
    Model,
    array,
    check,
    choice,
    flag,
    integer,
    media,
    named,
    table,
    text,
    url,
    utf16_units,
)
from sandbox.gateway import Callback, Gateway, Glance, JsonObject, Query, Refused, Sight, number
from sandbox.tasks import Failure, Order, Phase, Task

WORDS = {
    Phase.QUEUED: "QUEUED",
    Phase.RUNNING: "PROCESSING",
    Phase.FINISHED: "COMPLETED",
    Phase.FAILED: "FAILED",
}
MESSAGES = {
    400: "Validation failed",
    401: "Invalid or missing API key",
    402: "Insufficient credits",
    403: "API key is inactive",
    404: "Job not found",
    409: "Idempotency-Key was already used with a different request body",
    429: "Rate limit exceeded",
    500: "Internal server error",
    502: "Provider is unreachable",
    503: "Service temporarily unavailable",
}

RESOLUTION = choice("720p", "1080p", default="1080p")
# The service is a Node one that checks with zod (the spec names it), so text is measured in JavaScript's units.
PROMPT = text(required=True, most=5000, length=utf16_units)
NEGATIVE = text(most=2500, length=utf16_units)


def _frames(kept: dict[str, Any]) -> list[tuple[str, str]]:
    """The mode follows from the media: none, `image` or `first_clip`, each with or without `last_frame`."""
    faults = []
    led = kept["image"] or kept["first_clip"]
    if kept["image"] and kept["first_clip"]:
        faults.append(("first_clip", "is mutually exclusive with image"))
    if kept["last_frame"] and not led:
        faults.append(("last_frame", "requires image or first_clip"))
    if kept["aspect_ratio"] and led:
        faults.append(("aspect_ratio", "is for text-to-video only"))
    return faults


def _references(kept: dict[str, Any]) -> list[tuple[str, str]]:
    if kept["reference_images"] or kept["reference_videos"]:
        return []
    return [("reference_images", "or reference_videos must hold at least one item")]


WAN27 = Model(
    "text-to-video",
    {
        "image": url(),
        "last_frame": url(),
        "first_clip": url(),
        "audio": url(),
        "resolution": RESOLUTION,
        "aspect_ratio": choice(*RATIOS),
        "duration": integer(2, 15, default=5),
        "negative_prompt": NEGATIVE,
        "enable_prompt_expansion": flag(),
        "seed": integer(),
    },
    lambda kept: media(
        ("first_frame", kept["image"]),
        ("last_frame", kept["last_frame"]),
        ("first_clip", kept["first_clip"]),
        ("driving_audio", kept["audio"]),
    ),
    _frames,
)
R2V = Model(
    "reference-to-video",
    {
        "reference_images": array(url(), 0, 5),
        "reference_videos": array(url(), 0, 5),
        "aspect_ratio": choice(*RATIOS, default="16:9"),
        "duration": integer(2, 10, default=5),
        "resolution": RESOLUTION,
        "negative_prompt": NEGATIVE,
        "seed": integer(),
        "shot_type": choice("single", "multi"),
    },
    lambda kept: media(("reference_image", kept["reference_images"]), ("reference_video", kept["reference_videos"])),
    _references,
)
EDIT = Model(
    "video-edit",
    {
        "video": url(required=True),
        "reference_image": url(),
        "aspect_ratio": choice("auto", *RATIOS),
        "audio_setting": choice("auto", "origin", default="auto"),
        "duration": integer(2, 10, default=5),
        "resolution": RESOLUTION,
        "negative_prompt": NEGATIVE,
        "seed": integer(),
    },
    lambda kept: media(("video", kept["video"]), ("reference_image", kept["reference_image"])),
)
# By endpoint: each model's name, its parameters' member, and its table.
GENERATE = {"wan-2.7": ("wan27Params", WAN27), "wan-2.7-r2v": ("wan27R2vParams", R2V)}
EDITS = {"wan-2.7-videoedit": ("wan27VideoeditParams", EDIT)}
EVENTS = ("progress", "completed", "failed")


def _reader(models: Mapping[str, tuple[str, Model]], body: Any) -> Order:
    name = named(body, models)
    params, model = models[name]
    fields: dict[str, Field] = {
        "model": text(required=True),
        "prompt": PROMPT,
        params: table({}, extra=True, required=model is not WAN27),
        "webhookUrl": url(),
        "webhookEvents": array(choice(*EVENTS), 1, len(EVENTS)),
    }
    envelope = check(body, fields)
    asked = model.read(envelope[params] or {}, params)
    led = asked.get("image") or asked.get("first_clip")
    ratio = asked["aspect_ratio"]
    return Order(
        mode="image-to-video" if led else model.mode,
        model=name,
        prompt=envelope["prompt"],
        negative_prompt=asked["negative_prompt"],
        media=model.media(asked),
        resolution=asked["resolution"],
        ratio=ratio if ratio in RATIOS else "16:9",
        duration=asked["duration"],
        seed=asked["seed"],
        callback_url=envelope["webhookUrl"],
        callback_events=tuple(envelope["webhookEvents"] or ("completed", "failed")),
    )


def price(order: Order) -> Decimal:
    """17 credits a second, 26 for image or clip at 1080p ("Credit cost"); reference and edit have no printed price:
    as image.
    """
    dear = order.mode != "text-to-video" and order.resolution == "1080p"
    return Decimal(26 if dear else 17) * order.duration


def report(task: Task, sight: Sight) -> JsonObject:
    """The body of GET /v2/jobs/{id}."""
    failed, finished = sight.phase is Phase.FAILED, sight.phase is Phase.FINISHED
    body: JsonObject = {
        "id": task.id,
        "status": sight.word,
        "model": task.order.model,
        "progress": sight.progress,
        "result": {"videoUrl": sight.link} if finished else None,
        "error": task.failure.message if failed and task.failure else None,
        "creditCost": 0 if failed else number(task.charged),
        "webhookStatus": sight.callback,
        "createdAt": _iso(task.accepted_at),
        "completedAt": _iso(task.ended_at) if task.ended_at is not None else None,
    }
    return body | {"expired": True} if sight.gone else body


def _write(task: Task, sight: Sight, event: str) -> tuple[dict[str, str], bytes]:
    """A webhook, signed with HMAC-SHA256 under the raw SHA-256 digest of the API key, as the official SDK checks it
    (2.3).
    """
    body: JsonObject = {"event": event, "jobId": task.id, "status": sight.word, "model": task.order.model}
    if event == "progress":
        body["progress"] = sight.progress
    elif event == "failed":
        body["error"] = task.failure.message if task.failure else "unknown"
    else:
        body |= {"progress": 100, "result": {"videoUrl": sight.link}, "creditCost": number(task.charged)}
        body["completedAt"] = _iso(sight.now if task.ended_at is None else task.ended_at)
    raw = json.dumps(body).encode()
    return {"X-Webhook-Event": event, "X-Webhook-Signature": f"sha256={signature(task.api_key, raw)}"}, raw


def signature(api_key: str, raw: bytes) -> str:
    """The hex signature of a webhook's raw body."""
    return hmac.new(hashlib.sha256(api_key.encode()).digest(), raw, hashlib.sha256).hexdigest()


def refuse(refused: Refused) -> JsonObject:
    """An error body: a string under `error`, and what the status adds."""
    return {"error": refused.message or MESSAGES.get(refused.status, "Request failed"), **refused.more}


def _invalid(invalid: Invalid) -> Refused:
    details: dict[str, list[str]] = {}
    for path, message in invalid.faults:
        details.setdefault(path or "body", []).append(message)
    return Refused(400, details=details)


def _no_credit(price: Decimal, balance: Decimal) -> Refused:
    return Refused(402, creditsRequired=number(price), creditsAvailable=number(balance))


def _no_such_job(job_id: str) -> Refused:
    try:
        uuid.UUID(job_id)
    except ValueError:
        return Refused(400, "Invalid job id", details={"id": ["must be a UUID"]})
    return Refused(404)


def _list(glance: Glance) -> JsonObject:
    """GET /v2/jobs: newest first, by status and model; the cursor is the last id of the page before."""
    most = glance.args.get("limit", "20")
    if not most.isdecimal() or not 1 <= int(most) <= 100:
        raise Refused(400, details={"limit": ["must be between 1 and 100"]})
    jobs = [report(task, glance.look(task)) for task in reversed(glance.tasks)]
    for wanted in ("status", "model"):
        if wanted in glance.args:
            jobs = [job for job in jobs if job[wanted] == glance.args[wanted]]
    ids = [job["id"] for job in jobs]
    after = glance.args.get("cursor")
    start = ids.index(after) + 1 if after in ids else 0
    page = jobs[start : start + int(most)]
    more = start + int(most) < len(jobs)
    return {"jobs": page, "nextCursor": page[-1]["id"] if more else None, "hasMore": more}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_id(random: Random, now: float) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


APIFRAME = Gateway(
    name="apiframe",
    api_key="afk_sandbox",
    credits=Decimal(1_000_000),
    read_key=lambda headers: headers.get("X-API-Key"),
    submits={
        "/v2/videos/generate": lambda body, allow_loopback: _reader(GENERATE, body),
        "/v2/videos/edit": lambda body, allow_loopback: _reader(EDITS, body),
    },
    queries={"/v2/jobs/": Query(WORDS, report)},
    pages={"/v2/jobs": _list},
    price=price,
    new_id=_new_id,
    accept=lambda task, word: {"jobId": task.id, "status": word},
    accept_status=202,
    refuse=refuse,
    refusals=tuple((status, None) for status in MESSAGES),  # a refusal is a sentence; no code goes with it
    refuse_invalid=_invalid,
    no_such_task=_no_such_job,
    no_credit=_no_credit,
    callback=Callback(_write),  # no retry is documented
    idempotent=True,
    headers=lambda: {"x-request-id": str(uuid.uuid4())},
    fails_for_good=Failure("content", "Provider returned an error: input data may contain inappropriate content"),
    fails_for_now=Failure("provider", "Provider returned an error: service temporarily unavailable"),
)
