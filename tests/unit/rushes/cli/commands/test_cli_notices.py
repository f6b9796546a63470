from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

NOTICE: dict[str, Any] = {
    "id": "ntc_1",
    "job_id": "job_1",
    "sequence": 2,
    "type": "job.failed",
    "url": "https://pipeline.example/hook?…",
    "state": "failed",
    "tries": 9,
    "last_status": 500,
    "last_error": "answered 500",
    "next_try_at": None,
    "created_at": "2026-11-21T16:00:00.000Z",
    "delivered_at": None,
}
TRY = {"number": 1, "at": "2026-11-21T16:00:01.000Z", "status": None, "error": "ConnectTimeout", "took_s": 5.01}
WHOLE = {**NOTICE, "body": {"type": "job.failed"}, "history": [TRY]}


@pytest.fixture(autouse=True)
def listed(service: Service) -> None:
    service.answer("GET", "/v1/notices", {"data": [NOTICE], "has_more": True, "next_cursor": "abc"})
    service.answer("GET", "/v1/notices/ntc_1", WHOLE)
    service.answer("POST", "/v1/notices/ntc_1/replay", {**NOTICE, "state": "waiting"}, 202)
    service.answer("POST", "/v1/notices/replay", {"replayed": 3}, 202)


def test_each_notice_is_a_line_and_where_to_go_on_is_said_beside(rushes: Callable[..., Result]) -> None:
    result = rushes("notices", "list")
    assert result.stdout.splitlines() == ["ntc_1\tjob.failed\tjob_1\tfailed\t9\tanswered 500\t2026-11-21T16:00:00.000Z"]
    assert "there are more: --cursor abc" in result.stderr


def test_a_terminal_has_a_table(on_terminal: Callable[..., str]) -> None:
    assert "last error" in on_terminal("notices", "list")


def test_what_is_asked_goes_into_the_query(service: Service, rushes: Callable[..., Result]) -> None:
    chosen = ("--job", "job_1", "--state", "failed", "--type", "job.failed", "--limit", "5", "--cursor", "x")
    rushes("notices", "list", *chosen)
    asked = {"job_id": "job_1", "state": "failed", "type": "job.failed", "limit": 5, "cursor": "x"}
    assert service.asked[-1]["params"] == asked


def test_one_is_shown_with_its_tries(rushes: Callable[..., Result]) -> None:
    lines = rushes("notices", "show", "ntc_1").stdout.splitlines()
    assert "url\thttps://pipeline.example/hook?…" in lines
    assert lines[-1] == "1\t2026-11-21T16:00:01.000Z\t\tConnectTimeout\t5.01"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("show", "ntc_1"), WHOLE),
        (("replay", "ntc_1"), {**NOTICE, "state": "waiting"}),
        (("replay", "--all-failed"), {"replayed": 3}),
    ],
)
def test_json_is_the_answer_as_it_came(rushes: Callable[..., Result], arguments: tuple[str, ...], answer: Any) -> None:
    assert json.loads(rushes("notices", *arguments, "--json").stdout) == answer


def test_one_is_replayed(rushes: Callable[..., Result]) -> None:
    result = rushes("notices", "replay", "ntc_1")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "ntc_1 goes to https://pipeline.example/hook?… once more" in result.stderr


def test_all_that_failed_are_replayed_or_those_of_a_job_since_a_time(
    service: Service, rushes: Callable[..., Result]
) -> None:
    assert "3 notices go out once more" in rushes("notices", "replay", "--all-failed").stderr
    assert service.asked[-1]["json"] == {}
    rushes("notices", "replay", "--all-failed", "--job", "job_1", "--since", "2026-11-21T16:00:00Z")
    assert service.asked[-1]["json"] == {"job_id": "job_1", "since": "2026-11-21T16:00:00Z"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say which: an ID, or --all-failed"),
        (("ntc_1", "--all-failed"), "say which: an ID, or --all-failed"),
        (("ntc_1", "--job", "job_1"), "add --all-failed"),
        (("ntc_1", "--since", "2026-11-21T16:00:00Z"), "add --all-failed"),
    ],
)
def test_a_replay_of_nobody_knows_what_is_wrong_usage(
    service: Service, rushes: Callable[..., Result], arguments: tuple[str, ...], words: str
) -> None:
    result = rushes("notices", "replay", *arguments)
    assert (result.exit_code, service.asked) == (2, [])
    assert words in result.stderr


@pytest.mark.parametrize("command", ["show", "replay"])
def test_an_id_that_cannot_be_one_is_not_found(service: Service, rushes: Callable[..., Result], command: str) -> None:
    result = rushes("notices", command, "../jobs")
    assert (result.exit_code, service.asked) == (3, [])
    assert "hint: ids look like ntc_01K…" in result.stderr


def test_an_unknown_one_says_where_to_look(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/notices/ntc_2", {"code": "unknown_notice", "detail": "No notice ntc_2."}, 404)
    result = rushes("notices", "show", "ntc_2")
    assert result.exit_code == 3
    assert "error: No notice ntc_2." in result.stderr
    assert "`rushes notices list` shows what there is" in result.stderr


def test_a_refused_question_is_told(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/notices", {"errors": {"state": ["Knows no lost; choose from waiting."]}}, 422)
    result = rushes("notices", "list", "--state", "lost")
    assert result.exit_code == 2
    assert "error: state: Knows no lost; choose from waiting." in result.stderr


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_limit_that_is_none_is_wrong_usage(rushes: Callable[..., Result], limit: str) -> None:
    assert rushes("notices", "list", "--limit", limit).exit_code == 2
