"""GravitexAI: what it is asked, field by field of its page, and what it cannot be asked."""

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
    SPEAKING_DANCE,
    SPEAKING_GIRL,
    VIDEO,
    VOICE,
    WALK,
    edit,
    image,
    item,
    items,
    reference,
    text,
)

from jobs.providers.base import Request
from jobs.providers.capabilities import Misfit, Why
from jobs.providers.fitting import fit, misfits
from jobs.providers.gravitex import GRAVITEX
from jobs.providers.prices import Estimate, estimate
from jobs.request.generation import WAN_2_7, Generation, Mode

WITH_BOTH = replace(GRAVITEX, undocumented=frozenset({"clip_with_last_frame"}))
T2V, I2V, R2V = "wan2.7-t2v-2026-04-25", "wan2.7-i2v-2026-04-25", "wan2.7-r2v"
EVERYTHING = {"negative_prompt": "blur", "resolution": "720p", "seed": 0, "prompt_extend": False, "watermark": True}
DEFAULTS = {"resolution": "1080P", "prompt_extend": True}
ITS_WORDS = {"resolution": "720P", "seed": 0, "prompt_extend": False, "watermark": True}


def said(kind: str, name: str, voice: str | None = None) -> dict[str, str]:
    """A file in the page's words, which are ours."""
    return item(kind, name, voice)


# name -> (what is asked, the model, seconds, metadata.input beside the prompt, metadata.parameters beside the seconds)
ASKED: dict[str, tuple[Generation, str, int, dict[str, Any], dict[str, Any]]] = {
    "text: nothing": (text(), T2V, 5, {}, DEFAULTS | {"ratio": "16:9"}),
    "text: everything": (
        text(AUDIO, ratio="9:16", duration=15, **EVERYTHING),
        T2V,
        15,
        {"negative_prompt": "blur", "audio_url": "https://h/a.mp3"},
        ITS_WORDS | {"ratio": "9:16"},
    ),
    "image: nothing but the frame": (image(FRAME), I2V, 5, {"media": [said("first_frame", "first.png")]}, DEFAULTS),
    "image: everything with an audio": (
        image(AUDIO, FRAME, duration=2, **EVERYTHING),
        I2V,
        2,
        {"negative_prompt": "blur", "media": [said("driving_audio", "a.mp3"), said("first_frame", "first.png")]},
        ITS_WORDS,
    ),
    "image: two frames": (
        image(LAST, FRAME),
        I2V,
        5,
        {"media": [said("last_frame", "last.png"), said("first_frame", "first.png")]},
        DEFAULTS,
    ),
    "image: a clip": (image(CLIP, duration=15), I2V, 15, {"media": [said("first_clip", "clip.mp4")]}, DEFAULTS),
    "reference: nothing but one": (
        reference(DANCE),
        R2V,
        5,
        {"media": [said("reference_video", "dance.mp4")]},
        DEFAULTS | {"ratio": "16:9"},
    ),
    "reference: everything, each voice with its reference, in the order given, the first frame last": (
        reference(BOY, SPEAKING_DANCE, FRAME, SPEAKING_GIRL, WALK, duration=10, **EVERYTHING),
        R2V,
        10,
        {
            "negative_prompt": "blur",
            "media": [
                said("reference_image", "boy.png"),
                said("reference_video", "dance.mp4", "dance.mp3"),
                said("reference_image", "girl.png", "girl.mp3"),
                said("reference_video", "walk.mp4"),
                said("first_frame", "first.png"),
            ],
        },
        ITS_WORDS,
    ),
    "reference: a voice of its own is the one reference's": (
        reference(VOICE, GIRL, duration=15, ratio="1:1"),
        R2V,
        15,
        {"media": [said("reference_image", "girl.png", "voice.mp3")]},
        DEFAULTS | {"ratio": "1:1"},
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_has_its_field_and_prompt_and_length_have_two(name: str) -> None:
    spec, model, seconds, its_input, parameters = ASKED[name]
    metadata = {"input": {"prompt": "p", **its_input}, "parameters": {"duration": seconds, **parameters}}
    body = {"model": model, "prompt": "p", "duration": seconds, "metadata": metadata}
    assert fit(spec, GRAVITEX, "https://never/sent") == Request("POST", "/v1/video/generations", body)


def test_a_clip_with_a_last_frame_is_sent_only_where_the_operator_says_so() -> None:
    spec = image(CLIP, LAST)
    request = fit(spec, WITH_BOTH)
    assert isinstance(request, Request)
    assert request.body is not None
    media = [said("first_clip", "clip.mp4"), said("last_frame", "last.png")]
    assert request.body["metadata"]["input"] == {"prompt": "p", "media": media}
    assert [m.why for m in misfits(spec, GRAVITEX)] == [Why.UNDOCUMENTED]


SETS = "first_frame, optionally driving_audio; or first_frame with last_frame; or first_clip"
SWITCH = "clip_with_last_frame in RUSHES_GRAVITEX_UNDOCUMENTED"
FIVE = "at most 5 reference_image and reference_video"
ITS_OWN = "inside the reference whose voice it is"
MISFITS: dict[str, tuple[Generation, Misfit]] = {
    "edit": (
        edit(VIDEO),
        Misfit("mode", "video-edit", "image-to-video, reference-to-video, text-to-video", Why.NO_FIELD),
    ),
    "negative prompt": (
        text(negative_prompt="x" * 501),
        Misfit("negative_prompt", "501 characters", "at most 500 characters", Why.LIMIT),
    ),
    "shot type": (text(shot_type="multi"), Misfit("shot_type", "multi", "nothing; leave it out", Why.NO_FIELD)),
    "two frames and an audio": (
        image(FRAME, LAST, AUDIO),
        Misfit("media", "driving_audio, first_frame, last_frame", SETS, Why.LIMIT),
    ),
    "a clip and an audio": (image(CLIP, AUDIO), Misfit("media", "driving_audio, first_clip", SETS, Why.LIMIT)),
    "a clip and a frame": (image(CLIP, FRAME), Misfit("media", "first_clip, first_frame", SETS, Why.LIMIT)),
    "a clip and a last frame": (
        image(CLIP, LAST),
        Misfit("media", "first_clip, last_frame", f"{SETS} (the operator can turn it on: {SWITCH})", Why.UNDOCUMENTED),
    ),
    "six references": (
        reference(*items("reference_image", 5), DANCE),
        Misfit("media", "6 reference_image and reference_video", FIVE, Why.LIMIT),
    ),
    "eleven seconds with a video": (
        reference(GIRL, DANCE, duration=11),
        Misfit("duration", 11, "2 to 10 seconds with a reference_video", Why.LIMIT),
    ),
    "a voice of its own beside two": (
        reference(GIRL, BOY, VOICE),
        Misfit("media", "reference_voice", ITS_OWN, Why.NO_FIELD),
    ),
    "a second voice of its own": (
        reference(SPEAKING_GIRL, SPEAKING_BOY, VOICE),
        Misfit("media", "reference_voice", ITS_OWN, Why.NO_FIELD),
    ),
    "two voices for one": (
        reference(SPEAKING_GIRL, VOICE),
        Misfit("media", "reference_voice", ITS_OWN, Why.NO_FIELD),
    ),
    "a ratio beside a frame": (
        replace(image(FRAME), ratio="16:9"),
        Misfit("ratio", "16:9", "nothing; leave it out", Why.NO_FIELD),
    ),
    "no prompt": (replace(text(), prompt=None), Misfit("prompt", None, "a text", Why.LIMIT)),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_asked_is_named_with_what_can(name: str) -> None:
    spec, misfit = MISFITS[name]
    assert fit(spec, GRAVITEX) == [misfit]


def test_no_price_is_published_and_the_operators_own_is_taken() -> None:
    assert estimate(text(), GRAVITEX) == Estimate(5, None, None, exact=True)
    paying = replace(GRAVITEX, usd_per_s={((WAN_2_7, Mode.REFERENCE), "1080p"): 0.15})
    assert estimate(reference(DANCE, duration=10), paying) == Estimate(10, None, 1.5, exact=True)
    assert estimate(text(), paying).usd is None
