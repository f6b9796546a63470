"""What every gateway's module must ask, whichever it is: the other half of test_contract.py."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from gateway_bodies import EVERY
from gateway_requests import AUDIO, SPEAKING_GIRL, least, plain, reference, text

from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Why
from jobs.providers.fitting import fit, misfits
from jobs.providers.prices import Estimate, estimate
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import WAN_2_7, Kind, Mode

EVERY_ABILITY = pytest.mark.parametrize(
    ("provider", "kind"),
    [(provider, kind) for provider in PROVIDERS.values() for kind in provider.abilities],
    ids=["-".join((provider.name, *kind)) for provider in PROVIDERS.values() for kind in provider.abilities],
)


def request(provider: Provider, kind: Kind, callback_url: str | None = None, **fields: Any) -> Request:
    """What is sent for the least that can be asked of a model in a mode, and these fields."""
    fitted = fit(least(kind, **fields), provider, callback_url)
    assert isinstance(fitted, Request)
    return fitted


def body(provider: Provider, kind: Kind, callback_url: str | None = None, **fields: Any) -> str:
    return json.dumps(request(provider, kind, callback_url, **fields).body, ensure_ascii=False)


@EVERY
def test_a_query_puts_the_id_into_one_step_of_the_path(provider: Provider) -> None:
    query = provider.query_request("a/../b?c#d é")
    assert (query.method, query.body) == ("GET", None)
    assert query.path.endswith("/a%2F..%2Fb%3Fc%23d%20%C3%A9")


@EVERY_ABILITY
def test_a_callback_url_is_sent_only_where_there_are_callbacks_and_only_when_given(
    provider: Provider, kind: Kind
) -> None:
    url = "https://rushes.example/webhooks/x"
    assert (url in body(provider, kind, url)) == (provider.callbacks is not None)
    without = body(provider, kind).lower()
    assert "callback" not in without
    assert "webhook" not in without


@EVERY_ABILITY
def test_the_model_the_prompt_and_the_resolution_are_always_said(provider: Provider, kind: Kind) -> None:
    for resolution in provider.abilities[kind].resolutions:
        said = body(provider, kind, resolution=resolution, prompt="狐狸 🦊")
        assert f'"{provider.abilities[kind].model}"' in said
        assert '"狐狸 🦊"' in said
        assert f'"{resolution}"' in said.lower()


@EVERY_ABILITY
def test_a_length_is_said_wherever_one_can_be_asked_for(provider: Provider, kind: Kind) -> None:
    length = provider.abilities[kind].duration
    if length is None:
        assert '"duration"' not in body(provider, kind)
    else:
        for seconds in (length.least, length.most):
            assert f'"duration": {seconds}' in body(provider, kind, duration=seconds)


@EVERY_ABILITY
def test_a_ratio_is_said_wherever_one_can_be_asked_for_and_sixteen_to_nine_where_none_was(
    provider: Provider, kind: Kind
) -> None:
    ratios = provider.abilities[kind].ratios
    for ratio in ratios:
        assert f'"{ratio}"' in body(provider, kind, ratio=ratio)
    assert ('"16:9"' in body(provider, kind)) == (kind[1] in (Mode.TEXT, Mode.REFERENCE))


@EVERY_ABILITY
def test_what_was_not_asked_for_is_not_sent_as_null_nor_as_an_empty_list(provider: Provider, kind: Kind) -> None:
    said = body(provider, kind)
    for nothing in ("null", "[]", "{}", '""'):
        assert nothing not in said


@EVERY_ABILITY
def test_a_body_is_a_value_of_its_own_and_the_same_each_time(provider: Provider, kind: Kind) -> None:
    one, other = request(provider, kind), request(provider, kind)
    assert one == other
    assert one.body is not None
    assert json.loads(json.dumps(one.body)) == one.body


@EVERY
def test_the_key_is_in_the_headers_and_nowhere_else(provider: Provider) -> None:
    assert "sk-secret" in " ".join(provider.auth_headers("sk-secret").values())
    assert request(provider, (WAN_2_7, Mode.TEXT)).headers == {}


@EVERY
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"duration": 1}, "duration"),
        ({"duration": 16}, "duration"),
        ({"duration": 0}, "duration"),
        ({"negative_prompt": "x" * 2501}, "negative_prompt"),
        ({"audio_setting": "origin"}, "audio_setting"),
        ({"resolution": "480p"}, "resolution"),
        ({"ratio": "21:9"}, "ratio"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"prompt": None}, "prompt"),
        ({"media": reference(SPEAKING_GIRL).media}, "media"),
    ],
)
def test_what_no_gateway_can_make_of_a_text_is_a_misfit_that_names_the_field(
    provider: Provider, change: dict[str, Any], field: str
) -> None:
    assert {m.field for m in misfits(replace(text(), **change), provider)} == {field}


@EVERY
def test_the_sound_that_is_made_unasked_may_be_asked_for_everywhere(provider: Provider) -> None:
    assert misfits(replace(text(), audio_setting="auto"), provider) == []


@EVERY
def test_every_reason_is_told_not_the_first_alone(provider: Provider) -> None:
    spec = replace(text(AUDIO, negative_prompt="x" * 2501), duration=16, shot_type="single", seed=-1)
    told = [m.field for m in misfits(spec, provider) if m.field != "media"]
    assert told == ["negative_prompt", "duration", "seed", "shot_type"]


@EVERY
def test_a_mode_that_a_gateway_has_not_is_the_one_reason(provider: Provider) -> None:
    lacking = replace(provider, abilities={(WAN_2_7, Mode.TEXT): provider.abilities[WAN_2_7, Mode.TEXT]})
    [misfit] = misfits(plain(Mode.IMAGE, negative_prompt="x" * 2501), lacking)
    assert (misfit.field, misfit.given, misfit.allowed) == ("mode", "image-to-video", "text-to-video")
    assert misfit.why is Why.NO_FIELD


@EVERY_ABILITY
def test_an_ability_has_a_price_for_every_resolution_or_for_none(provider: Provider, kind: Kind) -> None:
    sizes = provider.abilities[kind].resolutions
    prices: list[Estimate] = [estimate(least(kind, resolution=size), provider) for size in sizes]
    assert len({price.credits is None for price in prices}) == 1
    for price in prices:
        assert price.credits is None or price.credits > 0
        known = price.credits is not None and provider.usd_per_credit is not None
        assert (price.usd is not None) == known
