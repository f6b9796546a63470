"""EvoLink: what it is asked, field by field of its pages, and what it cannot be asked."""

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
    items,
    reference,
    text,
)

from jobs.providers.base import Request
from jobs.providers.capabilities import Misfit, Why
from jobs.providers.evolink import EVOLINK
from jobs.providers.fitting import fit
from jobs.providers.prices import Estimate, estimate
from jobs.request.generation import Generation

EVERYTHING = {"negative_prompt": "blur", "resolution": "720p", "seed": 1, "prompt_extend": False}
ITS_WORDS = {"prompt": "p", "negative_prompt": "blur", "quality": "720p", "seed": 1, "prompt_extend": False}
# Its own defaults are 720p and no rewriting, so ours are always said.
UNTIMED = {"prompt": "p", "quality": "1080p", "prompt_extend": True}
DEFAULTS = UNTIMED | {"duration": 5}

# name -> (what is asked, the model, the rest of the body)
ASKED: dict[str, tuple[Generation, str, dict[str, Any]]] = {
    "text: nothing": (text(), "text-to-video", DEFAULTS | {"aspect_ratio": "16:9"}),
    "text: everything": (
        text(AUDIO, ratio="9:16", duration=15, **EVERYTHING),
        "text-to-video",
        ITS_WORDS | {"aspect_ratio": "9:16", "duration": 15, "audio_urls": ["https://h/a.mp3"]},
    ),
    "image: a frame": (
        image(FRAME),
        "image-to-video",
        DEFAULTS | {"generation_mode": "first_frame", "image_start": "https://h/first.png"},
    ),
    "image: a frame and an audio": (
        image(AUDIO, FRAME),
        "image-to-video",
        DEFAULTS
        | {
            "generation_mode": "first_frame",
            "image_start": "https://h/first.png",
            "audio_urls": ["https://h/a.mp3"],
        },
    ),
    "image: everything with frames, the last one named first": (
        image(LAST, AUDIO, FRAME, duration=2, **EVERYTHING),
        "image-to-video",
        ITS_WORDS
        | {
            "duration": 2,
            "generation_mode": "first_last_frame",
            "image_start": "https://h/first.png",
            "image_end": "https://h/last.png",
            "audio_urls": ["https://h/a.mp3"],
        },
    ),
    "image: a clip": (
        image(CLIP),
        "image-to-video",
        DEFAULTS | {"generation_mode": "video_continuation", "video_urls": ["https://h/clip.mp4"]},
    ),
    "image: a clip and a last frame": (
        image(LAST, CLIP),
        "image-to-video",
        DEFAULTS
        | {
            "generation_mode": "video_continuation",
            "video_urls": ["https://h/clip.mp4"],
            "image_end": "https://h/last.png",
        },
    ),
    "reference: nothing but one": (
        reference(DANCE),
        "reference-video",
        DEFAULTS | {"aspect_ratio": "16:9", "video_urls": ["https://h/dance.mp4"]},
    ),
    "reference: everything, in the order given": (
        reference(BOY, WALK, GIRL, FRAME, DANCE, duration=10, **EVERYTHING),
        "reference-video",
        ITS_WORDS
        | {
            "duration": 10,
            "image_start": "https://h/first.png",
            "image_urls": ["https://h/boy.png", "https://h/girl.png"],
            "video_urls": ["https://h/walk.mp4", "https://h/dance.mp4"],
        },
    ),
    "reference: voices in the references' order": (
        reference(SPEAKING_GIRL, SPEAKING_BOY, *items("reference_image", 1), ratio="3:4"),
        "reference-video",
        DEFAULTS
        | {
            "aspect_ratio": "3:4",
            "image_urls": ["https://h/girl.png", "https://h/boy.png", "https://h/reference_image1"],
            "audio_urls": ["https://h/girl.mp3", "https://h/boy.mp3"],
        },
    ),
    "reference: a voice of its own is the one reference's": (
        reference(VOICE, DANCE),
        "reference-video",
        DEFAULTS
        | {"aspect_ratio": "16:9", "video_urls": ["https://h/dance.mp4"], "audio_urls": ["https://h/voice.mp3"]},
    ),
    "edit: nothing but the video, not even a prompt": (
        edit(VIDEO, prompt=None),
        "video-edit",
        {
            "quality": "1080p",
            "prompt_extend": True,
            "video_urls": ["https://h/v.mp4"],
            "keep_original_sound": False,
        },
    ),
    "edit: the model decides on the sound, as unasked": (
        edit(VIDEO, audio_setting="auto"),
        "video-edit",
        UNTIMED | {"video_urls": ["https://h/v.mp4"], "keep_original_sound": False},
    ),
    "edit: everything": (
        edit(GIRL, VIDEO, BOY, audio_setting="origin", **EVERYTHING),
        "video-edit",
        ITS_WORDS
        | {
            "keep_original_sound": True,
            "video_urls": ["https://h/v.mp4"],
            "image_urls": ["https://h/girl.png", "https://h/boy.png"],
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_has_its_field_and_what_is_not_asked_has_none(name: str) -> None:
    spec, model, rest = ASKED[name]
    body = {"model": f"wan2.7-{model}", **rest}
    assert fit(spec, EVOLINK) == Request("POST", "/v1/videos/generations", body)
    called = body | {"callback_url": "https://me/cb"}
    assert fit(spec, EVOLINK, "https://me/cb") == Request("POST", "/v1/videos/generations", called)


SETS = "first_frame, optionally last_frame, driving_audio; or first_clip, optionally last_frame"
FIVE = "at most 5 reference_image and reference_video"
FIRST_SPEAK = "voices of the first references, all of them images or all of them videos"
ITS_OWN = "inside the reference whose voice it is"
NOTHING = "nothing; leave it out"
MISFITS: dict[str, tuple[Generation, Misfit]] = {
    "seed": (text(seed=0), Misfit("seed", 0, "1 to 2147483647", Why.LIMIT)),
    "watermark": (text(watermark=True), Misfit("watermark", True, "false", Why.NO_FIELD)),
    "shot type": (text(shot_type="multi"), Misfit("shot_type", "multi", NOTHING, Why.NO_FIELD)),
    "negative prompt": (
        text(negative_prompt="x" * 501),
        Misfit("negative_prompt", "501 characters", "at most 500 characters", Why.ALTERED),
    ),
    "prompt": (
        replace(text(), prompt="x" * 5001),
        Misfit("prompt", "5001 characters", "at most 5000 characters", Why.ALTERED),
    ),
    "no prompt": (replace(text(), prompt=None), Misfit("prompt", None, "a text", Why.LIMIT)),
    "a clip and an audio": (image(CLIP, AUDIO), Misfit("media", "driving_audio, first_clip", SETS, Why.LIMIT)),
    "a clip and a frame": (image(CLIP, FRAME), Misfit("media", "first_clip, first_frame", SETS, Why.LIMIT)),
    "six references": (
        reference(*items("reference_image", 2), *items("reference_video", 4)),
        Misfit("media", "6 reference_image and reference_video", FIVE, Why.LIMIT),
    ),
    "eleven seconds with a video": (
        reference(DANCE, duration=11),
        Misfit("duration", 11, "2 to 10 seconds with a reference_video", Why.LIMIT),
    ),
    "a voice of the second": (
        reference(GIRL, SPEAKING_BOY),
        Misfit("media", "1 reference_voice", FIRST_SPEAK, Why.NO_FIELD),
    ),
    "a voice among pictures and videos": (
        reference(SPEAKING_GIRL, SPEAKING_DANCE),
        Misfit("media", "2 reference_voice", FIRST_SPEAK, Why.NO_FIELD),
    ),
    "a voice of its own beside two": (
        reference(GIRL, BOY, VOICE),
        Misfit("media", "reference_voice", ITS_OWN, Why.NO_FIELD),
    ),
    "two voices for one": (
        reference(SPEAKING_GIRL, VOICE),
        Misfit("media", "reference_voice", ITS_OWN, Why.NO_FIELD),
    ),
    "five pictures for an edit": (
        edit(VIDEO, *items("reference_image", 5)),
        Misfit("media", "5 reference_image", "at most 4 reference_image", Why.LIMIT),
    ),
    "a length for an edit": (
        edit(VIDEO, duration=5),
        Misfit("duration", 5, "0, the length of the input", Why.NO_FIELD),
    ),
    "a ratio for an edit": (edit(VIDEO, ratio="16:9"), Misfit("ratio", "16:9", NOTHING, Why.NO_FIELD)),
    "a ratio beside a frame": (
        replace(image(FRAME), ratio="16:9"),
        Misfit("ratio", "16:9", NOTHING, Why.NO_FIELD),
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_asked_is_named_with_what_can(name: str) -> None:
    spec, misfit = MISFITS[name]
    assert fit(spec, EVOLINK) == [misfit]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (text(resolution="720p", duration=10), Estimate(10, 0.86, 0.86, exact=True)),
        (image(CLIP, duration=10), Estimate(10, 1.44, 1.44, exact=True)),
        (reference(GIRL, BOY, duration=10), Estimate(10, 1.44, 1.44, exact=True)),
        # Input and output are billed; how long an input is nobody has measured.
        (reference(DANCE, WALK, GIRL, duration=10), Estimate(40, 5.76, 5.76, exact=False)),
        (edit(VIDEO, GIRL), Estimate(30, 4.32, 4.32, exact=False)),
    ],
)
def test_a_price_is_in_dollars_and_counts_the_input_where_it_is_billed(spec: Generation, expected: Estimate) -> None:
    assert estimate(spec, EVOLINK) == expected
