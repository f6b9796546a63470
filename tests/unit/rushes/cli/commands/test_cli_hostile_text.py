"""No terminal acts on what gateways, pipelines or receivers have said, by whichever command it is shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service
from test_cli_attention import ITEM
from test_cli_callbacks import WHOLE as CALLBACK
from test_cli_costs import TOLD as COSTS
from test_cli_jobs import JOB, ORDER, WAITING
from test_cli_notices import WHOLE as NOTICE
from test_cli_providers import gateway

from rushes.cli.terminal.output import ProcessLog

HOSTILE = "\x1b]0;GW\x07\x1b[31mred\r\x1b[2J\x9b31m\u202eevil\x7f\x08"
ACTED_ON = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
FREE = {"message", "provider_code", "metadata", "task_id", "reason", "detail", "then", "prompt", "link", "account"}
FREE |= {"last_error", "error", "body", "headers", "url", "unknown_words", "from_state", "event"}
ERROR = {"code": "rejected", "message": "no", "retryable": False, "provider_code": "x"}
FAILED = {**JOB, "state": "failed", "error": ERROR, "attempts": [ORDER], "metadata": {"shot": "12"}, "task_id": "t-1"}
LISTED = {
    "attempt": 1,
    "created_at": "2026-11-21T11:00:00Z",
    "mode": "text-to-video",
    "needs_person": None,
    "video": None,
}
QUOTE: dict[str, Any] = {
    "dry_run": True,
    "provider": None,
    "price": None,
    "waits": {**WAITING, "seconds": 5, "position": 1, "start_by": None},
    "considered": [{"provider": "evolink", "obstacle": {"code": "full", "reason": "full", "holds_up": 1}}],
}
EVENT = {
    "at": "2026-11-21T16:00:00Z",
    "event": "refuse",
    "attempt": 1,
    "from_state": "a",
    "to_state": "b",
    "detail": {},
}
PAGE = {"has_more": False, "next_cursor": None}
ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/v1/jobs"): {"data": [{**FAILED, **LISTED}, {**JOB, **LISTED, "waiting": WAITING}], **PAGE},
    ("GET", "/v1/jobs/job_1"): FAILED,
    ("GET", "/v1/jobs/job_1/events"): {"data": [EVENT]},
    ("GET", "/v1/attention"): {"data": [ITEM], "counts": {"unconfirmed": 1}, "has_more": False},
    ("GET", "/v1/callbacks"): {"data": [CALLBACK], **PAGE},
    ("GET", "/v1/callbacks/cbk_7"): CALLBACK,
    ("GET", "/v1/notices"): {"data": [NOTICE], **PAGE},
    ("GET", "/v1/notices/ntc_1"): NOTICE,
    ("GET", "/v1/providers"): {"data": [gateway(unknown_words={"odd": 3})]},
    ("GET", "/v1/providers/evolink"): gateway(unknown_words={"odd": 3}),
    ("GET", "/v1/costs"): COSTS,
    ("POST", "/v1/jobs"): QUOTE,
}
COMMANDS = [
    ("jobs", "list"),
    ("jobs", "show", "job_1"),
    ("jobs", "watch", "job_1"),
    ("attention",),
    ("callbacks", "list"),
    ("callbacks", "show", "cbk_7"),
    ("notices", "list"),
    ("notices", "show", "ntc_1"),
    ("providers",),
    ("providers", "evolink"),
    ("costs",),
    ("submit", "A red fox", "--dry-run"),
]


def spoilt(value: Any, name: str = "") -> Any:
    """The same, with hostile text wherever a stranger's words may stand."""
    if isinstance(value, dict):
        inside = name if name in ("metadata", "headers", "unknown_words") else ""
        return {(HOSTILE if inside else key): spoilt(each, inside or key) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each, name) for each in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) and name in FREE else value


@pytest.fixture
def hostile(service: Service) -> None:
    for (method, path), body in ANSWERS.items():
        service.answer(method, path, spoilt(body))


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_shows_it_as_escapes_and_as_json_says_it_as_it_is(
    rushes: Callable[..., Result], command: tuple[str, ...]
) -> None:
    for said in (rushes(*command), rushes(*command, "--json")):
        assert said.exception is None or isinstance(said.exception, SystemExit)
        assert ACTED_ON.findall(said.output) == []
    if command[0] != "costs":
        assert "evil" in said.output
        told = (
            [json.loads(line) for line in said.stdout.splitlines()] if "watch" in command else json.loads(said.stdout)
        )
        assert any(HOSTILE in text for text in texts(told))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else ():
        yield from texts(each)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("command", [each for each in COMMANDS if "watch" not in each], ids=" ".join)
def test_a_table_on_a_terminal_shows_it_as_escapes(on_terminal: Callable[..., str], command: tuple[str, ...]) -> None:
    assert ACTED_ON.findall(on_terminal(*command)) == []


def test_a_refusal_is_told_in_escapes(service: Service, rushes: Callable[..., Result]) -> None:
    problem = {
        "code": "invalid_request",
        "detail": HOSTILE,
        "errors": {HOSTILE: [HOSTILE]},
        "title": "t",
        "status": 422,
    }
    service.answer("POST", "/v1/jobs", problem, 422)
    result = rushes("submit", "A red fox")
    assert result.exit_code != 0
    assert "evil" in result.stderr
    assert ACTED_ON.findall(result.output) == []


def test_a_bad_file_and_a_bad_option_are_told_in_escapes(rushes: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "shots.jsonl"
    file.write_text(f"[{json.dumps(HOSTILE, ensure_ascii=False)}\n", newline="\n")
    for result in (rushes("submit", "--file", str(file)), rushes("jobs", "list", "--state", HOSTILE), rushes(HOSTILE)):
        assert result.exit_code != 0
        assert ACTED_ON.findall(result.output) == []


def test_a_process_s_line_is_told_in_escapes() -> None:
    stream = io.StringIO()
    ProcessLog(stream)("web", f"POST /{HOSTILE}")
    assert "evil" in stream.getvalue()
    assert ACTED_ON.findall(stream.getvalue()) == []
