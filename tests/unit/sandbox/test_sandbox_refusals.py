"""Refusals on demand: every documented status and code, on a submit or a query, with and without Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from sandbox_bench import FAULT, QUERY, START, TEXT_TO_VIDEO, Bench

from sandbox.gateways import REFUSALS

GATEWAYS = sorted(REFUSALS)
PAIRS = [(name, status, code) for name, pairs in REFUSALS.items() for status, code in pairs]


def code_of(gateway: str, body: Any) -> Any:
    if gateway == "apiframe":
        assert isinstance(body["error"], str)
        return None
    return body["error"]["code"] if "error" in body else body["code"]


def refuse(bench: Bench, gateway: str, fault: str) -> Any:
    return bench.ask(gateway, *TEXT_TO_VIDEO[gateway], **{FAULT: f"refuse; {fault}"})


@pytest.mark.parametrize(("gateway", "status", "code"), PAIRS)
def test_every_refusal_that_is_listed_can_be_had_by_its_status_and_code(
    bench: Bench, gateway: str, status: int, code: str | int | None
) -> None:
    answer = refuse(bench, gateway, f"status={status}; code={code}" if code is not None else f"status={status}")
    assert answer.status_code == status
    assert code_of(gateway, answer.json) == code


@pytest.mark.parametrize(("gateway", "status", "code"), [pair for pair in PAIRS if pair[2] is not None])
def test_a_code_alone_picks_a_status_that_it_goes_with(
    bench: Bench, gateway: str, status: int, code: str | int
) -> None:
    answer = refuse(bench, gateway, f"code={code}")
    assert (answer.status_code, code) in REFUSALS[gateway]
    assert code_of(gateway, answer.json) == code


@pytest.mark.parametrize(("gateway", "status"), sorted({pair[:2] for pair in PAIRS}))
def test_a_status_alone_picks_the_usual_code_which_is_listed_first(bench: Bench, gateway: str, status: int) -> None:
    answer = refuse(bench, gateway, f"status={status}")
    usual = next(code for known, code in REFUSALS[gateway] if known == status)
    assert (answer.status_code, code_of(gateway, answer.json)) == (status, usual)


def test_the_codes_that_share_a_status_are_told_apart(bench: Bench) -> None:
    limit = refuse(bench, "aivideoapi", "code=spend_limit_exceeded")
    assert (limit.status_code, limit.json["error"]["type"]) == (429, "billing_error")
    rate = refuse(bench, "aivideoapi", "status=429")
    assert (rate.status_code, rate.json["error"]["type"]) == (429, "rate_limit_error")


def test_the_control_endpoint_lists_them(bench: Bench) -> None:
    listed = bench.control("refusals")
    assert sorted(listed) == GATEWAYS
    assert {"status": 429, "code": "spend_limit_exceeded"} in listed["aivideoapi"]
    assert {"status": 409, "code": None} in listed["apiframe"]
    assert {"status": 429, "code": 429} in listed["evolink"]


@pytest.mark.parametrize(
    ("gateway", "code", "said"),
    [("aivideoapi", "tired", "spend_limit_exceeded"), ("apiframe", "rate_limit_exceeded", "give a status")],
)
def test_a_code_that_the_gateway_does_not_have_is_refused_with_those_it_has(
    bench: Bench, gateway: str, code: str, said: str
) -> None:
    answer = bench.client.post("/control/faults", json={"provider": gateway, "fault": "refuse", "code": code})
    assert answer.status_code == 400
    assert said in answer.json["error"]["message"]


def test_a_code_for_any_gateway_takes_its_status_from_the_first_that_has_it(bench: Bench) -> None:
    assert bench.control("faults", {"fault": "refuse", "code": "task_not_exist"})["status"] == 400
    answer = bench.ask("gravitex", *TEXT_TO_VIDEO["gravitex"])
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "task_not_exist")


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_query_can_be_refused_while_submits_are_not(bench: Bench, gateway: str) -> None:
    bench.control("faults", {"provider": gateway, "fault": "refuse", "status": 429, "on": "query"})
    task = bench.submit(gateway)
    assert bench.ask(gateway, QUERY[gateway] + task).status_code == 429
    bench.report(gateway, task)


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(("given", "sent"), [("null", None), ("7", "7"), ("0", "0")])
def test_a_429_says_when_to_come_again_or_does_not(bench: Bench, gateway: str, given: str, sent: str | None) -> None:
    assert refuse(bench, gateway, f"status=429; retry_after={given}").headers.get("Retry-After") == sent


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_429_can_name_the_hour_instead(bench: Bench, gateway: str) -> None:
    bench.clock.now = START + 0.5
    said = refuse(bench, gateway, "status=429; retry_after=date:30").headers["Retry-After"]
    assert parsedate_to_datetime(said) == datetime.fromtimestamp(START + 31, UTC)


def test_apiframe_alone_says_it_unasked(bench: Bench) -> None:
    said = {name: refuse(bench, name, "status=429").headers.get("Retry-After") for name in GATEWAYS}
    assert {name: each for name, each in said.items() if each} == {"apiframe": "1"}
    assert "Retry-After" not in refuse(bench, "apiframe", "status=503").headers


def test_a_body_of_its_own_leaves_the_headers_as_they_are(bench: Bench) -> None:
    bench.control("faults", {"provider": "apiframe", "fault": "refuse", "status": 429, "body": {"slow": "down"}})
    answer = bench.ask("apiframe", *TEXT_TO_VIDEO["apiframe"])
    assert (answer.json, answer.headers["Retry-After"]) == ({"slow": "down"}, "1")
