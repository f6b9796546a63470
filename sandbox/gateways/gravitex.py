"""GravitexAI. Source: its page (gravitex.txt); the query's running and failed bodies from protocols.md, section 4.2.

Its page gives neither a price, nor a refund rule, nor an error body, nor the answer for an unknown task: each is a
stand-in, marked so.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from sandbox.fields import (
    RATIOS,
    SEED_MOST,
    Invalid,
    Model,
    array,
    choice,
    flag,
    integer,
    media,
    named,
    table,
    text,
    url,
)
from sandbox.gateway import Gateway, JsonObject, Query, Refused, Sight, bearer, per_second
from sandbox.tasks import Failure, Media, Order, Phase, Task

WORDS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "in_progress",
    Phase.FINISHED: "succeeded",
    Phase.FAILED: "failed",
}
MESSAGES = {
    400: "Invalid parameters",
    401: "Unauthorized",
    402: "Insufficient balance",
    429: "Rate limited",
    502: "Upstream error",
}


def _fields(input_fields: dict[str, Any], ratio: bool, most_s: int = 15) -> dict[str, Any]:
    """ "Request structure": the prompt and the length stand twice, once at the top and once in `metadata`."""
    parameters = {
        "resolution": choice("720P", "1080P", default="1080P"),
        "duration": integer(2, most_s),
        "prompt_extend": flag(True),
        "watermark": flag(False),
        "seed": integer(0, SEED_MOST),
    }
    if ratio:
        parameters["ratio"] = choice(*RATIOS, default="16:9")
    asked = {"prompt": text(required=True, most=5000), "negative_prompt": text(most=500)}
    metadata = {"input": table(asked | input_fields, required=True), "parameters": table(parameters)}
    return {
        "model": text(required=True),
        "prompt": text(required=True, most=5000),
        "duration": integer(2, most_s),
        "metadata": table(metadata, required=True),
    }


def _said_twice(kept: dict[str, Any]) -> list[tuple[str, str]]:
    faults = []
    if kept["prompt"] != kept["metadata"]["input"]["prompt"]:
        faults.append(("prompt", "must be the same as metadata.input.prompt"))
    top, inner = kept["duration"], (kept["metadata"]["parameters"] or {}).get("duration")
    if top is not None and inner is not None and top != inner:
        faults.append(("duration", "must be in sync with metadata.parameters.duration"))
    return faults


# "Image-to-Video": the sets of media the page describes.
FRAME_SETS = (
    {"first_frame"},
    {"first_frame", "driving_audio"},
    {"first_frame", "last_frame"},
    {"first_clip"},
)


def _frames(kept: dict[str, Any]) -> list[tuple[str, str]]:
    kinds = [item["type"] for item in kept["metadata"]["input"]["media"]]
    fine = set(kinds) in FRAME_SETS and len(kinds) == len(set(kinds))
    return _said_twice(kept) + ([] if fine else [("metadata.input.media", f"is no known set: {', '.join(kinds)}")])


def _references(kept: dict[str, Any]) -> list[tuple[str, str]]:
    faults = _said_twice(kept)
    items = kept["metadata"]["input"]["media"]
    kinds = [item["type"] for item in items]
    shown = [kind for kind in kinds if kind != "first_frame"]
    if not 1 <= len(shown) <= 5 or len(kinds) - len(shown) > 1:
        faults.append(("metadata.input.media", "must hold 1 to 5 references and at most one first_frame"))
    if any(item["reference_voice"] and item["type"] == "first_frame" for item in items):
        faults.append(("metadata.input.media", "reference_voice goes with reference_image or reference_video"))
    if "reference_video" in kinds and _duration(kept) > 10:
        faults.append(("duration", f"must be between 2 and 10 with a reference video, got {_duration(kept)}"))
    return faults


def _items(*kinds: str, voice: bool = False) -> dict[str, Any]:
    item = {"type": choice(*kinds, required=True), "url": url(required=True)}
    return {"media": array(table(item | ({"reference_voice": url()} if voice else {})), 1, required=True)}


def _media(kept: dict[str, Any]) -> Media:
    """The items under their own types, which are our words; a voice stands behind the reference that speaks with it."""
    found: list[tuple[str, str]] = []
    for item in kept["metadata"]["input"]["media"]:
        found.append((item["type"], item["url"]))
        found += media(("reference_voice", item.get("reference_voice")))
    return tuple(found)


# Video editing is named in the introduction, but stands neither in the table of models nor in an example.
MODELS = {
    "wan2.7-t2v-2026-04-25": Model(
        "text-to-video",
        _fields({"audio_url": url()}, ratio=True),
        lambda kept: media(("driving_audio", kept["metadata"]["input"]["audio_url"])),
        _said_twice,
    ),
    "wan2.7-i2v-2026-04-25": Model(
        "image-to-video",
        _fields(_items("first_frame", "last_frame", "driving_audio", "first_clip"), ratio=False),
        _media,
        _frames,
    ),
    "wan2.7-r2v": Model(
        "reference-to-video",
        _fields(_items("reference_image", "reference_video", "first_frame", voice=True), ratio=True),
        _media,
        _references,
    ),
}


def _duration(kept: dict[str, Any]) -> int:
    return int((kept["metadata"]["parameters"] or {}).get("duration") or kept["duration"] or 5)


def read(body: Any, allow_loopback: bool) -> Order:
    """The order in a body of POST /v1/video/generations."""
    name = named(body, MODELS)
    asked = MODELS[name].read(body)
    parameters = asked["metadata"]["parameters"] or {}
    used = MODELS[name].media(asked)
    # "Aspect ratio; ignored if first_frame is provided". The sandbox fetches no image; all of them are 16:9.
    led = "first_frame" in dict(used)
    return Order(
        mode=MODELS[name].mode,
        model=name,
        prompt=asked["prompt"],
        negative_prompt=asked["metadata"]["input"]["negative_prompt"],
        media=used,
        resolution=str(parameters.get("resolution") or "1080P").lower(),
        ratio="16:9" if led else str(parameters.get("ratio") or "16:9"),
        duration=_duration(asked),
        seed=parameters.get("seed"),
    )


def report(task: Task, sight: Sight) -> JsonObject:
    """The body of GET /v1/video/generations/{task_id}: no progress, no times, no cost."""
    body: JsonObject = {"task_id": task.id, "status": sight.word, "format": "mp4"}
    if sight.link:
        body["url"] = sight.link
    if sight.phase is Phase.FAILED and task.failure:
        body["error"] = {"code": task.failure.code, "message": task.failure.message}
    return body


def refuse(refused: Refused) -> JsonObject:
    """Stand-in: the shape of a failed task's error, which is the only one shown."""
    code = refused.code if refused.code is not None else refused.status
    return {"error": {"code": code, "message": refused.message or MESSAGES.get(refused.status, "Error")}}


def _invalid(invalid: Invalid) -> Refused:
    path, message = invalid.faults[0]
    return Refused(400, f"{path or 'body'} {message}")


def _new_id(random: Random, now: float) -> str:
    return f"video_{random.getrandbits(128):032x}"


GRAVITEX = Gateway(
    name="gravitex",
    api_key="sk-sandbox",
    credits=Decimal(1000),
    read_key=bearer,
    submits={"/v1/video/generations": read},
    queries={"/v1/video/generations/": Query(WORDS, report)},
    price=per_second({"720p": "0.10", "1080p": "0.15"}),  # stand-in, in dollars
    new_id=_new_id,
    accept=lambda task, word: {"task_id": task.id, "status": "submitted", "format": "mp4"},
    refuse=refuse,
    refusals=(*((status, status) for status in MESSAGES), (400, "task_not_exist")),
    refuse_invalid=_invalid,
    no_such_task=lambda task_id: Refused(400, "task_not_exist", "task_not_exist"),  # stand-in (protocols.md 4.4)
    tasks_expire=True,  # "url and task_id are typically valid for 24 hours"
    fails_for_good=Failure(400, "Prompt contains inappropriate content"),
    fails_for_now=Failure(502, "Upstream error, please retry later"),
)
