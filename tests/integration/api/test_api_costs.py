"""GET /v1/costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from api_orders import Orders
from flask.testing import FlaskClient

from jobs.reports.costs import LINES
from jobs.store.database import Database

pytestmark = pytest.mark.both_databases

NONE = {"attempts": 0, "usd": 0.0, "unpriced": 0}


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


def test_without_an_order_every_line_is_there_with_nothing_on_it(api: FlaskClient) -> None:
    told = api.get("/v1/costs").get_json()
    assert told["data"] == []
    assert told["totals"] == [{"line": line, **NONE} for line in LINES]
    assert told["paid_not_delivered"] == told["uncertain"] == NONE
    today = datetime.now(UTC).date()
    assert (told["from"], told["to"]) == (str(today - timedelta(days=29)), str(today))


def test_orders_are_summed_by_gateway_day_and_line(api: FlaskClient, orders: Orders) -> None:
    orders.add("2026-03-03", "held", estimated_usd=0.5, estimated_credits=0.5)
    orders.add("2026-03-03", "held", estimated_usd=0.2, estimated_credits=0.2)
    orders.add(
        "2026-03-04", "charged", provider="apiframe", estimated_credits=34, outcome="delivered", state="archived"
    )
    told = api.get("/v1/costs?from=2026-03-01&to=2026-03-31").get_json()
    assert told["data"] == [
        {
            "provider": "apiframe",
            "day": "2026-03-04",
            "line": "charged",
            "attempts": 1,
            "credits": 34.0,
            "usd": 0.0,
            "unpriced": 1,
        },
        {
            "provider": "evolink",
            "day": "2026-03-03",
            "line": "held",
            "attempts": 2,
            "credits": 0.7,
            "usd": 0.7,
            "unpriced": 0,
        },
    ]
    assert told["totals"][:2] == [
        {"line": "charged", "attempts": 1, "usd": 0.0, "unpriced": 1},
        {"line": "held", "attempts": 2, "usd": 0.7, "unpriced": 0},
    ]
    only = api.get("/v1/costs?from=2026-03-01&to=2026-03-31&provider=evolink").get_json()
    assert [line["provider"] for line in only["data"]] == ["evolink"]


def test_what_a_gateway_reported_counts_before_what_was_expected(api: FlaskClient, orders: Orders) -> None:
    told = {"estimated_usd": 1.0, "reported_usd": 0.4, "estimated_credits": 10, "reported_credits": 4}
    orders.add("2026-03-03", "charged", **told)
    (line,) = api.get("/v1/costs?from=2026-03-03&to=2026-03-03").get_json()["data"]
    assert (line["usd"], line["credits"]) == (0.4, 4.0)


def test_paid_and_not_delivered_and_uncertain_stand_out(api: FlaskClient, orders: Orders) -> None:
    orders.add("2026-03-03", "charged", state="failed", outcome="undelivered", estimated_usd=0.3)
    orders.add("2026-03-03", "charged", state="archived", outcome="delivered", estimated_usd=0.3)
    orders.add("2026-03-03", "uncertain", state="failed", outcome="expired", estimated_usd=0.2)
    orders.add("2026-03-03", "none", state="failed", outcome="refused", estimated_usd=9)
    told = api.get("/v1/costs?from=2026-03-03&to=2026-03-03").get_json()
    assert told["paid_not_delivered"] == {"attempts": 1, "usd": 0.3, "unpriced": 0}
    assert told["uncertain"] == {"attempts": 1, "usd": 0.2, "unpriced": 0}
    assert {total["line"]: total["attempts"] for total in told["totals"]} == {
        **dict.fromkeys(LINES, 0),
        "charged": 1,
        "paid_not_delivered": 1,
        "uncertain": 1,
    }


def test_the_last_day_and_the_first_are_both_included(api: FlaskClient, orders: Orders) -> None:
    for day in ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"):
        orders.add(day, "held", estimated_usd=1)
    told = api.get("/v1/costs?from=2026-03-02&to=2026-03-03").get_json()
    assert [line["day"] for line in told["data"]] == ["2026-03-03", "2026-03-02"]
    alone = api.get("/v1/costs?to=2026-03-03").get_json()
    assert (alone["from"], alone["to"], len(alone["data"])) == ("2026-02-02", "2026-03-03", 3)


@pytest.mark.parametrize("days", [1, 366])
def test_a_leap_year_may_be_asked_for_at_once(api: FlaskClient, days: int) -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC).date()
    answer = api.get(f"/v1/costs?from={first}&to={first + timedelta(days=days - 1)}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("from=yesterday", "from", "send YYYY-MM-DD"),
        ("to=2026-02-30", "to", "send YYYY-MM-DD"),
        ("to=", "to", "send YYYY-MM-DD"),
        ("from=2026-03-04&to=2026-03-03", "from", "2026-03-04 is after 2026-03-03, the last day (`to`)"),
        ("from=9999-01-01", "from", "the last day where `to` is left out"),
        ("from=2025-01-01&to=2026-01-02", "from", "These are 367 days; at most 366 at once: from 2025-01-02 on."),
        ("provider=evolinc", "provider", "Knows no evolinc; choose from aivideoapi, apiframe"),
        ("frm=2026-03-04", "frm", "did you mean from?"),
    ],
)
def test_a_wrong_question_gets_422_that_says_what_is_right(
    api: FlaskClient, query: str, field: str, words: str
) -> None:
    answer = api.get(f"/v1/costs?{query}")
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert words in " ".join(problem["errors"][field])


def test_the_beginning_of_time_is_no_crash(api: FlaskClient) -> None:
    assert api.get("/v1/costs?to=0001-01-02").get_json()["from"] == "0001-01-01"
