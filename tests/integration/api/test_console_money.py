"""The console's page of money, and the same as a file."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape

import pytest
from api_orders import Orders
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.reports.costs import LINES
from jobs.store.database import Database
from rushes.console import money

PAGE = "/console/money"
MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


@pytest.fixture
def visitor(api: FlaskClient, database: Database) -> Visitor:
    return Visitor(api.application, api_keys.create(database, "a person", Scope.READ)[1])


def rows(page: str) -> list[list[str]]:
    """The table's rows, cell by cell."""
    found = re.findall(r"<tr><td>(.*?)</tr>", page, re.DOTALL)
    return [re.findall(r">([^<]*)</td>", f"<td>{row}") for row in found]


def test_sums_stand_by_day_and_gateway_and_lines_say_what_they_mean(visitor: Visitor, orders: Orders) -> None:
    orders.add("2026-03-03", "charged", reported_usd=0.5, estimated_credits=10)
    orders.add("2026-03-03", "uncertain", state="failed", outcome="expired", estimated_usd=0.25)
    orders.add("2026-03-02", "charged", state="failed", outcome="undelivered")
    orders.add("2026-03-02", "refunded", state="failed", outcome="failed", estimated_usd=9.0)
    page = visitor.text(f"{PAGE}?{MARCH}")
    assert rows(page) == [
        ["2026-03-03", "evolink", "charged", "1", "$0.500", "10", "–"],
        ["2026-03-03", "evolink", "uncertain", "1", "$0.250", "–", "–"],
        ["2026-03-02", "evolink", "paid not delivered", "1", "–", "–", "1"],
        ["2026-03-02", "evolink", "refunded", "1", "$9.000", "–", "–"],
    ]
    assert '<p class="figure">$0.750</p>' in page, "what came back is not spent"
    for line in ("paid_not_delivered", "uncertain", "charged", "refunded"):
        assert money.LINES[line][1] in unescape(page)
    assert money.LINES["held"][1] not in unescape(page)


def test_the_chart_has_each_day_of_what_was_spent(visitor: Visitor, orders: Orders) -> None:
    orders.add("2026-03-01", "charged", reported_usd=0.5)
    orders.add("2026-03-03", "uncertain", state="failed", outcome="expired", estimated_usd=0.25)
    orders.add("2026-03-03", "refunded", state="failed", outcome="failed", estimated_usd=9.0)
    page = visitor.text(f"{PAGE}?from=2026-03-01&to=2026-03-03&by=provider")
    (drawn,) = re.findall(r'data-chart="([^"]+)"', page)
    told = json.loads(unescape(drawn))
    assert {row["name"]: row["counts"] for row in told["rows"]} == {"charged": [0.5, 0, 0], "uncertain": [0, 0, 0.25]}
    assert [datetime.fromtimestamp(at, UTC).isoformat() for at in told["times"]] == [
        f"2026-03-0{day}T00:00:00+00:00" for day in (1, 2, 3)
    ]
    for address in ("from=2026-03-03&to=2026-03-03", "from=2026-03-02&to=2026-03-02"):
        assert "data-chart" not in visitor.text(f"{PAGE}?{address}"), "of one day there is nothing to compare"


def test_every_line_of_an_account_has_its_words() -> None:
    assert set(money.LINES) == set(LINES)


def test_sums_stand_apart_by_what_is_chosen(api: FlaskClient, visitor: Visitor, orders: Orders) -> None:
    orders.add("2026-03-03", "charged", reported_usd=0.5)
    assert [row[0] for row in rows(visitor.text(f"{PAGE}?{MARCH}&by=key"))] == ["test"]
    (row,) = rows(visitor.text(f"{PAGE}?{MARCH}&by=batch&by=provider"))
    assert row[:2] == ["–", "evolink"]
    page = visitor.text(f"{PAGE}?{MARCH}&by=batch")
    assert re.findall(r'name="by" value="(\w+)" checked', page) == ["batch"]


def test_metadata_is_summed_apart_by_its_entry(api: FlaskClient, visitor: Visitor, database: Database) -> None:
    Orders(api, database).add("2026-03-03", "charged", reported_usd=0.5, of_job={"metadata": {"scene": "<b>12</b>"}})
    page = visitor.text(f"{PAGE}?{MARCH}&metadata=scene")
    assert "<b>12</b>" in unescape(page)
    assert "<b>12" not in page


def test_no_order_is_said_with_a_way_back(visitor: Visitor) -> None:
    page = visitor.text(f"{PAGE}?{MARCH}&provider=evolink")
    assert "No order of 2026-03-01 to 2026-03-31 is like that." in page
    assert f'href="{PAGE}"' in page


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("from=2026-03-31&to=2026-03-01", "send an earlier one"),
        ("from=yesterday", "Not a day"),
        ("key=nobody", "No API key has this id or name"),
        ("by=mood", "Knows no mood"),
        ("from=2024-01-01&to=2026-01-01", "at most 366"),
    ],
)
def test_what_means_nothing_is_refused_in_words(visitor: Visitor, address: str, words: str) -> None:
    answer = visitor.get(f"{PAGE}?{address}")
    assert (answer.status_code, words in unescape(answer.get_data(as_text=True))) == (422, True)


def test_the_file_is_the_apis_own_and_has_what_the_page_shows(
    api: FlaskClient, visitor: Visitor, orders: Orders
) -> None:
    orders.add("2026-03-03", "charged", reported_usd=0.5)
    page = visitor.text(f"{PAGE}?{MARCH}&by=batch&by=provider")
    (link,) = re.findall(r'href="(/console/money\.csv[^"]*)"', page)
    answer = visitor.get(unescape(link))
    theirs = api.get(f"/v1/costs?{MARCH}&by=batch,provider&format=csv")
    assert answer.get_data() == theirs.get_data()
    for name in ("Content-Type", "Content-Disposition"):
        assert answer.headers[name] == theirs.headers[name]
    assert visitor.get("/console/money.csv?by=mood").status_code == 422
