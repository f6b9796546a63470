from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

Rushes = Callable[..., Result]


def move(number: int, state: str, **more: Any) -> dict[str, Any]:
    common = {"at": "2026-11-21T15:46:13.827Z", "provider": "evolink", "error": None, "key": "videos/a.mp4"}
    return {"number": number, "job_id": f"job_{number}", "state": state, **common, **more}


class UntilSilence(Service):
    """Presses Ctrl-C once nothing new is told."""

    def request(self, method: str | bytes, url: str | bytes, **what: Any) -> Any:  # type: ignore[override]
        if len(self.answers["GET", "/v1/events"]) == 1:
            raise KeyboardInterrupt
        return super().request(method, url, **what)


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> UntilSilence:
    from rushes.cli.service.api import Api

    found = UntilSilence()
    monkeypatch.setattr("rushes.cli.commands.tail.connect", lambda folder: Api("http://service", "k", session=found))
    found.answer("GET", "/v1/events", {"data": [], "next": 7})
    found.then("GET", "/v1/events", {"data": [move(8, "queued"), move(9, "failed", error="not_started")], "next": 9})
    found.then("GET", "/v1/events", {"data": [move(10, "archived")], "next": 10})
    found.then("GET", "/v1/events", {"data": [], "next": 10})
    return found


def test_what_happens_from_now_on_is_told_in_sentences_until_ctrl_c(telling: UntilSilence, rushes: Rushes) -> None:
    result = rushes("tail")
    assert (result.exit_code, result.stderr) == (130, "")
    assert [line.split("  ", 1)[1] for line in result.stdout.splitlines()] == [
        "job_8 waits to be ordered",
        "job_9 has failed: not_started",
        "job_10 is archived as videos/a.mp4",
    ]
    assert [asked.get("params") for asked in telling.asked] == [None, {"after": 7}, {"after": 9}]


def test_with_json_each_move_is_a_line(telling: UntilSilence, rushes: Rushes) -> None:
    lines = [json.loads(line) for line in rushes("tail", "--json").stdout.splitlines()]
    assert [(line["number"], line["state"]) for line in lines] == [(8, "queued"), (9, "failed"), (10, "archived")]
