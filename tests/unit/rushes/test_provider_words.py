from __future__ import annotations

import pytest

from jobs.providers.registry import PROVIDERS, Terms, on_terms
from jobs.reports.providers import describe
from rushes import provider_words


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        (0, "$0.00"),
        (0.2, "$0.20"),
        (0.086, "$0.086"),
        (0.000002, "$0.000002"),
        (1234.5, "$1,234.50"),
        (100, "$100.00"),
        (None, None),
    ],
)
def test_dollars_have_cents_and_as_many_more_digits_as_they_need(usd: float | None, said: str | None) -> None:
    assert provider_words.dollars(usd) == said


@pytest.mark.parametrize(("unit", "said"), [("credit", "17 credits"), ("quota unit", "17 quota units"), ("¥", "17 ¥")])
def test_credits_bear_their_unit(unit: str, said: str) -> None:
    assert provider_words.credits(17.0, unit) == said


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_fact_is_said_and_every_mode_says_the_same_things(name: str) -> None:
    told = describe(PROVIDERS[name])
    assert all(provider_words.facts(told).values())
    modes = [provider_words.ability(mode, told) for mode in told["modes"].values()]
    assert {tuple(mode) for mode in modes} == {tuple(modes[0])}
    assert all(said for mode in modes for said in mode.values())


def test_a_switch_says_whether_it_is_on() -> None:
    for words, said in ((frozenset[str](), "off"), (frozenset({"first_clip"}), "on")):
        told = describe(on_terms({"aivideoapi": Terms(words)})["aivideoapi"])
        mode = provider_words.ability(told["modes"]["image-to-video"], told)
        assert mode["media"].endswith(f"first_clip, if wanted with driving_audio (switch first_clip: {said})")


def test_prices_over_modes_are_a_span() -> None:
    assert provider_words.price_span(describe(PROVIDERS["apiframe"]), "1080p") == "17–26 credits"
    assert provider_words.price_span(describe(PROVIDERS["evolink"]), "1080p") == "$0.144"
    assert provider_words.price_span(describe(PROVIDERS["gravitex"]), "1080p") is None
    named = on_terms({"gravitex": Terms(usd_per_s={"720p": 0.1, "image-to-video/720p": 0.3})})["gravitex"]
    assert provider_words.price_span(describe(named), "720p") == "$0.10–$0.30"


def test_what_a_gateway_would_change_in_silence_is_said() -> None:
    told = describe(PROVIDERS["evolink"])
    assert provider_words.ability(told["modes"]["text-to-video"], told)["prompt"] == (
        "5000 characters; more would be cut in silence"
    )
    edit = describe(PROVIDERS["aivideoapi"])
    assert provider_words.ability(edit["modes"]["video-edit"], edit)["at most"] == (
        "1 reference_image; more would be dropped in silence"
    )
    apiframe = describe(PROVIDERS["apiframe"])
    assert "UTF-16" in provider_words.ability(apiframe["modes"]["text-to-video"], apiframe)["prompt"]
