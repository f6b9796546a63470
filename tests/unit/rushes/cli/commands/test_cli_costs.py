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
    "by": ["day", "provider"],
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


def test_groups_go_into_the_query_as_they_were_given(service: Service, rushes: Callable[..., Result]) -> None:
    rushes("costs", "--by", "metadata.project", "--by", "day", "--batch", "monday", "--key", "team snow")
    asked = {"by": ["metadata.project", "day"], "batch": "monday", "key": "team snow"}
    assert [each["params"] for each in service.asked] == [asked]


APART: dict[str, Any] = {
    **TOLD,
    "by": ["key", "metadata.project", "batch"],
    "data": [
        {
            "key": f"key_{place}",
            "key_name": name,
            "metadata": {"project": project},
            "batch": batch,
            "line": "charged",
            "attempts": 7,
            "usd": 5.16,
            "unpriced": 0,
            "credits": None,
        }
        for place, name, project, batch in ((1, "team snow", "winter", "scenes.jsonl"), (2, None, None, None))
    ],
}


def test_each_group_is_a_column_and_a_key_goes_by_its_name(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/costs", APART)
    assert rushes("costs", "--by", "key").stdout.splitlines() == [
        "team snow\twinter\tscenes.jsonl\tcharged\t7\t$5.16\t",
        "key_2\t\t\tcharged\t7\t$5.16\t",
    ]


def test_groups_have_room_on_a_narrow_terminal(
    service: Service, on_terminal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    service.answer("GET", "/v1/costs", APART)
    shown = on_terminal("costs", "--by", "key").splitlines()
    assert max(map(len, shown)) <= 80
    heads = next(line.split() for line in shown if "project" in line)
    assert heads[:6] == ["key", "project", "batch", "line", "orders", "US$"]
    assert ["key_2", "–", "–", "charged", "7", "$5.16", "–"] in [line.split() for line in shown]


def test_csv_is_printed_line_by_line_as_it_came(service: Service, rushes: Callable[..., Result]) -> None:
    sheet = 'batch,line,usd\r\n"a, ""b""",charged,5.16\r\né,held,0\r\n'.encode()
    service.answer("GET", "/v1/costs", sheet, **{"Content-Type": "text/csv; charset=utf-8"})
    assert rushes("costs", "--by", "batch", "--csv").stdout == 'batch,line,usd\n"a, ""b""",charged,5.16\né,held,0\n'
    assert service.asked[-1]["params"] == {"by": ["batch"], "format": "csv"}


def test_what_is_no_csv_is_no_account(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/costs", b"<html>", **{"Content-Type": "text/html"})
    result = rushes("costs", "--csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "answers, but not as Rushes does" in result.stderr


def test_two_forms_at_once_are_refused_before_anything_is_asked(
    service: Service, rushes: Callable[..., Result]
) -> None:
    result = rushes("costs", "--csv", "--json")
    assert (result.exit_code, service.asked) == (2, [])
    assert "Choose one of --json and --csv." in result.stderr


def test_a_refused_question_is_told_by_parameter(service: Service, rushes: Callable[..., Result]) -> None:
    errors = {"from": ["Not a day; send YYYY-MM-DD, for example 2026-11-21. Days are UTC."]}
    service.answer("GET", "/v1/costs", {"errors": errors}, 422)
    result = rushes("costs", "--from", "yesterday")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error: from: Not a day; send YYYY-MM-DD" in result.stderr
