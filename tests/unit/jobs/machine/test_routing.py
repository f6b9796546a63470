from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from made_cases import accepted, attempt, failed, refused

from jobs.errors import BadRequest
from jobs.machine import routing
from jobs.machine.routing import Candidate, Obstacle
from jobs.machine.rows import AttemptOutcome
from jobs.providers.base import Provider
from jobs.providers.capabilities import Length
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import WAN_2_7, JobRequest, Mode
from jobs.request.schema import load_request


def request(**fields: Any) -> JobRequest:
    return load_request({"prompt": "A fox", "resolution": "720p", "duration": 5, **fields})


def gateway(name: str, usd: float | None, **narrower: Any) -> Provider:
    """A gateway whose second of video costs this much, and which makes text-to-video alone."""
    prices = {} if usd is None else {"720p": usd, "1080p": 2 * usd}
    ability = replace(PROVIDERS["aivideoapi"].abilities[WAN_2_7, Mode.TEXT], credits_per_s=prices, **narrower)
    return replace(PROVIDERS["aivideoapi"], name=name, abilities={(WAN_2_7, Mode.TEXT): ability}, usd_per_credit=1)


GATEWAYS = {g.name: g for g in (gateway("dear", 3), gateway("unknown", None), gateway("cheap", 1), gateway("fair", 2))}


def route(
    asked: JobRequest, gateways: Mapping[str, Provider] = GATEWAYS, configured: Collection[str] | None = None
) -> list[str]:
    return routing.route(routing.candidates(asked, gateways, gateways if configured is None else configured))


def test_auto_takes_the_cheapest_first_and_an_unknown_price_last() -> None:
    assert route(request()) == ["cheap", "fair", "dear", "unknown"]


def test_a_price_that_the_operator_names_takes_its_place_among_the_others() -> None:
    named = {**GATEWAYS, "unknown": replace(GATEWAYS["unknown"], usd_per_s={((WAN_2_7, Mode.TEXT), "720p"): 1.5})}
    assert route(request(), named) == ["cheap", "unknown", "fair", "dear"]


def test_a_list_keeps_the_clients_order() -> None:
    assert route(request(provider=["unknown", "cheap"])) == ["unknown", "cheap"]


def test_only_gateways_with_a_key_serve() -> None:
    assert route(request(), configured={"dear"}) == ["dear"]
    assert route(request(provider=["cheap", "dear"]), configured={"dear"}) == ["dear"]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadRequest) as caught:
        route(request(provider=["cheap", "cheep"]))
    assert caught.value.fields == {"provider": ["Knows no cheep; choose from cheap, dear, fair, unknown."]}


def test_without_any_key_the_variables_are_named() -> None:
    with pytest.raises(BadRequest, match="RUSHES_CHEAP_API_KEY") as caught:
        route(request(provider="cheap"), configured=())
    assert list(caught.value.fields) == ["provider"]


def test_with_auto_and_no_key_at_all_every_variable_is_named() -> None:
    with pytest.raises(BadRequest) as caught:
        route(request(), configured=())
    assert all(f"RUSHES_{name.upper()}_API_KEY" in caught.value.fields["provider"][0] for name in GATEWAYS)


def test_a_gateway_that_cannot_make_it_is_passed_over() -> None:
    assert route(request(seed=7), {**GATEWAYS, "cheap": gateway("cheap", 1, seed=(8, 9))}) == [
        "fair",
        "dear",
        "unknown",
    ]


def test_when_nobody_can_make_it_every_reason_is_told_by_field() -> None:
    narrow = {
        "one": gateway("one", 1, seed=(8, 9)),
        "two": gateway("two", 1, seed=(9, 10), ratios=("16:9",), duration=Length(6, 9)),
    }
    with pytest.raises(BadRequest) as caught:
        route(request(seed=7, ratio="4:3"), narrow)
    assert caught.value.fields == {
        "seed": ["one does not serve 7; it allows 8 to 9.", "two does not serve 7; it allows 9 to 10."],
        "ratio": ["two does not serve '4:3'; it allows 16:9."],
        "duration": ["two does not serve 5; it allows 6 to 9 seconds."],
    }


def test_every_real_gateway_can_make_a_plain_video() -> None:
    assert set(route(request(), PROVIDERS)) == set(PROVIDERS)


def test_a_daily_budget_wants_a_known_price() -> None:
    with pytest.raises(BadRequest, match="RUSHES_UNKNOWN_USD_PER_S"):
        routing.route(routing.candidates(request(provider="unknown"), GATEWAYS, GATEWAYS, {"unknown": 10}))


def test_an_order_that_no_days_budget_could_ever_hold_is_refused_at_once() -> None:
    found = routing.candidates(request(), GATEWAYS, GATEWAYS, {"cheap": 4.99, "fair": 10})
    assert routing.route(found) == ["fair", "dear", "unknown"]


def chosen(**obstacles: Obstacle) -> routing.Choice:
    found = routing.candidates(request(), GATEWAYS, GATEWAYS)
    asked: list[str] = []

    def obstacle(candidate: Candidate) -> Obstacle | None:
        asked.append(candidate.name)
        return obstacles.get(candidate.name)

    choice = routing.choose(found, routing.route(found), obstacle)
    assert asked == [*choice.obstacles, *([choice.chosen.name] if choice.chosen else [])]  # nobody is asked idly
    return choice


FULL = Obstacle("full", "it has 50 in flight", 5)
POOR = Obstacle("insufficient_credits", "it is out of credit", 900)


def test_the_best_gateway_without_an_obstacle_is_chosen_and_the_others_obstacles_are_told() -> None:
    choice = chosen(cheap=FULL, fair=POOR)
    assert choice.chosen is not None
    told = choice.as_json()
    assert told["chosen"] == choice.chosen.name == "dear"
    assert [line["provider"] for line in told["considered"]] == ["cheap", "fair", "dear", "unknown"]
    assert [line.get("obstacle") for line in told["considered"]] == [
        {"code": "full", "reason": "it has 50 in flight"},
        {"code": "insufficient_credits", "reason": "it is out of credit"},
        None,
        None,
    ]
    assert [line["usd"] for line in told["considered"]] == [5, 10, 15, None]


def test_a_choice_tells_why_a_gateway_does_not_fit() -> None:
    found = routing.candidates(request(seed=7), {**GATEWAYS, "cheap": gateway("cheap", 1, seed=(8, 9))}, GATEWAYS)
    told = routing.choose(found, routing.route(found), lambda _: None).as_json()
    misfits = {line["provider"]: line.get("misfits") for line in told["considered"]}
    assert misfits["cheap"] == [{"field": "seed", "given": 7, "allowed": "8 to 9", "why": "limit"}]
    assert misfits["fair"] is None


def test_with_obstacles_everywhere_nobody_is_chosen() -> None:
    choice = chosen(cheap=POOR, fair=FULL, dear=POOR, unknown=POOR)
    assert choice.chosen is None
    assert choice.wait == FULL


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
