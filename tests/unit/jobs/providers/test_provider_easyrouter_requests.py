"""EasyRouter: what it is asked, field by field of its page, and what it cannot be asked."""

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

from jobs.providers.base import Request
from jobs.providers.capabilities import Misfit, Why
from jobs.providers.easyrouter import EASYROUTER
from jobs.providers.fitting import fit, misfits
from jobs.providers.prices import Estimate, estimate
from jobs.request.generation import Generation

OPENED = replace(EASYROUTER, undocumented=frozenset({"last_frame", "first_clip", "reference_video"}))
DEFAULTS = {"prompt": "p", "resolution": "1080P", "duration": 5}
EVERYWHERE = {"negative_prompt": "blur", "seed": 0}


def sent(*pairs: tuple[str, str]) -> dict[str, Any]:
    """metadata.input with these media."""
    return {"media": [{"type": kind, "url": f"https://h/{name}"} for kind, name in pairs]}


# name -> (what is asked, the model, the rest of the body)
ASKED: dict[str, tuple[Generation, str, dict[str, Any]]] = {
    "text: nothing": (text(), "t2v", DEFAULTS | {"metadata": {"ratio": "16:9"}}),
    "text: everything": (
        text(ratio="9:16", duration=15, resolution="720p", **EVERYWHERE),
        "t2v",
        {"prompt": "p", "resolution": "720P", "duration": 15, "metadata": {"ratio": "9:16", **EVERYWHERE}},
    ),
    "image: nothing but the frame, and no empty metadata": (
        image(FRAME),
        "i2v",
        DEFAULTS | {"input_reference": "https://h/first.png"},
    ),
    "image: everything": (
        image(FRAME, duration=2, **EVERYWHERE),
        "i2v",
        DEFAULTS | {"duration": 2, "input_reference": "https://h/first.png", "metadata": EVERYWHERE},
    ),
    "reference: nothing but one": (
        reference(GIRL),
        "r2v",
        DEFAULTS | {"metadata": {"ratio": "16:9", "input": sent(("reference_image", "girl.png"))}},
    ),
    "reference: everything, in the order given": (
        reference(BOY, GIRL, ratio="3:4", duration=15, **EVERYWHERE),
        "r2v",
        DEFAULTS
        | {
            "duration": 15,
            "metadata": {
                "ratio": "3:4",
                **EVERYWHERE,
                "input": sent(("reference_image", "boy.png"), ("reference_image", "girl.png")),
            },
        },
    ),
    "edit: nothing but the video, and no length": (
        edit(VIDEO),
        "videoedit",
        {"prompt": "p", "resolution": "1080P", "metadata": {"input": sent(("video", "v.mp4"))}},
    ),
    "edit: everything; the sound that it makes unasked is nothing to say": (
        edit(GIRL, VIDEO, BOY, resolution="720p", audio_setting="auto", **EVERYWHERE),
        "videoedit",
        {
            "prompt": "p",
            "resolution": "720P",
            "metadata": {
                **EVERYWHERE,
                "input": sent(("reference_image", "girl.png"), ("video", "v.mp4"), ("reference_image", "boy.png")),
            },
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_has_its_field_and_what_is_not_asked_has_none(name: str) -> None:
    spec, model, rest = ASKED[name]
    body = {"model": f"wan2.7-{model}", **rest}
    assert fit(spec, EASYROUTER, "https://never/sent") == Request("POST", "/v1/video/generations", body)


# name -> (what is asked, the word that allows it, its media in the body)
UNDOCUMENTED: dict[str, tuple[Generation, str, dict[str, Any]]] = {
    "two frames": (
        image(LAST, FRAME),
        "last_frame",
        sent(("last_frame", "last.png"), ("first_frame", "first.png")),
    ),
    "a clip": (image(CLIP), "first_clip", sent(("first_clip", "clip.mp4"))),
    "a clip and a last frame": (
        image(CLIP, LAST),
        "first_clip",
        sent(("first_clip", "clip.mp4"), ("last_frame", "last.png")),
    ),
    "a picture and two videos": (
        reference(WALK, GIRL, DANCE, duration=10),
        "reference_video",
        sent(("reference_video", "walk.mp4"), ("reference_image", "girl.png"), ("reference_video", "dance.mp4")),
    ),
}


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_media_that_only_the_upstream_documents_are_sent_where_the_operator_says_so(name: str) -> None:
    spec, word, its_input = UNDOCUMENTED[name]
    [misfit] = misfits(spec, EASYROUTER)
    assert (misfit.field, misfit.why) == ("media", Why.UNDOCUMENTED)
    assert misfit.allowed.endswith(f"(the operator can turn it on: {word} in RUSHES_EASYROUTER_UNDOCUMENTED)")
    request = fit(spec, replace(EASYROUTER, undocumented=frozenset({word})))
    assert isinstance(request, Request)
    assert request.body is not None
    assert request.body["metadata"]["input"] == its_input
    [misfit] = misfits(spec, replace(EASYROUTER, undocumented=OPENED.undocumented - {word}))
    assert (misfit.field, misfit.why) == ("media", Why.UNDOCUMENTED)


NOTHING = "nothing; leave it out"
REFERENCES = "reference_image; or reference_image, optionally reference_video"
MISFITS: dict[str, tuple[Generation, Misfit]] = {
    "negative prompt": (
        text(negative_prompt="x" * 501),
        Misfit("negative_prompt", "501 characters", "at most 500 characters", Why.LIMIT),
    ),
    "watermark": (text(watermark=True), Misfit("watermark", True, "false", Why.NO_FIELD)),
    "no rewriting": (text(prompt_extend=False), Misfit("prompt_extend", False, "true", Why.NO_FIELD)),
    "shot type": (text(shot_type="multi"), Misfit("shot_type", "multi", NOTHING, Why.NO_FIELD)),
    "an audio for a text": (text(AUDIO), Misfit("media", "driving_audio", "none", Why.NO_FIELD)),
    "an audio for a frame": (
        image(FRAME, AUDIO),
        Misfit("media", "driving_audio, first_frame", "first_frame", Why.NO_FIELD),
    ),
    "ten pictures": (
        reference(*items("reference_image", 10)),
        Misfit("media", "10 reference_image", "at most 9 reference_image", Why.LIMIT),
    ),
    "a video alone, for a picture is required": (
        reference(DANCE),
        Misfit("media", "reference_video", "reference_image", Why.NO_FIELD),
    ),
    "a first frame among references": (
        reference(GIRL, FRAME),
        Misfit("media", "first_frame, reference_image", "reference_image", Why.NO_FIELD),
    ),
    "a voice inside": (reference(SPEAKING_GIRL), Misfit("media", "1 reference_voice", "no voices", Why.NO_FIELD)),
    "a voice of its own": (reference(GIRL, VOICE), Misfit("media", "1 reference_voice", "no voices", Why.NO_FIELD)),
    "four pictures for an edit": (
        edit(VIDEO, *items("reference_image", 4)),
        Misfit("media", "4 reference_image", "at most 3 reference_image", Why.LIMIT),
    ),
    "a length for an edit": (
        edit(VIDEO, duration=5),
        Misfit("duration", 5, "0, the length of the input", Why.NO_FIELD),
    ),
    "a ratio for an edit": (edit(VIDEO, ratio="16:9"), Misfit("ratio", "16:9", NOTHING, Why.NO_FIELD)),
    "an edit's own sound": (
        edit(VIDEO, audio_setting="origin"),
        Misfit("audio_setting", "origin", NOTHING, Why.NO_FIELD),
    ),
    "an edit without a prompt": (edit(VIDEO, prompt=None), Misfit("prompt", None, "a text", Why.LIMIT)),
    "a ratio beside a frame": (
        replace(image(FRAME), ratio="16:9"),
        Misfit("ratio", "16:9", NOTHING, Why.NO_FIELD),
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_asked_is_named_with_what_can(name: str) -> None:
    spec, misfit = MISFITS[name]
    assert fit(spec, EASYROUTER) == [misfit]


def test_a_video_alone_stays_refused_where_videos_are_turned_on() -> None:
    assert fit(reference(DANCE), OPENED) == [Misfit("media", "reference_video", REFERENCES, Why.LIMIT)]


def test_a_reference_video_makes_the_longest_film_shorter() -> None:
    too_long = Misfit("duration", 11, "2 to 10 seconds with a reference_video", Why.LIMIT)
    assert fit(reference(GIRL, DANCE, duration=11), OPENED) == [too_long]
    assert misfits(reference(GIRL, duration=11), OPENED) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (text(resolution="720p"), Estimate(5, 250_000, 0.5, exact=True)),  # the page's own examples, section 6
        (text(duration=10), Estimate(10, 750_000, 1.5, exact=True)),
        (image(FRAME, duration=2), Estimate(2, 150_000, 0.3, exact=True)),
        (reference(GIRL, duration=2), Estimate(2, 150_000, 0.3, exact=True)),
        (edit(VIDEO, GIRL), Estimate(15, 1_125_000, 2.25, exact=False)),
    ],
)
def test_a_price_is_the_pages_quota_of_which_500_000_are_a_dollar(spec: Generation, expected: Estimate) -> None:
    assert estimate(spec, EASYROUTER) == expected
