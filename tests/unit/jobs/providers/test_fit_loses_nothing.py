"""No two wishes that mean different videos make the same request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from drawn_requests import RELAXED, generations
from gateway_requests import BOY, GIRL, SPEAKING_BOY, SPEAKING_GIRL, plain, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.providers.base import Provider, Request
from jobs.providers.fitting import fit
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import RATIOS, RESOLUTIONS, WAN_2_7, Generation, Media, Mode


def other_wishes(spec: Generation) -> Iterator[tuple[str, Generation]]:
    """The request with one thing changed, all ways but those that mean the same."""
    wishes: dict[str, Iterable[Any]] = {
        "prompt": [f"{spec.prompt} and a hare"],
        "negative_prompt": ["other", None],
        "resolution": RESOLUTIONS,
        "ratio": RATIOS,
        "duration": range(16),
        "seed": [None, 1, 2],
        "prompt_extend": [True, False],
        "watermark": [True, False],
        "audio_setting": ["origin"],  # auto is what every gateway does unasked
        "shot_type": [None, "single", "multi"],
    }
    for field, values in wishes.items():
        for value in values:
            if value != getattr(spec, field):
                yield f"{field} {value}", replace(spec, **{field: value})
    for place, item in enumerate(spec.media):
        before, after = spec.media[:place], spec.media[place + 1 :]
        yield f"another {item.type}", replace(spec, media=(*before, replace(item, url="https://h/other"), *after))
        yield f"no {item.type}", replace(spec, media=before + after)
        if item.reference_voice:
            mute = replace(item, reference_voice=None)
            yield "another voice", replace(spec, media=(*before, replace(item, reference_voice="https://h/v"), *after))
            yield "no voice", replace(spec, media=(*before, mute, *after))
            if after and after[0].type == item.type and not after[0].reference_voice:
                moved = replace(after[0], reference_voice=item.reference_voice)
                yield "the voice of the next", replace(spec, media=(*before, mute, moved, *after[1:]))
        if after and after[0].type == item.type:
            yield "their order", replace(spec, media=(*before, after[0], item, *after[1:]))


@pytest.mark.parametrize("mode", Mode)
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
@given(data=st.data())
def test_whatever_one_thing_is_changed_the_request_is_another(mode: Mode, data: st.DataObject) -> None:
    spec = data.draw(generations(mode))
    for provider in PROVIDERS.values():
        request = fit(spec, provider)
        if isinstance(request, Request):
            for change, other in other_wishes(spec):
                assert fit(other, provider) != request, (provider.name, change)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_asking_aloud_for_what_is_done_unasked_changes_nothing(provider: Provider) -> None:
    for mode in provider.modes(WAN_2_7):
        said = {"resolution": "1080p", "prompt_extend": True, "watermark": False}
        if mode in (Mode.TEXT, Mode.REFERENCE):
            said["ratio"] = "16:9"
        said |= {"duration": 0, "audio_setting": "auto"} if mode is Mode.EDIT else {"duration": 5}
        assert fit(plain(mode, **said), provider) == fit(plain(mode), provider)


@pytest.mark.parametrize("name", ["gravitex", "evolink"])
def test_two_voices_that_change_places_are_another_request(name: str) -> None:
    ours = fit(reference(SPEAKING_GIRL, SPEAKING_BOY), PROVIDERS[name])
    girl = Media("reference_image", "https://h/girl.png", "https://h/boy.mp3")
    boy = Media("reference_image", "https://h/boy.png", "https://h/girl.mp3")
    crossed = fit(replace(reference(GIRL, BOY), media=(girl, boy)), PROVIDERS[name])
    assert isinstance(ours, Request)
    assert isinstance(crossed, Request)
    assert ours != crossed
