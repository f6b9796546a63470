"""Every mode of every gateway, through its stand-in's own strict reading, to the bucket."""

from __future__ import annotations

from typing import Any

import pytest
from proving import prove
from workshop import Workshop

from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.providers.fitting import misfits
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import Mode
from jobs.request.schema import load_request

HOST = "https://media.example.com"


def media(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind, "url": f"{HOST}/{place}-{kind}"} for place, kind in enumerate(kinds)]


REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"mode": "text-to-video"},
    "text with sound": {"mode": "text-to-video", "media": media("driving_audio"), "negative_prompt": "rain", "seed": 7},
    "first frame": {"mode": "image-to-video", "media": media("first_frame")},
    "first frame with sound": {"mode": "image-to-video", "media": media("first_frame", "driving_audio")},
    "first and last frame": {"mode": "image-to-video", "media": media("first_frame", "last_frame")},
    "continuation": {"mode": "image-to-video", "media": media("first_clip")},
    "continuation to a frame": {"mode": "image-to-video", "media": media("first_clip", "last_frame")},
    "first frame and clip": {"mode": "image-to-video", "media": media("first_frame", "first_clip")},
    "reference images": {"mode": "reference-to-video", "media": media("reference_image", "reference_image")},
    "reference videos": {"mode": "reference-to-video", "media": media("reference_image", "reference_video")},
    "reference with frame": {"mode": "reference-to-video", "media": media("reference_image", "first_frame")},
    "reference with voice": {"mode": "reference-to-video", "media": media("reference_video", "reference_voice")},
    "reference shots": {"mode": "reference-to-video", "media": media("reference_image"), "shot_type": "multi"},
    "edit": {"mode": "video-edit", "media": media("video"), "duration": 0},
    "edit by image": {"mode": "video-edit", "media": media("video", "reference_image"), "duration": 0},
    "edit of a length": {"mode": "video-edit", "media": media("video"), "duration": 4, "audio_setting": "origin"},
    "edit keeping the sound": {"mode": "video-edit", "media": media("video"), "duration": 0, "audio_setting": "origin"},
}


def fits(name: str, provider: str) -> bool:
    request = load_request({"prompt": "A fox", "duration": 2, **REQUESTS[name]})
    return not misfits(request.generation, PROVIDERS[provider])


SERVED = [(provider, name) for provider in PROVIDERS for name in REQUESTS if fits(name, provider)]
# One of each mode at each gateway.
SAMPLED = list({(provider, REQUESTS[name]["mode"]): (provider, name) for provider, name in SERVED}.values())
NOT_SERVED = {(provider, name) for provider in PROVIDERS for name in REQUESTS} - set(SERVED)


@pytest.mark.parametrize(("provider", "name"), [*SAMPLED, *(prove(*row) for row in SERVED if row not in SAMPLED)])
def test_what_fits_is_taken_made_and_archived(workshop: Workshop, sandbox: Any, provider: str, name: str) -> None:
    sandbox.set(film="small")
    job_id = workshop.create(provider=provider, **REQUESTS[name])
    case = workshop.until(job_id, State.ARCHIVED)
    [task] = sandbox.tasks(provider)
    assert task["mode"] == REQUESTS[name]["mode"]
    assert case.attempts[1].standing is Standing.CHARGED


def test_each_gateway_serves_what_its_pages_document_and_nothing_else() -> None:
    """Written out, so that no gateway loses or gains an ability unnoticed."""
    everywhere = {"text", "first frame", "reference images"}
    frames, clips = {"first and last frame", "first frame with sound"}, {"continuation", "continuation to a frame"}
    edits = {"edit", "edit by image", "edit keeping the sound"}
    assert {p: {n for q, n in SERVED if q == p} for p in PROVIDERS} == {
        "aivideoapi": everywhere
        | frames
        | edits
        | {"text with sound", "first frame and clip", "reference videos", "reference with frame"}
        | {"reference with voice", "edit of a length"},
        "apiframe": everywhere
        | frames
        | clips
        | edits
        | {"text with sound", "reference videos", "reference shots", "edit of a length"},
        "easyrouter": everywhere | {"edit", "edit by image"},
        "gravitex": everywhere
        | frames
        | {"text with sound", "continuation", "reference videos", "reference with frame", "reference with voice"},
        "evolink": everywhere
        | frames
        | clips
        | edits
        | {"text with sound", "reference videos", "reference with frame", "reference with voice"},
    }
    assert {mode.value for mode in Mode} == {body["mode"] for body in REQUESTS.values()}
