"""aivideoapi.ai: what it is asked, field by field of its page, and what it cannot be asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gateway_requests import (
    AUDIO,
    BOY,
    CLIP,
    DANCE,
    FRAME,
    GIRL,
    LAST,
    SPEAKING_BOY,
    SPEAKING_GIRL,
    VIDEO,
    VOICE,
    WALK,
    edit,
    image,
    items,
    reference,
    text,
)

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.base import Request
from jobs.providers.capabilities import Misfit, Why
from jobs.providers.fitting import fit, misfits
from jobs.providers.prices import Estimate, estimate
from jobs.request.generation import WAN_2_7, Generation, Mode

WITH_CLIPS = replace(AIVIDEOAPI, undocumented=frozenset({"first_clip"}))
EVERYTHING = {"negative_prompt": "blur", "resolution": "720p", "seed": 0, "prompt_extend": False, "watermark": True}
ITS_WORDS = {"prompt": "p", **EVERYTHING}
DEFAULTS = {"prompt": "p", "resolution": "1080p", "duration": 5}

# name -> (what is asked, the model, its whole input)
ASKED: dict[str, tuple[Generation, str, dict[str, Any]]] = {
    "text: nothing": (text(), "text-to-video", DEFAULTS | {"aspect_ratio": "16:9"}),
    "text: everything": (
        text(AUDIO, ratio="9:16", duration=15, **EVERYTHING),
        "text-to-video",
        ITS_WORDS | {"aspect_ratio": "9:16", "duration": 15, "audio_urls": ["https://h/a.mp3"]},
    ),
    "image: nothing but the frame": (
        image(FRAME),
        "image-to-video",
        DEFAULTS | {"image_urls": ["https://h/first.png"]},
    ),
    "image: everything, the last frame named first": (
        image(LAST, AUDIO, CLIP, FRAME, duration=2, **EVERYTHING),
        "image-to-video",
        ITS_WORDS
        | {
            "duration": 2,
            "image_urls": ["https://h/first.png", "https://h/last.png"],
            "first_clip_url": "https://h/clip.mp4",
            "audio_urls": ["https://h/a.mp3"],
        },
    ),
    "reference: nothing but one": (
        reference(DANCE),
        "reference-to-video",
        DEFAULTS | {"aspect_ratio": "16:9", "video_urls": ["https://h/dance.mp4"]},
    ),
    "reference: everything, in the order given": (
        reference(BOY, WALK, GIRL, VOICE, FRAME, DANCE, duration=10, **EVERYTHING),
        "reference-to-video",
        ITS_WORDS
        | {
            "duration": 10,
            "image_urls": ["https://h/boy.png", "https://h/girl.png"],
            "video_urls": ["https://h/walk.mp4", "https://h/dance.mp4"],
            "first_frame_url": "https://h/first.png",
            "audio_urls": ["https://h/voice.mp3"],
        },
    ),
    "reference: the one reference's own voice": (
        reference(SPEAKING_GIRL, ratio="3:4"),
        "reference-to-video",
        DEFAULTS | {"aspect_ratio": "3:4", "image_urls": ["https://h/girl.png"], "audio_urls": ["https://h/girl.mp3"]},
    ),
    "edit: nothing but the video, not even a prompt": (
        edit(VIDEO, prompt=None),
        "video-edit",
        {"resolution": "1080p", "duration": 0, "video_urls": ["https://h/v.mp4"], "audio_setting": "auto"},
    ),
    "edit: everything": (
        edit(GIRL, VIDEO, ratio="1:1", duration=10, audio_setting="origin", **EVERYTHING),
        "video-edit",
        ITS_WORDS
        | {
            "aspect_ratio": "1:1",
            "duration": 10,
            "audio_setting": "origin",
            "video_urls": ["https://h/v.mp4"],
            "image_urls": ["https://h/girl.png"],
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_has_its_field_and_what_is_not_asked_has_none(name: str) -> None:
    spec, model, its_input = ASKED[name]
    body = {"model": f"wan-2.7-{model}", "input": its_input}
    assert fit(spec, AIVIDEOAPI) == Request("POST", "/v1/videos/generations", body)
    called = body | {"callback_url": "https://me/cb"}
    assert fit(spec, AIVIDEOAPI, "https://me/cb") == Request("POST", "/v1/videos/generations", called)


def test_a_clip_without_a_first_frame_is_sent_only_where_the_operator_says_so() -> None:
    spec = image(CLIP, AUDIO)
    asking = {"first_clip_url": "https://h/clip.mp4", "audio_urls": ["https://h/a.mp3"]}
    body = {"model": "wan-2.7-image-to-video", "input": DEFAULTS | asking}
    assert fit(spec, WITH_CLIPS) == Request("POST", "/v1/videos/generations", body)
    assert [m.why for m in misfits(spec, AIVIDEOAPI)] == [Why.UNDOCUMENTED]


SETS = "first_frame, optionally last_frame, first_clip, driving_audio"
MAIN_VOICE = "one, the main character's, as an item of its own"
FIVE = "at most 5 reference_image and reference_video"
MISFITS: dict[str, tuple[Generation, Misfit]] = {
    "negative prompt": (
        text(negative_prompt="猫" * 501),
        Misfit("negative_prompt", "501 characters", "at most 500 characters", Why.LIMIT),
    ),
    "shot type": (text(shot_type="multi"), Misfit("shot_type", "multi", "nothing; leave it out", Why.NO_FIELD)),
    "a clip alone": (
        image(CLIP),
        Misfit(
            "media",
            "first_clip",
            f"{SETS} (the operator can turn it on: first_clip in RUSHES_AIVIDEOAPI_UNDOCUMENTED)",
            Why.UNDOCUMENTED,
        ),
    ),
    "a clip and a last frame": (image(CLIP, LAST), Misfit("media", "first_clip, last_frame", SETS, Why.LIMIT)),
    "six references": (
        reference(*items("reference_image", 3), *items("reference_video", 3)),
        Misfit("media", "6 reference_image and reference_video", FIVE, Why.LIMIT),
    ),
    "eleven seconds by reference": (
        reference(GIRL, duration=11),
        Misfit("duration", 11, "2 to 10 seconds", Why.LIMIT),
    ),
    "a voice inside one of two": (
        reference(SPEAKING_GIRL, BOY),
        Misfit("media", "1 reference_voice", MAIN_VOICE, Why.NO_FIELD),
    ),
    "two voices": (
        reference(SPEAKING_GIRL, SPEAKING_BOY),
        Misfit("media", "2 reference_voice", MAIN_VOICE, Why.NO_FIELD),
    ),
    "two voices for one": (
        reference(SPEAKING_GIRL, VOICE),
        Misfit("media", "2 reference_voice", MAIN_VOICE, Why.NO_FIELD),
    ),
    "a second picture for an edit": (
        edit(VIDEO, GIRL, BOY),
        Misfit("media", "2 reference_image", "at most 1 reference_image", Why.ALTERED),
    ),
    "eleven seconds of an edit": (
        edit(VIDEO, duration=11),
        Misfit("duration", 11, "0 or 2 to 10 seconds", Why.LIMIT),
    ),
    "a ratio beside a frame": (
        replace(image(FRAME), ratio="16:9"),
        Misfit("ratio", "16:9", "nothing; leave it out", Why.NO_FIELD),
    ),
    "one second": (replace(text(), duration=1), Misfit("duration", 1, "2 to 15 seconds", Why.LIMIT)),
    "no prompt": (replace(text(), prompt=None), Misfit("prompt", None, "a text", Why.LIMIT)),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_asked_is_named_with_what_can(name: str) -> None:
    spec, misfit = MISFITS[name]
    assert fit(spec, AIVIDEOAPI) == [misfit]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (text(resolution="720p", duration=10), Estimate(10, 240, 1.2, exact=True)),
        (image(FRAME, CLIP, duration=10), Estimate(10, 400, 2.0, exact=True)),
        (reference(DANCE, duration=2), Estimate(2, 80, 0.4, exact=True)),
        (edit(VIDEO, duration=4), Estimate(4, 160, 0.8, exact=True)),
        (edit(VIDEO), Estimate(15, 600, 3.0, exact=False)),
    ],
)
def test_a_price_is_the_pages_credits_at_half_a_cent(spec: Generation, expected: Estimate) -> None:
    assert estimate(spec, AIVIDEOAPI) == expected


def test_what_the_operator_pays_a_second_is_stronger_than_the_page() -> None:
    paying = replace(AIVIDEOAPI, usd_per_s={((WAN_2_7, Mode.TEXT), "720p"): 0.5})
    assert estimate(text(resolution="720p", duration=10), paying) == Estimate(10, 240, 5.0, exact=True)
    assert estimate(text(duration=10), paying) == Estimate(10, 400, 2.0, exact=True)
