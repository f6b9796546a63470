"""The tables of what gateways can do: whole, consistent, and within what a request can ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from gateway_requests import (
    BOY,
    FRAME,
    GIRL,
    LAST,
    SPEAKING_GIRL,
    VIDEO,
    VOICE,
    edit,
    image,
    items,
    least,
    reference,
    text,
)
from sandbox_orders import order_of

from jobs.machine import routing
from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Ability, MediaSet, Misfit, Voices, Why
from jobs.providers.fitting import fit, misfits
from jobs.providers.prices import Estimate, estimate
from jobs.providers.registry import PROVIDERS, Terms, on_terms
from jobs.request.fields import CHOICES, LONGEST_PROMPT
from jobs.request.generation import LARGEST_SEED, RATIOS, RESOLUTIONS, WAN_2_7, Generation, JobRequest, Mode
from jobs.request.schema import MANY, MEDIA
from sandbox.tasks import Order

ABILITIES = [(p, kind, ability) for p in PROVIDERS.values() for kind, ability in p.abilities.items()]
EVERY_ABILITY = pytest.mark.parametrize(
    ("provider", "mode", "ability"),
    [(provider, mode, ability) for provider, (_, mode), ability in ABILITIES],
    ids=["-".join((provider.name, *kind)) for provider, kind, _ in ABILITIES],
)


def types(ability: Ability) -> frozenset[str]:
    return frozenset().union(*(each.types for each in ability.media))


def test_every_gateway_makes_a_video_of_a_text_a_picture_and_references() -> None:
    for provider in PROVIDERS.values():
        assert {Mode.TEXT, Mode.IMAGE, Mode.REFERENCE} <= set(provider.modes(WAN_2_7))
    assert [name for name, provider in PROVIDERS.items() if Mode.EDIT not in provider.modes(WAN_2_7)] == ["gravitex"]


def test_the_sandbox_has_every_model_under_its_mode() -> None:
    for provider, kind, ability in ABILITIES:
        request = fit(least(kind), provider)
        assert isinstance(request, Request), (provider.name, kind)
        order = order_of(request, provider)
        assert isinstance(order, Order), (provider.name, kind)
        assert (order.model, order.mode) == (ability.model, kind[1].value)


@EVERY_ABILITY
def test_media_are_what_the_mode_takes_and_each_set_can_lead_it(
    provider: Provider, mode: Mode, ability: Ability
) -> None:
    rule = MEDIA[mode]
    assert types(ability) <= set(rule.most) - {"reference_voice"}
    for each in ability.media:
        assert not set(each.needs) & set(each.may)
        assert not rule.leads or each.types & set(rule.leads)
        assert len(set(each.needs + each.may)) == len(each.needs + each.may)


@EVERY_ABILITY
def test_a_set_that_must_be_turned_on_is_not_documented_by_another(
    provider: Provider, mode: Mode, ability: Ability
) -> None:
    documented = [each for each in ability.media if not each.undocumented]
    assert documented
    for each in ability.media:
        if each.undocumented:
            assert not any(set(other.needs) <= set(each.needs) and each.types <= other.types for other in documented)


@EVERY_ABILITY
def test_counts_are_of_media_that_the_sets_have_and_of_those_that_may_be_many(
    provider: Provider, mode: Mode, ability: Ability
) -> None:
    for count in ability.counts:
        assert set(count.types) <= types(ability)
        assert 1 <= count.most < MANY
        assert count.beyond in (Why.LIMIT, Why.ALTERED, Why.NO_FIELD)
    many = {kind for kind, most in MEDIA[mode].most.items() if most > 1}
    documented = frozenset().union(*(each.types for each in ability.media if not each.undocumented))
    assert many & documented <= {kind for count in ability.counts for kind in count.types}


@EVERY_ABILITY
def test_lengths_are_within_what_can_be_asked(provider: Provider, mode: Mode, ability: Ability) -> None:
    length = ability.duration
    if length is None or length.whole_input:
        assert mode is Mode.EDIT
    if length is not None:
        assert 2 <= length.least <= 5 <= length.most <= 15  # 5 is our default
        assert length.most_with.keys() <= types(ability)
        assert all(5 <= most < length.most for most in length.most_with.values())


@EVERY_ABILITY
def test_texts_are_within_what_can_be_asked(provider: Provider, mode: Mode, ability: Ability) -> None:
    assert ability.prompt.longest == LONGEST_PROMPT
    assert ability.prompt.required or mode is Mode.EDIT
    assert 1 <= ability.negative_prompt.longest < LONGEST_PROMPT
    assert not ability.negative_prompt.required
    assert ability.prompt.utf16 == ability.negative_prompt.utf16


@EVERY_ABILITY
def test_choices_are_words_that_can_be_asked(provider: Provider, mode: Mode, ability: Ability) -> None:
    assert ability.resolutions == RESOLUTIONS
    assert ability.ratios in ((), RATIOS)
    assert ability.unasked_ratio in (*RATIOS, "as the input")
    if mode in (Mode.TEXT, Mode.REFERENCE):
        assert (ability.ratios, ability.unasked_ratio) == (RATIOS, "16:9")
    if mode is Mode.IMAGE:
        assert (ability.ratios, ability.unasked_ratio) == ((), "as the input")
    least, most = ability.seed
    assert (least in (0, 1), most) == (True, LARGEST_SEED)
    for field in CHOICES:
        assert set(ability.offer(field)) <= set(field.values), field.name
    assert True in ability.prompt_extend  # what is meant where nothing is said
    assert False in ability.watermark
    assert mode is Mode.EDIT or ability.audio_setting == ()
    assert ability.voices is Voices.NONE or mode is Mode.REFERENCE


@EVERY_ABILITY
def test_prices_are_for_both_resolutions_or_for_none_and_more_pixels_are_never_cheaper(
    provider: Provider, mode: Mode, ability: Ability
) -> None:
    assert ability.credits_per_s.keys() in ({"720p", "1080p"}, set())
    if ability.credits_per_s:
        assert 0 < ability.credits_per_s["720p"] <= ability.credits_per_s["1080p"]


@EVERY_ABILITY
def test_notes_on_files_are_about_files_that_the_mode_takes(provider: Provider, mode: Mode, ability: Ability) -> None:
    voices = set() if ability.voices is Voices.NONE else {"reference_voice"}
    assert ability.files.keys() <= types(ability) | voices
    assert all(said.strip() for said in ability.files.values())


@pytest.mark.parametrize(
    ("name", "switches"),
    [
        ("aivideoapi", {"first_clip": "wan-2.7-image-to-video: first_clip, driving_audio"}),
        ("apiframe", {}),
        (
            "easyrouter",
            {
                "last_frame": "wan2.7-i2v: first_frame, last_frame",
                "first_clip": "wan2.7-i2v: first_clip, last_frame",
                "reference_video": "wan2.7-r2v: reference_image, reference_video",
            },
        ),
        ("gravitex", {"clip_with_last_frame": "wan2.7-i2v-2026-04-25: first_clip, last_frame"}),
        ("evolink", {}),
    ],
)
def test_what_is_undocumented_is_off_until_the_operator_turns_it_on(name: str, switches: Mapping[str, str]) -> None:
    provider = PROVIDERS[name]
    assert provider.undocumented == frozenset()
    assert provider.switches == switches
    sets = [each for ability in provider.abilities.values() for each in ability.media if each.undocumented]
    assert not any(map(provider.offers, sets))
    for word in switches:
        opened = replace(provider, undocumented=frozenset({word}))
        assert [each.undocumented for each in sets if opened.offers(each)] == [word]
    assert provider.offers(MediaSet(("first_frame",)))


# Why -> every way to meet it, as (gateway, what is asked, the field).
REASONS: dict[Why, list[tuple[str, Generation, str]]] = {
    Why.LIMIT: [
        ("gravitex", text(negative_prompt="x" * 501), "negative_prompt"),
        ("apiframe", edit(VIDEO, prompt=None), "prompt"),
        ("evolink", text(seed=0), "seed"),
        ("aivideoapi", reference(GIRL, duration=11), "duration"),
        ("evolink", reference(*items("reference_image", 6)), "media"),
        ("apiframe", image(FRAME, {"type": "first_clip", "url": "https://h/c"}), "media"),
    ],
    Why.ALTERED: [
        ("evolink", text(negative_prompt="x" * 501), "negative_prompt"),
        ("aivideoapi", edit(VIDEO, GIRL, BOY), "media"),
    ],
    Why.NO_FIELD: [
        ("gravitex", edit(VIDEO), "mode"),
        ("easyrouter", edit(VIDEO, duration=5), "duration"),
        ("easyrouter", text(watermark=True), "watermark"),
        ("easyrouter", text(prompt_extend=False), "prompt_extend"),
        ("evolink", text(shot_type="multi"), "shot_type"),
        ("easyrouter", edit(VIDEO, audio_setting="origin"), "audio_setting"),
        ("evolink", edit(VIDEO, ratio="1:1"), "ratio"),
        ("apiframe", reference(SPEAKING_GIRL), "media"),
        ("aivideoapi", reference(SPEAKING_GIRL, BOY), "media"),
        ("evolink", reference(GIRL, BOY, VOICE), "media"),
        ("apiframe", edit(VIDEO, GIRL, BOY), "media"),
    ],
    Why.UNDOCUMENTED: [("easyrouter", image(FRAME, LAST), "media")],
}
CASES: list[Any] = [(name, spec, field, why) for why, met in REASONS.items() for name, spec, field in met]


@pytest.mark.parametrize(
    ("name", "spec", "field", "why"), CASES, ids=[f"{why}-{name}-{field}" for name, _, field, why in CASES]
)
def test_each_reason_is_given_where_it_is_the_only_one(name: str, spec: Generation, field: str, why: Why) -> None:
    assert [(misfit.field, misfit.why) for misfit in misfits(spec, PROVIDERS[name])] == [(field, why)]


def test_what_has_no_price_or_too_high_a_one_is_routings_reason() -> None:
    configured, request = ["gravitex", "easyrouter"], JobRequest(text(duration=10), ())
    found = routing.candidates(request, PROVIDERS, configured, {"gravitex": 5, "easyrouter": 1})
    assert {candidate.name: [m.why for m in candidate.misfits] for candidate in found} == {
        "easyrouter": [Why.UNPRICED],
        "gravitex": [Why.UNPRICED],
    }


def test_no_reason_is_without_a_test() -> None:
    assert set(Why) - REASONS.keys() == {Why.UNPRICED}


def test_a_misfit_says_what_is_allowed() -> None:
    for name, spec, _, _ in CASES:
        for misfit in misfits(spec, PROVIDERS[name]):
            assert isinstance(misfit, Misfit)
            assert misfit.allowed.strip() == misfit.allowed != ""


def test_an_operators_terms_are_laid_over_the_pages() -> None:
    terms = {
        "gravitex": Terms(
            undocumented=frozenset({"clip_with_last_frame"}),
            usd_per_s={"1080p": 0.2, "image-to-video/1080p": 0.3},
        ),
        "apiframe": Terms(usd_per_credit=0.01),
    }
    providers = on_terms(terms)
    assert providers.keys() == PROVIDERS.keys()
    assert providers["evolink"] == PROVIDERS["evolink"]
    gravitex = providers["gravitex"]
    assert estimate(text(), gravitex) == Estimate(5, None, 1.0, exact=True)
    assert estimate(image(FRAME), gravitex) == Estimate(5, None, 1.5, exact=True)
    assert estimate(text(resolution="720p"), gravitex) == Estimate(5, None, None, exact=True)
    assert gravitex.undocumented == {"clip_with_last_frame"}
    assert estimate(text(duration=8), providers["apiframe"]).usd == 1.36


def test_a_longer_video_is_never_cheaper() -> None:
    for provider, kind, ability in ABILITIES:
        if ability.duration is not None:
            lengths = range(ability.duration.least, ability.duration.most + 1)
            prices = [estimate(least(kind, duration=seconds), provider).credits or 0 for seconds in lengths]
            assert all(shorter <= longer for shorter, longer in pairwise(prices))
