"""EasyRouter's requests: the tables of its models, and the order in a body. Source: its page (easyrouter.txt)."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sandbox.fields import (
    RATIOS,
    SEED_MOST,
    Field,
    Model,
    array,
    choice,
    flag,
    forbidden,
    integer,
    media,
    table,
    text,
    url,
)
from sandbox.gateway import Refused
from sandbox.tasks import Failure, Media, Order

EDITED_INPUT_S = 5  # what an edited video is taken to last; the sandbox does not fetch it
NO_RATIO = forbidden("is for t2v and r2v only")
# Section 8.4: what the gateway finds missing only when the task has been accepted, and charged.
MISSING = {
    "text-to-video": None,
    "image-to-video": ("first_frame", "first-frame image is required for image-to-video"),
    "reference-to-video": ("reference_image", "at least 1 reference_image is required"),
    "video-edit": ("video", "videoedit missing source video: images[0] must be an MP4/MOV video link"),
}


def _metadata(ratio: Field, *kinds: str) -> Field:
    """Section 3: the members the page names, checked; what it does not name is "forwarded transparently", so it is
    let through. Without `kinds` there are no media.
    """
    item = {"type": choice(*kinds, required=True), "url": url(required=True)}
    items = array(table(item)) if kinds else forbidden("is for i2v, r2v and videoedit only")
    named: dict[str, Field] = {
        "ratio": ratio,
        "seed": integer(0, SEED_MOST),
        "negative_prompt": text(most=500),
        "prompt_extend": flag(),
        "watermark": flag(),
        "input": table({"media": items}, extra=True),
    }
    return table(named, extra=True)


def _items(kept: dict[str, Any]) -> Media:
    """`metadata.input.media`, whose types are our words."""
    given = ((kept["metadata"] or {}).get("input") or {}).get("media") or []
    return tuple((item["type"], item["url"]) for item in given)


def _frame(kept: dict[str, Any]) -> Media:
    return media(("first_frame", kept["input_reference"])) + _items(kept)


def _sources(kept: dict[str, Any]) -> Media:
    """The explicit media before `images`, whose kinds are read off the addresses' endings (section 2.1)."""
    return _items(kept) or tuple((_kind_of(address), address) for address in kept["images"] or [])


def _kind_of(address: str) -> str:
    ending = PurePosixPath(urlsplit(address).path).suffix.lower()
    return "video" if ending in (".mp4", ".mov") else "reference_image"


def _one_frame(kept: dict[str, Any]) -> list[tuple[str, str]]:
    """Section 3.2: exactly one. None at all is found out later."""
    fine = len(_frame(kept)) <= 1
    return [] if fine else [("metadata.input.media", "must hold exactly 1 first_frame, input_reference counted")]


def _references(kept: dict[str, Any]) -> list[tuple[str, str]]:
    """Section 3.2: up to 9 images. "r2v with reference video: 2~10"; no type is given for one, so it is upstream's."""
    kinds = [kind for kind, _ in _items(kept)]
    faults = []
    if kinds.count("reference_image") > 9:
        faults.append(("metadata.input.media", "must hold 1 to 9 reference images for r2v"))
    if "reference_video" in kinds and kept["duration"] > 10:
        faults.append(("duration", f"must be between 2 and 10 with a reference video, got {kept['duration']}"))
    return faults


def _edit_sources(kept: dict[str, Any]) -> list[tuple[str, str]]:
    kinds = [kind for kind, _ in _items(kept)]
    if not kinds:
        return [] if kept["images"] else [("images", "is required for videoedit")]
    fine = kinds.count("video") <= 1 and kinds.count("reference_image") <= 3
    return [] if fine else [("metadata.input.media", "must hold 1 video and up to 3 reference images for videoedit")]


COMMON: dict[str, Field] = {
    "model": text(required=True),
    "prompt": text(required=True, most=5000),
    "resolution": choice("720P", "1080P"),
    "size": choice("720P", "1080P"),
}
LENGTH = integer(2, 15, default=5)
RATIO = choice(*RATIOS, default="16:9")

MODELS = {
    "wan2.7-t2v": Model("text-to-video", COMMON | {"duration": LENGTH, "metadata": _metadata(RATIO)}, lambda kept: ()),
    "wan2.7-i2v": Model(
        "image-to-video",
        COMMON | {"duration": LENGTH, "input_reference": url(), "metadata": _metadata(NO_RATIO, "first_frame")},
        _frame,
        _one_frame,
    ),
    "wan2.7-r2v": Model(
        "reference-to-video",
        COMMON | {"duration": LENGTH, "metadata": _metadata(RATIO, "reference_image", "reference_video")},
        _items,
        _references,
    ),
    "wan2.7-videoedit": Model(
        "video-edit",
        COMMON
        | {
            "duration": integer(),  # "Ignored by videoedit"
            "images": array(url(), 0, 4),
            "metadata": _metadata(NO_RATIO, "video", "reference_image"),
        },
        _sources,
        _edit_sources,
    ),
}


def read(body: Any, allow_loopback: bool) -> Order:
    """The order in a body of either submit endpoint. Of `resolution` and its old alias `size`, the first wins."""
    if not isinstance(body, dict):
        raise Refused(400, "request body must be a JSON object")
    name = body.get("model")
    if not name:
        raise Refused(400, "model is required")
    if not isinstance(name, str) or name not in MODELS:
        raise Refused(400, f"unknown model: {name}")
    model = MODELS[name]
    asked = model.read(body)
    metadata, used = asked["metadata"] or {}, model.media(asked)
    return Order(
        mode=model.mode,
        model=name,
        prompt=asked["prompt"],
        negative_prompt=metadata.get("negative_prompt"),
        media=used,
        resolution=(asked["resolution"] or asked["size"] or "720P").lower(),
        ratio=metadata.get("ratio") or "16:9",
        duration=EDITED_INPUT_S if model.mode == "video-edit" else asked["duration"],
        seed=metadata.get("seed"),
        failure=_missing(model.mode, used, asked),
    )


def _missing(mode: str, used: Media, asked: dict[str, Any]) -> Failure | None:
    needed, kinds = MISSING[mode], [kind for kind, _ in used]
    if needed is None:
        return None
    # Of `images`, the first must be the video, and no other may be one.
    misplaced = asked.get("images") and not _items(asked) and (kinds[0] != "video" or kinds.count("video") > 1)
    return Failure("InvalidParameter", needed[1]) if needed[0] not in kinds or misplaced else None
