"""Every example of a request on the gateways' pages, and the request in our words that means the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from gateway_bodies import SAMPLES, samples

from jobs.providers.base import Request
from jobs.providers.fitting import fit
from jobs.providers.registry import PROVIDERS
from jobs.request.schema import load_request

WEBHOOK = "https://your-server.com/webhook"
EXAMPLE = "https://example.com"


def media(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"type": kind, "url": url} for kind, url in pairs]


def voiced(kind: str, url: str, voice: str) -> dict[str, str]:
    return {"type": kind, "url": url, "reference_voice": voice}


@dataclass(frozen=True)
class Example:
    """One example: what means the same in our words, and where our body is another than the page's.

    `more`: members that we say beyond the example; `unsaid`: members of the example that we leave out, each with the
    default that the page gives it; `instead`: a body of our own, and why.
    """

    path: str
    ours: Mapping[str, Any]
    callback: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    unsaid: Mapping[str, Any] = field(default_factory=dict)
    instead: tuple[str, Mapping[str, Any]] | None = None


AIVIDEOAPI, APIFRAME, EVOLINK = "/v1/videos/generations", "/v2/videos/generate", "/v1/videos/generations"
EASYROUTER = GRAVITEX = "/v1/video/generations"
EXPANDED = {"wan27Params": {"enable_prompt_expansion": True}}  # the page names no default
UPSTREAMS = {"metadata": {"parameters": {"resolution": "1080P", "prompt_extend": True}}}  # no default for a size
HELP = "https://help-static-aliyun-doc.aliyuncs.com/file-manage-files/zh-CN"
DRESSED = (f"{HELP}/20260403/nlspwm/T2VA_22.mp4", f"{HELP}/20260402/fwjpqf/wan2.7-videoedit-change-clothes.png")
DRESS = "Replace the outfit of the girl in the video with the clothing shown in the reference image"

EXAMPLES: dict[str, Example] = {
    "aivideoapi/request_text": Example(
        AIVIDEOAPI,
        {"prompt": "A cinematic tracking shot through a rainy neon street at night"},
        WEBHOOK,
    ),
    "aivideoapi/request_image_first_last": Example(
        AIVIDEOAPI,
        {
            "mode": "image-to-video",
            "prompt": "The girl slowly turns her head and the camera gently pushes in",
            "media": media(("first_frame", f"{EXAMPLE}/first.png"), ("last_frame", f"{EXAMPLE}/last.png")),
        },
        WEBHOOK,
    ),
    "aivideoapi/request_reference": Example(
        AIVIDEOAPI,
        {
            "mode": "reference-to-video",
            "prompt": "[Image 1] picks up a folding fan, the camera slowly pushes in.",
            "duration": 9,
            "media": media(("reference_image", f"{EXAMPLE}/ref.jpg"), ("reference_video", f"{EXAMPLE}/ref.mp4")),
        },
        WEBHOOK,
    ),
    "aivideoapi/request_edit": Example(
        AIVIDEOAPI,
        {
            "mode": "video-edit",
            "prompt": "Change the vase to pink.",
            "resolution": "720p",
            "media": media(("video", f"{EXAMPLE}/input.mp4")),
        },
        WEBHOOK,
    ),
    "apiframe/request_text": Example(
        APIFRAME,
        {
            "prompt": "A cinematic slow-motion shot of a tiger running through tall grass at golden hour",
            "duration": 8,
        },
    ),
    "apiframe/request_image_first_last": Example(
        APIFRAME,
        {
            "mode": "image-to-video",
            "prompt": "The person turns to camera and smiles",
            "resolution": "720p",
            "media": media(("first_frame", f"{EXAMPLE}/start.jpg"), ("last_frame", f"{EXAMPLE}/end.jpg")),
        },
        more=EXPANDED,
    ),
    "apiframe/request_image_first_clip": Example(
        APIFRAME,
        {
            "mode": "image-to-video",
            "prompt": "The dragon takes off and flies over the mountains",
            "duration": 8,
            "media": media(("first_clip", f"{EXAMPLE}/intro.mp4")),
        },
        more=EXPANDED,
    ),
    "easyrouter/request_text": Example(
        EASYROUTER,
        {
            "prompt": "A small cat running under moonlight, fur gently flowing in the wind, cinematic slow motion",
            "resolution": "720p",
            "seed": 42,
        },
    ),
    "easyrouter/request_image_first": Example(
        EASYROUTER,
        {
            "mode": "image-to-video",
            "prompt": "Realistic style, a small black cat curiously looks up at the sky, camera slowly zooms in",
            "resolution": "720p",
            "media": media(("first_frame", "https://wanx.alicdn.com/material/20250318/first_frame.png")),
        },
    ),
    "easyrouter/request_reference": Example(
        EASYROUTER,
        {
            "mode": "reference-to-video",
            "prompt": "3D cartoon adventure movie style, chibi character with refined textures, "
            "[Image 1] character running joyfully",
            "resolution": "720p",
            "media": media(("reference_image", f"{HELP}/20260403/wgjaxy/banana_storyboard_00000020.png")),
        },
    ),
    "easyrouter/request_edit": Example(
        EASYROUTER,
        {
            "mode": "video-edit",
            "prompt": DRESS,
            "resolution": "720p",
            "media": media(("video", DRESSED[0]), ("reference_image", DRESSED[1])),
        },
        instead=(
            # Section 2.1; besides, `images` guesses the type by the address's ending, which ours need not have.
            'The page calls `images` "in a transition period" and gives the explicit form for before its release.',
            {
                "model": "wan2.7-videoedit",
                "prompt": DRESS,
                "resolution": "720P",
                "metadata": {
                    "input": {"media": media(("video", DRESSED[0]), ("reference_image", DRESSED[1]))},
                },
            },
        ),
    ),
    "evolink/request_text": Example(
        EVOLINK,
        {
            "prompt": "A small kitten running under the moonlight",
            "negative_prompt": "Blurry, low quality",
            "resolution": "720p",
            "seed": 42,
            "prompt_extend": False,
            "media": media(("driving_audio", f"{EXAMPLE}/audio.mp3")),
        },
        "https://your-domain.com/webhooks/video-task-completed",
    ),
    "gravitex/request_text": Example(
        GRAVITEX,
        {
            "prompt": "Shot 1 [0-3s] Wide: rainy NYC street at night. "
            "Shot 2 [3-6s] Medium: detective enters an old building.",
            "resolution": "720p",
            "duration": 6,
        },
        unsaid={"metadata": {"parameters": {"watermark": False}}},
    ),
    "gravitex/request_image_driving_audio": Example(
        GRAVITEX,
        {
            "mode": "image-to-video",
            "prompt": "A graffiti boy comes alive from the wall and performs rap.",
            "resolution": "720p",
            "duration": 10,
            "media": media(("first_frame", f"{EXAMPLE}/first_frame.png"), ("driving_audio", f"{EXAMPLE}/rap.mp3")),
        },
    ),
    "gravitex/request_image_first_last": Example(
        GRAVITEX,
        {
            "mode": "image-to-video",
            "prompt": "Timelapse from sunrise to sunset",
            "duration": 10,
            "media": media(("first_frame", f"{EXAMPLE}/sunrise.png"), ("last_frame", f"{EXAMPLE}/sunset.png")),
        },
        more=UPSTREAMS,
    ),
    "gravitex/request_image_first_clip": Example(
        GRAVITEX,
        {
            "mode": "image-to-video",
            "prompt": "A girl takes a mirror selfie, then leaves with her backpack",
            "duration": 15,
            "media": media(("first_clip", f"{EXAMPLE}/girl_selfie.mp4")),
        },
        more=UPSTREAMS,
    ),
    "gravitex/request_reference": Example(
        GRAVITEX,
        {
            "mode": "reference-to-video",
            "prompt": "视频1抱着图3,在图4的椅子上弹奏民谣,并说道:"
            '"今天的阳光真好。"图1路过,把图2放到视频1旁边的桌子上。',
            "resolution": "720p",
            "duration": 10,
            "media": [
                voiced("reference_image", f"{EXAMPLE}/girl.jpg", f"{EXAMPLE}/girl_voice.mp3"),
                voiced("reference_video", f"{EXAMPLE}/boy_video.mp4", f"{EXAMPLE}/boy_voice.mp3"),
                *media(("reference_image", f"{EXAMPLE}/object3.png"), ("reference_image", f"{EXAMPLE}/object4.png")),
                *media(("reference_image", f"{EXAMPLE}/background5.png")),
            ],
        },
    ),
}


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The members of both, in objects within objects too; none may be in both."""
    joined = dict(one)
    for name, value in other.items():
        assert name not in one or isinstance(one[name], Mapping), f"{name} stands in the example"
        joined[name] = both(one[name], value) if name in one else value
    return joined


@pytest.mark.parametrize("name", EXAMPLES)
def test_our_words_become_the_pages_own_body(name: str) -> None:
    example, provider = EXAMPLES[name], PROVIDERS[name.partition("/")[0]]
    request = fit(load_request(example.ours).generation, provider, example.callback)
    assert isinstance(request, Request)
    assert (request.method, request.path, request.headers) == ("POST", example.path, {})
    assert request.body is not None
    page: Mapping[str, Any] = samples(provider, "request")[name.partition("/")[2]]
    if example.instead:
        assert request.body == example.instead[1]
        assert request.body != page
    else:
        assert both(request.body, example.unsaid) == both(page, example.more)


def test_every_example_on_the_pages_is_in_the_table() -> None:
    assert {f"{path.parent.name}/{path.stem}" for path in SAMPLES.glob("*/request_*.json")} == EXAMPLES.keys()
