from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

CALLBACK: dict[str, Any] = {
    "id": "cbk_7",
    "provider": "evolink",
    "job_id": "job_1",
    "attempt": 1,
    "task_id": "t-7",
    "readable": True,
    "signature": None,
    "status": 200,
    "received_at": "2026-11-21T16:00:00.000Z",
    "read_at": None,
}
WHOLE = {**CALLBACK, "headers": {"X-Event": "done"}, "encoding": "utf-8", "body": '{"id": "t-7"}'}


@pytest.fixture(autouse=True)
def listed(service: Service) -> None:
    service.answer("GET", "/v1/callbacks", {"data": [CALLBACK], "has_more": True, "next_cursor": "abc"})
    service.answer("GET", "/v1/callbacks/cbk_7", WHOLE)
    service.answer("POST", "/v1/callbacks/cbk_7/replay", CALLBACK, 202)


def test_each_callback_is_a_line_and_where_to_go_on_is_said_beside(rushes: Callable[..., Result]) -> None:
    result = rushes("callbacks", "list")
    assert result.stdout.splitlines() == ["cbk_7\tevolink\tjob_1\t1\t200\t2026-11-21T16:00:00.000Z\t"]
    assert "there are more: --cursor abc" in result.stderr


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), {"limit": 20}),
        (("--readable", "--unread"), {"limit": 20, "readable": "true", "unread": "true"}),
        (("--unreadable", "--read"), {"limit": 20, "readable": "false", "unread": "false"}),
        (
            ("--job", "job_1", "--provider", "evolink", "--limit", "5", "--cursor", "x"),
            {"job_id": "job_1", "provider": "evolink", "limit": 5, "cursor": "x"},
        ),
    ],
)
def test_what_is_asked_goes_into_the_query(
    service: Service, rushes: Callable[..., Result], options: tuple[str, ...], asked: dict[str, Any]
) -> None:
    rushes("callbacks", "list", *options)
    assert service.asked[-1]["params"] == asked


def test_one_is_shown_with_its_headers_and_its_body_last(rushes: Callable[..., Result]) -> None:
    lines = rushes("callbacks", "show", "cbk_7").stdout.splitlines()
    assert lines[-3:] == ["header X-Event\tdone", "encoding\tutf-8", 'body\t{"id": "t-7"}']


def test_one_is_replayed(rushes: Callable[..., Result]) -> None:
    result = rushes("callbacks", "replay", "cbk_7")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "job_1 asks evolink again: `rushes jobs watch job_1`" in result.stderr


@pytest.mark.parametrize(("command", "answer"), [("show", WHOLE), ("replay", CALLBACK)])
def test_json_is_the_answer_as_it_came(rushes: Callable[..., Result], command: str, answer: Any) -> None:
    assert json.loads(rushes("callbacks", command, "cbk_7", "--json").stdout) == answer


def test_one_whose_job_is_settled_says_so(service: Service, rushes: Callable[..., Result]) -> None:
    said = "job_1 is archived, and none of its orders is open: no callback can matter to it."
    service.answer("POST", "/v1/callbacks/cbk_7/replay", {"code": "settled", "detail": said}, 409)
    result = rushes("callbacks", "replay", "cbk_7")
    assert result.exit_code == 1
    assert f"error: {said}" in result.stderr


def test_an_unknown_one_says_where_to_look(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/callbacks/cbk_8", {"code": "unknown_callback", "detail": "No callback cbk_8."}, 404)
    result = rushes("callbacks", "show", "cbk_8")
    assert result.exit_code == 3
    assert "`rushes callbacks list` shows what there is" in result.stderr


@pytest.mark.parametrize("command", ["show", "replay"])
def test_an_id_that_cannot_be_one_is_not_found(service: Service, rushes: Callable[..., Result], command: str) -> None:
    result = rushes("callbacks", command, "a/b")
    assert (result.exit_code, service.asked) == (3, [])
    assert "hint: ids look like cbk_123" in result.stderr


def test_a_limit_that_is_none_is_wrong_usage(rushes: Callable[..., Result]) -> None:
    assert rushes("callbacks", "list", "--limit", "0").exit_code == 2


ENDS = {"provider": "evolink", "ended": 4250, "told": 4118, "asked": 132, "late": 21, "lost": 110, "loss_ratio": 0.0259}
FIGURES: dict[str, Any] = {
    "from": "2026-11-15",
    "to": "2026-11-21",
    "data": [
        {
            **ENDS,
            "called_after_s": {"orders": 4139, "p50": 1.204, "p95": 187.9},
            "found_after_s": {"orders": 132, "p50": 14.25, "p95": 1804.0},
        },
        {
            **dict.fromkeys(("told", "late", "lost"), 0),
            "provider": "gravitex",
            "ended": 7,
            "asked": 7,
            "loss_ratio": None,
            "called_after_s": None,
            "found_after_s": None,
        },
    ],
}


@pytest.fixture
def figures(service: Service) -> Service:
    service.answer("GET", "/v1/callbacks/figures", FIGURES)
    return service


def test_figures_are_a_line_for_each_gateway(figures: Service, rushes: Callable[..., Result]) -> None:
    asked = ("--from", "2026-11-15", "--to", "2026-11-21", "--provider", "evolink")
    assert rushes("callbacks", "figures", *asked).stdout.splitlines() == [
        "evolink\t4118\t132\t21\t110 (2.6%)\t1.2 / 188 s\t14.2 / 1,804 s",
        "gravitex\t0\t7\t0\t\t\t",
    ]
    assert figures.asked[-1]["params"] == {"from": "2026-11-15", "to": "2026-11-21", "provider": "evolink"}
    assert json.loads(rushes("callbacks", "figures", "--json").stdout) == FIGURES


def test_figures_fit_a_terminal_of_80_columns(
    figures: Service, on_terminal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = on_terminal("callbacks", "figures").splitlines()
    assert max(map(len, shown)) <= 80
    (line,) = [line.split() for line in shown if "gravitex" in line]
    assert line == ["gravitex", "0", "7", "0", "–", "–", "–"]


def test_days_without_an_end_are_said_to_be_so(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/callbacks/figures", {**FIGURES, "data": []})
    result = rushes("callbacks", "figures")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no gateway told the end of an order in these days" in result.stderr
