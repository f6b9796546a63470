"""Apiframe v2: what it is asked, field by field of its page and its OpenAPI file, and what it cannot be asked."""

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

from jobs.providers.apiframe import APIFRAME
from jobs.providers.base import Request
from jobs.providers.capabilities import Misfit, Why
from jobs.providers.fitting import fit
from jobs.providers.prices import Estimate, estimate
from jobs.request.generation import Generation

GENERATE, EDIT = "/v2/videos/generate", "/v2/videos/edit"
EVERYWHERE = {"negative_prompt": "blur", "resolution": "720p", "seed": 0}
DEFAULTS = {"resolution": "1080p", "duration": 5}

# name -> (what is asked, path, model, the name and the whole of its parameters)
ASKED: dict[str, tuple[Generation, str, str, str, dict[str, Any]]] = {
    "text: nothing, and expansion is said all the same": (
        text(),
        GENERATE,
        "wan-2.7",
        "wan27Params",
        DEFAULTS | {"aspect_ratio": "16:9", "enable_prompt_expansion": True},
    ),
    "text: everything": (
        text(AUDIO, ratio="9:16", duration=15, prompt_extend=False, **EVERYWHERE),
        GENERATE,
        "wan-2.7",
        "wan27Params",
        EVERYWHERE
        | {
            "aspect_ratio": "9:16",
            "duration": 15,
            "enable_prompt_expansion": False,
            "audio": "https://h/a.mp3",
        },
    ),
    "image: nothing but the frame": (
        image(FRAME),
        GENERATE,
        "wan-2.7",
        "wan27Params",
        DEFAULTS | {"enable_prompt_expansion": True, "image": "https://h/first.png"},
    ),
    "image: everything with a frame, the last one named first": (
        image(LAST, AUDIO, FRAME, duration=2, prompt_extend=False, **EVERYWHERE),
        GENERATE,
        "wan-2.7",
        "wan27Params",
        EVERYWHERE
        | {
            "duration": 2,
            "enable_prompt_expansion": False,
            "image": "https://h/first.png",
            "last_frame": "https://h/last.png",
            "audio": "https://h/a.mp3",
        },
    ),
    "image: everything with a clip": (
        image(CLIP, LAST, AUDIO),
        GENERATE,
        "wan-2.7",
        "wan27Params",
        DEFAULTS
        | {
            "enable_prompt_expansion": True,
            "first_clip": "https://h/clip.mp4",
            "last_frame": "https://h/last.png",
            "audio": "https://h/a.mp3",
        },
    ),
    "reference: nothing but one": (
        reference(DANCE),
        GENERATE,
        "wan-2.7-r2v",
        "wan27R2vParams",
        DEFAULTS | {"aspect_ratio": "16:9", "reference_videos": ["https://h/dance.mp4"]},
    ),
    "reference: everything, in the order given": (
        reference(BOY, WALK, GIRL, DANCE, ratio="4:3", duration=10, shot_type="multi", **EVERYWHERE),
        GENERATE,
        "wan-2.7-r2v",
        "wan27R2vParams",
        EVERYWHERE
        | {
            "aspect_ratio": "4:3",
            "duration": 10,
            "shot_type": "multi",
            "reference_images": ["https://h/boy.png", "https://h/girl.png"],
            "reference_videos": ["https://h/walk.mp4", "https://h/dance.mp4"],
        },
    ),
    "edit: nothing but the video; no length is the upstream's word for the whole": (
        edit(VIDEO),
        EDIT,
        "wan-2.7-videoedit",
        "wan27VideoeditParams",
        {"resolution": "1080p", "aspect_ratio": "auto", "audio_setting": "auto", "video": "https://h/v.mp4"},
    ),
    "edit: everything": (
        edit(GIRL, VIDEO, ratio="1:1", duration=10, audio_setting="origin", **EVERYWHERE),
        EDIT,
        "wan-2.7-videoedit",
        "wan27VideoeditParams",
        EVERYWHERE
        | {
            "aspect_ratio": "1:1",
            "duration": 10,
            "audio_setting": "origin",
            "video": "https://h/v.mp4",
            "reference_image": "https://h/girl.png",
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_has_its_field_and_what_is_not_asked_has_none(name: str) -> None:
    spec, path, model, parameters, asked = ASKED[name]
    body = {"model": model, "prompt": "p", parameters: asked}
    assert fit(spec, APIFRAME) == Request("POST", path, body)
    called = body | {"webhookUrl": "https://me/cb", "webhookEvents": ["completed", "failed"]}
    assert fit(spec, APIFRAME, "https://me/cb") == Request("POST", path, called)


FRAME_SETS = "first_frame, optionally last_frame, driving_audio; or first_clip, optionally last_frame, driving_audio"
MISFITS: dict[str, tuple[Generation, Misfit]] = {
    "negative prompt": (
        text(negative_prompt="🦊" * 1251),
        Misfit("negative_prompt", "2502 UTF-16 code units", "at most 2500 UTF-16 code units", Why.LIMIT),
    ),
    "prompt": (
        text(prompt="🦊" * 2501),
        Misfit("prompt", "5002 UTF-16 code units", "at most 5000 UTF-16 code units", Why.LIMIT),
    ),
    "watermark": (text(watermark=True), Misfit("watermark", True, "false", Why.NO_FIELD)),
    "shot type of a text": (
        text(shot_type="single"),
        Misfit("shot_type", "single", "nothing; leave it out", Why.NO_FIELD),
    ),
    "a frame and a clip": (
        image(FRAME, CLIP),
        Misfit("media", "first_clip, first_frame", FRAME_SETS, Why.LIMIT),
    ),
    "a first frame among references": (
        reference(FRAME, GIRL),
        Misfit(
            "media",
            "first_frame, reference_image",
            "none, optionally reference_image, reference_video",
            Why.NO_FIELD,
        ),
    ),
    "six pictures": (
        reference(*items("reference_image", 6), *items("reference_video", 5)),
        Misfit("media", "6 reference_image", "at most 5 reference_image", Why.LIMIT),
    ),
    "six videos": (
        reference(*items("reference_image", 5), *items("reference_video", 6)),
        Misfit("media", "6 reference_video", "at most 5 reference_video", Why.LIMIT),
    ),
    "a voice of its own": (reference(GIRL, VOICE), Misfit("media", "1 reference_voice", "no voices", Why.NO_FIELD)),
    "a voice inside": (reference(SPEAKING_GIRL), Misfit("media", "1 reference_voice", "no voices", Why.NO_FIELD)),
    "no rewriting of a reference's prompt": (
        reference(GIRL, prompt_extend=False),
        Misfit("prompt_extend", False, "true", Why.NO_FIELD),
    ),
    "no rewriting of an edit's prompt": (
        edit(VIDEO, prompt_extend=False),
        Misfit("prompt_extend", False, "true", Why.NO_FIELD),
    ),
    "eleven seconds by reference": (
        reference(GIRL, duration=11),
        Misfit("duration", 11, "2 to 10 seconds", Why.LIMIT),
    ),
    "eleven seconds of an edit": (
        edit(VIDEO, duration=11),
        Misfit("duration", 11, "0 or 2 to 10 seconds", Why.LIMIT),
    ),
    "a second picture for an edit": (
        edit(VIDEO, GIRL, BOY),
        Misfit("media", "2 reference_image", "at most 1 reference_image", Why.NO_FIELD),
    ),
    "an edit without a prompt": (edit(VIDEO, prompt=None), Misfit("prompt", None, "a text", Why.LIMIT)),
    "a ratio beside a frame": (
        replace(image(FRAME), ratio="16:9"),
        Misfit("ratio", "16:9", "nothing; leave it out", Why.NO_FIELD),
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_asked_is_named_with_what_can(name: str) -> None:
    spec, misfit = MISFITS[name]
    assert fit(spec, APIFRAME) == [misfit]


def test_ten_references_are_taken_five_of_each() -> None:
    request = fit(reference(*items("reference_image", 5), *items("reference_video", 5)), APIFRAME)
    assert isinstance(request, Request)
    assert request.body is not None
    found = request.body["wan27R2vParams"]
    assert (len(found["reference_images"]), len(found["reference_videos"])) == (5, 5)


@pytest.mark.parametrize(
    ("spec", "credits"),
    [
        (text(duration=8), 136),
        (text(duration=8, resolution="720p"), 136),
        (image(FRAME, duration=10), 260),  # the page's own example
        (image(CLIP, duration=10, resolution="720p"), 170),
        (reference(GIRL), None),
        (edit(VIDEO, duration=5), None),
    ],
)
def test_a_price_is_the_pages_credits_and_no_rate_is_published(spec: Generation, credits: float | None) -> None:
    assert estimate(spec, APIFRAME) == Estimate(spec.duration, credits, None, exact=True)


def test_a_rate_that_the_operator_knows_makes_dollars_of_credits() -> None:
    knowing = replace(APIFRAME, usd_per_credit=0.01)
    assert estimate(text(duration=8), knowing) == Estimate(8, 136, 1.36, exact=True)
