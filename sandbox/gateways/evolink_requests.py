"""EvoLink's requests: the tables of its models, and the order in a body.

Rules and limits: its page (evolink.txt). Field names, which that copy lost: protocols.md, section 5.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sandbox.fields import (
    RATIOS,
    SEED_MOST,
    Invalid,
    Model,
    array,
    choice,
    clip_length,
    flag,
    integer,
    media,
    named,
    opaque,
    table,
    text,
    url,
)
from sandbox.tasks import Order

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
    """1 to 5 references, of which `image_start` is none. The length is upstream's rule (protocols.md, section 6)."""
    count = len(kept["image_urls"] or []) + len(kept["video_urls"] or [])
    faults = []
    if not 1 <= count <= 5:
        faults.append(("image_urls", f"and video_urls must hold 1 to 5 items together, got {count}"))
    if kept["video_urls"] and kept["duration"] > 10:
        faults.append(("duration", f"must be between 2 and 10 with a reference video, got {kept['duration']}"))
    return faults


def _voices(kept: dict[str, Any]) -> list[str]:
    """Voices by name, else by place: those behind the last reference have nobody to speak.

    What a binding looks like inside is not documented; the addresses in it are taken for the voices.
    """
    bindings = (kept["model_params"] or {}).get("voice_bindings")
    if bindings:
        return list(_addresses(bindings))
    return (kept["audio_urls"] or [])[: len(kept["image_urls"] or []) + len(kept["video_urls"] or [])]


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _addresses(each)


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
        lambda kept: media(("driving_audio", kept["audio_urls"])),
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
        lambda kept: media(
            ("first_frame", kept["image_start"]),
            ("last_frame", kept["image_end"]),
            ("first_clip", kept["video_urls"]),
            ("driving_audio", kept["audio_urls"]),
        ),
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
            "model_params": table({"voice_bindings": opaque()}),
            "aspect_ratio": RATIO,
            "duration": integer(2, 15, default=5),
        },
        lambda kept: media(
            ("first_frame", kept["image_start"]),
            ("reference_image", kept["image_urls"]),
            ("reference_video", kept["video_urls"]),
            ("reference_voice", _voices(kept)),
        ),
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
            # Neither is documented for this model; taken as the other gateways' editing takes them.
            "aspect_ratio": choice(*RATIOS),
            "duration": clip_length(),
        },
        lambda kept: media(("video", kept["video_urls"]), ("reference_image", kept["image_urls"])),
    ),
}
EDITED_INPUT_S = 5  # what an edited video is taken to last; the sandbox does not fetch it


def read(body: Any, allow_loopback: bool) -> Order:
    """The order in a body of POST /v1/videos/generations."""
    name = named(body, MODELS)
    asked = MODELS[name].read(body)
    if asked["callback_url"]:
        check_callback_url(asked["callback_url"], allow_loopback)
    return Order(
        mode=MODELS[name].mode,
        model=name,
        prompt=asked["prompt"] or "",
        negative_prompt=asked["negative_prompt"],
        media=MODELS[name].media(asked),
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
