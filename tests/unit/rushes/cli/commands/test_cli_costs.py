from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

ROW = {"provider": "evolink", "day": "2026-11-21", "credits": 0.0, "unpriced": 0}
TOLD: dict[str, Any] = {
    "from": "2026-11-20",
    "to": "2026-11-21",
    "data": [
        {**ROW, "line": "charged", "attempts": 12, "usd": 5.16},
        {**ROW, "line": "uncertain", "attempts": 1, "usd": 0.172},
        {**ROW, "provider": "apiframe", "line": "charged", "attempts": 2, "usd": 0.0, "unpriced": 2},
    ],
    "totals": [
        {"line": "charged", "attempts": 14, "usd": 5.16, "unpriced": 2},
        {"line": "held", "attempts": 0, "usd": 0.0, "unpriced": 0},
        {"line": "paid_not_delivered", "attempts": 0, "usd": 0.0, "unpriced": 0},
        {"line": "uncertain", "attempts": 1, "usd": 0.172, "unpriced": 0},
        {"line": "refunded", "attempts": 0, "usd": 0.0, "unpriced": 0},
    ],
}


@pytest.fixture(autouse=True)
def costs(service: Service) -> None:
    service.answer("GET", "/v1/costs", TOLD)


def test_rows_alone_stand_on_stdout_and_the_totals_beside_them(rushes: Callable[..., Result]) -> None:
    result = rushes("costs")
    assert result.stdout.splitlines() == [
        "2026-11-21\tevolink\tcharged\t12\t$5.16\t",
        "2026-11-21\tevolink\tuncertain\t1\t$0.172\t",
        "2026-11-21\tapiframe\tcharged\t2\t$0.00\t2",
    ]
    assert "2026-11-20 to 2026-11-21: uncertain: 1, $0.172" in result.stderr


def test_at_a_terminal_the_lines_that_want_somebody_are_marked_where_there_is_something_on_them(
    on_terminal: Callable[..., str],
) -> None:
    shown = on_terminal("costs")
    assert max(map(len, shown.splitlines())) <= 100
    marked = [line.split()[:3] for line in shown.splitlines() if "!" in line]
    assert marked == [["2026-11-21", "evolink", "uncertain"], ["uncertain", "!", "1"]]
    assert "in all" in shown


def test_json_is_the_answer_as_it_came(rushes: Callable[..., Result]) -> None:
    assert json.loads(rushes("costs", "--json").stdout) == TOLD


def test_what_is_asked_goes_into_the_query_and_nothing_else_does(
    service: Service, rushes: Callable[..., Result]
) -> None:
    rushes("costs")
    rushes("costs", "--from", "2026-11-01", "--to", "2026-11-21", "--provider", "evolink")
    assert [asked["params"] for asked in service.asked] == [
        {},
        {"from": "2026-11-01", "to": "2026-11-21", "provider": "evolink"},
    ]


def test_a_refused_question_is_told_by_parameter(service: Service, rushes: Callable[..., Result]) -> None:
    errors = {"from": ["Not a day; send YYYY-MM-DD, for example 2026-11-21. Days are UTC."]}
    service.answer("GET", "/v1/costs", {"errors": errors}, 422)
    result = rushes("costs", "--from", "yesterday")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error: from: Not a day; send YYYY-MM-DD" in result.stderr
