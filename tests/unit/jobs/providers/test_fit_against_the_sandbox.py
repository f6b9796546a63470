"""Two readings of the same pages: what we say a gateway takes, and what the sandbox's gateway takes.

`fit` accepts: the sandbox accepts, and its order shows what was asked. A reason is a limit: the sandbox refuses the
translation that is sent all the same. A reason is that something is altered: the sandbox refuses, or its order shows
another value there. The other reasons are statements of ours about the page, which no refusal proves or disproves: that
it has no field for a wish, and that it does not document a set of media.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import pytest
from drawn_requests import RELAXED, generations
from gateway_requests import DANCE, GIRL, VOICE, edit, items, plain, reference
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sandbox_orders import order_of, unlike

from jobs.errors import BadRequest
from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Voices, Why
from jobs.providers.fitting import fit
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import WAN_2_7, Generation, Mode
from jobs.request.schema import MEDIA, load_request
from sandbox.tasks import Order

CALLBACK = "https://rushes.example/webhooks/x"
TOLD = {"duration": 4, "seed": 7, "negative_prompt": "blur", "ratio": "9:16"}
MANY = settings(max_examples=150, deadline=None, suppress_health_check=RELAXED)
ALWAYS_THE_SAME = settings(MANY, max_examples=400, derandomize=True, database=None, phases=[Phase.generate])


def compare(spec: Generation, provider: Provider) -> list[tuple[str, str]]:
    """Hold both readings of one request against each other. Returns the reasons met; none: it fits."""
    callback_url = CALLBACK if provider.callbacks else None
    fitted = fit(spec, provider, callback_url)
    if isinstance(fitted, Request):
        order = order_of(fitted, provider)
        assert isinstance(order, Order), order
        assert unlike(spec, order, provider) == []
        assert order.callback_url == callback_url
        return []
    if any(misfit.why in (Why.LIMIT, Why.ALTERED) for misfit in fitted):
        order = order_of(provider.request_for(spec, callback_url), provider)
        if any(misfit.why is Why.LIMIT for misfit in fitted):
            assert isinstance(order, str), fitted
        elif isinstance(order, Order):
            altered = {misfit.field for misfit in fitted if misfit.why is Why.ALTERED}
            assert altered <= set(unlike(spec, order, provider))
    return [(misfit.field, misfit.why.value) for misfit in fitted]


@pytest.mark.parametrize("mode", Mode)
@MANY
@given(data=st.data())
def test_whatever_is_asked_both_readings_agree(mode: Mode, data: st.DataObject) -> None:
    spec = data.draw(generations(mode))
    for provider in PROVIDERS.values():
        compare(spec, provider)


def sets_of_media(mode: Mode) -> list[Generation]:
    """Every set of media types that a mode takes anywhere, with a voice in its references, beside them, and without."""
    found = []
    kinds = [*MEDIA[mode].most, "speaking"]
    for size in range(len(kinds) + 1):
        for chosen in combinations(kinds, size):
            files = [{"type": kind, "url": f"https://h/{kind}"} for kind in chosen if kind != "speaking"]
            if "speaking" in chosen:
                speaking = [file for file in files if file["type"] in MEDIA[Mode.REFERENCE].leads]
                for file in speaking:
                    file["reference_voice"] = f"{file['url']}/voice"
            try:
                found.append(load_request({"mode": mode.value, "prompt": "p", "media": files}).generation)
            except BadRequest:
                continue
    return found


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_both_readings_agree_on_every_set_of_media(provider: Provider, mode: Mode) -> None:
    reasons = [compare(spec, provider) for spec in sets_of_media(mode)]
    assert ([] in reasons) == (mode in provider.modes(WAN_2_7))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_both_readings_agree_on_every_length_and_every_number_of_references(provider: Provider, mode: Mode) -> None:
    lengths = [0, *range(2, 16)] if mode is Mode.EDIT else range(2, 16)
    fits = [seconds for seconds in lengths if not compare(plain(mode, duration=seconds), provider)]
    assert bool(fits) == (mode in provider.modes(WAN_2_7))
    if mode is Mode.REFERENCE:
        for seconds in lengths:
            compare(reference(GIRL, DANCE, duration=seconds), provider)
            compare(reference(DANCE, duration=seconds), provider)
    for images in range(12):
        for videos in range(7) if mode is Mode.REFERENCE else (0,):
            files = [*items("reference_image", images), *items("reference_video", videos)]
            if mode is Mode.REFERENCE and 0 < len(files) <= 16:
                compare(reference(*files), provider)
            elif mode is Mode.EDIT:
                compare(edit(*items("video", 1), *files), provider)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_both_readings_agree_on_whoever_speaks(provider: Provider) -> None:
    met = set()
    for images, videos in ((1, 0), (0, 1), (2, 0), (1, 1), (3, 0), (2, 1), (0, 2)):
        files = [*items("reference_image", images), *items("reference_video", videos)]
        for speaking in product((False, True), repeat=len(files)):
            heard = [
                file | ({"reference_voice": f"{file['url']}/voice"} if speaks else {})
                for file, speaks in zip(files, speaking, strict=True)
            ]
            for spec in (reference(*heard), reference(*reversed(heard)), reference(VOICE, *heard)):
                voices = sum(speaking) + (len(spec.media) > len(heard))
                if not compare(spec, provider):
                    met.add(voices)
    most = {Voices.NONE: 0, Voices.ONE: 1, Voices.IN_ORDER: 3, Voices.EACH: 3}
    assert met == set(range(most[provider.abilities[WAN_2_7, Mode.REFERENCE].voices] + 1))


def test_a_request_that_a_gateway_would_misread_is_told_from_one_that_it_reads_right() -> None:
    """The comparison itself: it must see each kind of difference."""
    provider = PROVIDERS["evolink"]
    spec = reference(*items("reference_image", 2), **TOLD)
    order = order_of(provider.request_for(spec, None), provider)
    assert isinstance(order, Order)
    assert unlike(spec, order, provider) == []
    others: dict[str, Generation] = {
        "prompt": reference(*items("reference_image", 2), prompt="q", **TOLD),
        "negative_prompt": reference(*items("reference_image", 2), **TOLD | {"negative_prompt": None}),
        "resolution": reference(*items("reference_image", 2), resolution="720p", **TOLD),
        "ratio": reference(*items("reference_image", 2), **TOLD | {"ratio": "1:1"}),
        "duration": reference(*items("reference_image", 2), **TOLD | {"duration": 5}),
        "seed": reference(*items("reference_image", 2), **TOLD | {"seed": 8}),
        "media": reference(*reversed(items("reference_image", 2)), **TOLD),
    }
    assert {name: unlike(other, order, provider) for name, other in others.items()} == {n: [n] for n in others}
    spoken = [item | {"reference_voice": "https://h/voice"} for item in items("reference_image", 2)]
    assert unlike(reference(spoken[0], *items("reference_image", 1, 2), **TOLD), order, provider) == ["media", "voices"]


# What must have been met, beside "fits" wherever a gateway has the mode: field and reason.
MET: dict[str, dict[Mode, str]] = {
    "aivideoapi": {
        Mode.TEXT: "negative_prompt:limit shot_type:no_field",
        Mode.IMAGE: "media:limit media:undocumented negative_prompt:limit shot_type:no_field",
        Mode.REFERENCE: "media:limit media:no_field duration:limit negative_prompt:limit shot_type:no_field",
        Mode.EDIT: "media:altered duration:limit negative_prompt:limit shot_type:no_field",
    },
    "apiframe": {
        Mode.TEXT: "prompt:limit negative_prompt:limit watermark:no_field shot_type:no_field",
        Mode.IMAGE: "media:limit prompt:limit negative_prompt:limit watermark:no_field shot_type:no_field",
        Mode.REFERENCE: "media:limit media:no_field duration:limit prompt:limit prompt_extend:no_field",
        Mode.EDIT: "media:no_field duration:limit prompt:limit prompt_extend:no_field watermark:no_field",
    },
    "easyrouter": {
        Mode.TEXT: "media:no_field negative_prompt:limit prompt_extend:no_field watermark:no_field",
        Mode.IMAGE: "media:no_field media:undocumented negative_prompt:limit prompt_extend:no_field",
        Mode.REFERENCE: "media:limit media:no_field media:undocumented duration:limit negative_prompt:limit",
        Mode.EDIT: "media:limit duration:no_field ratio:no_field audio_setting:no_field prompt:limit",
    },
    "gravitex": {
        Mode.TEXT: "negative_prompt:limit shot_type:no_field",
        Mode.IMAGE: "media:limit media:undocumented negative_prompt:limit shot_type:no_field",
        Mode.REFERENCE: "media:limit media:no_field duration:limit negative_prompt:limit shot_type:no_field",
        Mode.EDIT: "mode:no_field",
    },
    "evolink": {
        Mode.TEXT: "seed:limit negative_prompt:altered watermark:no_field shot_type:no_field",
        Mode.IMAGE: "media:limit seed:limit negative_prompt:altered watermark:no_field shot_type:no_field",
        Mode.REFERENCE: "media:limit media:no_field duration:limit seed:limit negative_prompt:altered",
        Mode.EDIT: "media:limit duration:no_field ratio:no_field seed:limit negative_prompt:altered",
    },
}


@pytest.mark.parametrize("mode", Mode)
def test_what_is_drawn_meets_every_gateway_and_every_kind_of_misfit(mode: Mode) -> None:
    met: dict[str, Counter[str]] = {name: Counter() for name in PROVIDERS}

    @ALWAYS_THE_SAME
    @given(spec=generations(mode))
    def draw(spec: Generation) -> None:
        for name, provider in PROVIDERS.items():
            met[name].update(f"{field}:{why}" for field, why in compare(spec, provider) or [("all", "fits")])

    draw()
    for name, provider in PROVIDERS.items():
        wanted = set(MET[name][mode].split()) | ({"all:fits"} if mode in provider.modes(WAN_2_7) else set())
        assert wanted <= met[name].keys(), name
