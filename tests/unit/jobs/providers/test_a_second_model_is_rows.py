"""Another model of the upstreams becomes rows of a gateway's tables, and nothing else learns of it."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from gateway_bodies import EVERY
from gateway_requests import plain, text

from jobs.machine import routing
from jobs.providers import apiframe
from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Ability, Length, MediaSet, Misfit, Text, Why
from jobs.providers.fitting import fit, misfits
from jobs.providers.prices import Estimate, estimate, operator_prices, price_names
from jobs.providers.registry import PROVIDERS
from jobs.reports.providers import describe
from jobs.request.generation import WAN_2_7, Generation, JobRequest, Mode
from rushes import provider_words
from rushes.api.schemas.providers import ProviderSchema

DOCS = Path(__file__).parents[4] / "docs"
HAIKU = "haiku-1"
ROW = Ability(
    model="haiku-1-fast",
    media=(MediaSet(),),
    duration=Length(3, 6),
    prompt=Text(170, required=True),
    negative_prompt=Text(20),
    resolutions=("720p",),
    credits_per_s={"720p": 7},
)


def with_the_row(provider: Provider) -> Provider:
    return replace(provider, abilities={**provider.abilities, (HAIKU, Mode.TEXT): ROW}, usd_per_credit=0.5)


def haiku(**fields: object) -> Generation:
    return replace(text(resolution="720p"), model=HAIKU, **fields)  # type: ignore[arg-type]


@EVERY
def test_it_is_asked_for_by_the_gateways_own_name_of_it(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apiframe.PARAMS, ROW.model, "haiku1Params")  # a row as well
    request = fit(haiku(), with_the_row(provider))
    assert isinstance(request, Request)
    assert '"haiku-1-fast"' in json.dumps(request.body)
    assert fit(text(), with_the_row(provider)) == fit(text(), provider)


@EVERY
def test_its_own_limits_hold_and_no_others(provider: Provider) -> None:
    sold = with_the_row(provider)
    found = misfits(haiku(duration=7, resolution="1080p", prompt="x" * 171), sold)
    assert [(misfit.field, misfit.allowed) for misfit in found] == [
        ("prompt", "at most 170 characters"),
        ("duration", "3 to 6 seconds"),
        ("resolution", "720p"),
    ]
    assert misfits(text(duration=7, prompt="x" * 171), sold) == []
    assert misfits(replace(plain(Mode.IMAGE), model=HAIKU), sold) == [
        Misfit("mode", "image-to-video", "text-to-video", Why.NO_FIELD)
    ]


def test_it_is_routed_to_who_sells_it_at_its_own_price() -> None:
    gateways = {**PROVIDERS, "evolink": with_the_row(PROVIDERS["evolink"])}
    found = routing.candidates(JobRequest(haiku(duration=4), ()), gateways, gateways)
    assert routing.route(found) == ["evolink"]
    assert {candidate.name: candidate.estimate for candidate in found if candidate.estimate} == {
        "evolink": Estimate(4, 28, 14, exact=True)
    }
    for other in found:
        if other.name != "evolink":
            assert other.misfits == (Misfit("model", HAIKU, WAN_2_7, Why.NO_FIELD),)


def test_an_operators_price_is_for_the_model_that_it_names() -> None:
    sold = with_the_row(PROVIDERS["evolink"])
    named = {"720p": 1.0, "haiku-1/720p": 2.0}
    assert named.keys() | {"haiku-1/text-to-video/720p"} <= price_names(sold)
    assert "haiku-1/720p" not in price_names(PROVIDERS["evolink"])
    paying = replace(sold, usd_per_s=operator_prices(named, sold))
    assert estimate(text(resolution="720p", duration=5), paying).usd == 5
    assert estimate(haiku(duration=5), paying).usd == 10


@EVERY
def test_it_is_shown_beside_the_default_model_in_the_answer_and_in_words(provider: Provider) -> None:
    told, before = describe(with_the_row(provider)), describe(provider)
    assert list(told["models"]) == [WAN_2_7, HAIKU]
    assert told["modes"] == told["models"][WAN_2_7]
    assert told["modes"].keys() == before["modes"].keys()
    assert told["models"][HAIKU]["text-to-video"]["price_per_s"] == {"720p": {"credits": 7, "usd": 3.5}}
    assert ProviderSchema().validate(told) == {}
    kinds = provider_words.kinds(told)
    assert list(kinds) == [*before["modes"], "haiku-1 text-to-video"]
    assert provider_words.ability(kinds["haiku-1 text-to-video"], told)["duration"] == "3 to 6 s"


def test_its_column_stands_in_the_gateways_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    generate = importlib.import_module("generate")
    monkeypatch.setitem(PROVIDERS, "evolink", with_the_row(PROVIDERS["evolink"]))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in generate.abilities("evolink").splitlines()]
    last = {row[0]: row[-1] for row in rows}
    assert last[""] == "haiku-1 text-to-video"
    assert (last["model"], last["duration"], last["1080p, per second"]) == ("haiku-1-fast", "3 to 6 s", "–")
