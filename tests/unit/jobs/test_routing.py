from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases import accepted, attempt, failed, refused

from jobs import routing
from jobs.errors import BadRequest
from jobs.generation import JobRequest, Mode, load_request
from jobs.providers.base import Misfit, Price, Provider
from jobs.providers.registry import PROVIDERS
from jobs.records import AttemptOutcome


def request(**fields: Any) -> JobRequest:
    return load_request({"prompt": "A fox", "resolution": "720p", "duration": 5, **fields})


def gateway(name: str, usd: float | None, misfits: list[Misfit] | None = None) -> Provider:
    """A gateway whose second of video costs this much."""
    prices = None if usd is None else Price({(Mode.TEXT, "720p"): usd}, usd_per_credit=1)
    return replace(PROVIDERS["evolink"], name=name, prices=prices, misfits=lambda _: misfits or [])


GATEWAYS = {g.name: g for g in (gateway("dear", 3), gateway("unknown", None), gateway("cheap", 1), gateway("fair", 2))}


def test_auto_takes_the_cheapest_first_and_an_unpublished_price_last() -> None:
    assert routing.route(request(), GATEWAYS, GATEWAYS) == ["cheap", "fair", "dear", "unknown"]


def test_a_list_keeps_the_clients_order() -> None:
    assert routing.route(request(provider=["unknown", "cheap"]), GATEWAYS, GATEWAYS) == ["unknown", "cheap"]


def test_only_gateways_with_a_key_serve() -> None:
    assert routing.route(request(), GATEWAYS, {"dear"}) == ["dear"]
    assert routing.route(request(provider=["cheap", "dear"]), GATEWAYS, {"dear"}) == ["dear"]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadRequest) as caught:
        routing.route(request(provider=["cheap", "cheep"]), GATEWAYS, GATEWAYS)
    assert caught.value.fields == {"provider": ["Knows no cheep; choose from cheap, dear, fair, unknown."]}


def test_without_any_key_the_variables_are_named() -> None:
    with pytest.raises(BadRequest, match="RUSHES_CHEAP_API_KEY") as caught:
        routing.route(request(provider="cheap"), GATEWAYS, ())
    assert list(caught.value.fields) == ["provider"]


def test_with_auto_and_no_key_at_all_every_variable_is_named() -> None:
    with pytest.raises(BadRequest, match=r"RUSHES_CHEAP_API_KEY, RUSHES_DEAR_API_KEY"):
        routing.route(request(), GATEWAYS, ())


def test_a_gateway_that_cannot_make_it_is_passed_over() -> None:
    narrow = {**GATEWAYS, "cheap": gateway("cheap", 1, [Misfit("seed", 7, "no seed at cheap")])}
    assert routing.route(request(), narrow, narrow) == ["fair", "dear", "unknown"]


def test_when_nobody_can_make_it_every_reason_is_told_by_field() -> None:
    narrow = {
        "one": gateway("one", 1, [Misfit("seed", 7, "no seed at one")]),
        "two": gateway("two", 1, [Misfit("seed", 7, "no seed at two"), Misfit("ratio", "4:3", "16:9 at two")]),
    }
    with pytest.raises(BadRequest) as caught:
        routing.route(request(seed=7, ratio="4:3"), narrow, narrow)
    fields = caught.value.fields
    assert set(fields) == {"seed", "ratio"}
    assert ["no seed at one" in said for said in fields["seed"]] == [True, False]
    assert ["no seed at two" in said for said in fields["seed"]] == [False, True]
    assert "'4:3'" in fields["ratio"][0]


def test_every_real_gateway_can_make_a_plain_video() -> None:
    assert set(routing.route(request(), PROVIDERS, PROVIDERS)) == set(PROVIDERS)


ROUTE = ["one", "two", "three"]


def test_a_gateway_that_refused_the_request_is_not_asked_again() -> None:
    assert routing.remaining(ROUTE, [refused(provider="one")]) == ["two", "three"]


@pytest.mark.parametrize("code", ["rate_limited", "insufficient_credits", "unauthorized"])
def test_a_refusal_that_is_about_the_key_keeps_the_gateway(code: str) -> None:
    assert routing.remaining(ROUTE, [refused(provider="one", code=code)]) == ROUTE


def test_a_gateway_that_failed_the_job_comes_last() -> None:
    assert routing.remaining(ROUTE, [failed(provider="one")]) == ["two", "three", "one"]


def test_open_and_unsent_attempts_change_nothing() -> None:
    tried = [accepted(provider="one"), attempt(2, provider="two", outcome=AttemptOutcome.NOT_SENT)]
    assert routing.remaining(ROUTE, tried) == ROUTE


def test_nothing_is_left_once_all_have_refused() -> None:
    assert routing.remaining(["one"], [refused(provider="one", code="invalid_request")]) == []
