from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import Result
from fake_service import Service

from jobs.machine.error_codes import REASONS
from jobs.reports.attention_items import Item
from rushes.cli import main

ITEM = {
    "reason": "unconfirmed",
    "detail": "no answer came; a callback may tell until 2026-11-23T16:00:00Z",
    "then": "look for the task at the gateway, by time and prompt",
    "job_id": "job_1",
    "provider": "evolink",
    "since": "2026-11-21T16:00:00.000Z",
    "until": "2026-11-23T16:00:00.000Z",
    "command": "rushes jobs settle job_1 --attempt 1 (--task-id T | --not-made)",
    "attempt": 1,
    "ordered_at": "2026-11-21T15:59:00.000Z",
    "task_id": None,
    "account": "f00d",
    "prompt": "A red fox",
    "link": None,
}
OF_KEYS = {"command": "rushes providers resume evolink", "attempt": None, "ordered_at": None, "prompt": None}
KEY = {
    **ITEM,
    **OF_KEYS,
    "reason": "out_of_credit",
    "job_id": None,
    "detail": "the key rests",
    "then": "buy credit",
}
TOLD: dict[str, Any] = {"data": [ITEM, KEY], "counts": {"unconfirmed": 1, "out_of_credit": 1}, "has_more": False}


@pytest.fixture(autouse=True)
def listed(service: Service) -> None:
    service.answer("GET", "/v1/attention", TOLD)


def test_each_thing_is_a_line_with_what_to_do(rushes: Callable[..., Result]) -> None:
    assert rushes("attention").stdout.splitlines() == [
        f"unconfirmed\tjob_1\tevolink\t{ITEM['detail']}\t{ITEM['then']}\t{ITEM['command']}"
        "\t1\t2026-11-21T15:59:00.000Z\tf00d\t\tA red fox\t",
        "out_of_credit\t\tevolink\tthe key rests\tbuy credit\trushes providers resume evolink\t\t\tf00d\t\t\t",
    ]


def test_at_a_terminal_each_thing_is_a_table_of_what_is_known(on_terminal: Callable[..., str]) -> None:
    shown = on_terminal("attention")
    for words in ("unconfirmed", "A red fox", "f00d", "--attempt 1 (--task-id T | --not-made)", "out_of_credit"):
        assert words in shown
    assert "link" not in [line.split()[0] for line in shown.splitlines() if line.split()]


@pytest.mark.parametrize("task_id", [None, "t-1"])
@pytest.mark.parametrize("reason", REASONS)
def test_the_command_that_answers_a_line_is_one(reason: str, task_id: str | None) -> None:
    item = Item(reason, "", job_id="job_1", provider="evolink", attempt=1, task_id=task_id)
    for command in chosen(item.command):
        name, *arguments = command.split()
        assert name == "rushes"
        understood(main, arguments)


def chosen(command: str) -> list[str]:
    """A command with each of the choices that it leaves."""
    fixed, bracket, choices = command.partition(" (")
    return [f"{fixed} {choice}" for choice in choices.rstrip(")").split(" | ")] if bracket else [command]


def understood(command: click.Command, arguments: list[str], parent: click.Context | None = None) -> None:
    """Read a command's arguments as it would, and its inner command's. Raises UsageError."""
    context = command.make_context(command.name, arguments, parent=parent, resilient_parsing=False)
    if isinstance(command, click.Group) and arguments:
        inner = command.get_command(context, arguments[0])
        assert inner is not None, arguments
        understood(inner, arguments[1:], context)


def test_json_is_the_answer_as_it_came(rushes: Callable[..., Result]) -> None:
    assert json.loads(rushes("attention", "--json").stdout) == TOLD


def test_what_is_asked_goes_into_the_query(service: Service, rushes: Callable[..., Result]) -> None:
    rushes("attention", "--reason", "unconfirmed", "--limit", "5")
    assert service.asked[-1]["params"] == {"reason": "unconfirmed", "limit": 5}


def test_nothing_to_do_is_said_beside_an_empty_list(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/attention", {"data": [], "counts": {}, "has_more": False})
    result = rushes("attention")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing needs a person" in result.stderr


def test_more_than_is_shown_is_said(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/attention", {**TOLD, "has_more": True})
    assert (
        "there are more: --limit 1000, or --reason with one of unconfirmed, out_of_credit" in rushes("attention").stderr
    )


def test_a_refused_reason_is_told(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/attention", {"errors": {"reason": ["Knows no boredom."]}}, 422)
    result = rushes("attention", "--reason", "boredom")
    assert result.exit_code == 2
    assert "error: reason: Knows no boredom." in result.stderr


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_that_is_none_is_wrong_usage(rushes: Callable[..., Result], limit: str) -> None:
    assert rushes("attention", "--limit", limit).exit_code == 2
