"""Listing, watching, cancelling and retrying."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

from rushes.cli.commands import jobs

Rushes = Callable[..., Result]


def job(number: int, state: str, **more: Any) -> dict[str, Any]:
    common = {"provider": "evolink", "attempt": 1, "created_at": "then", "progress": None, "overdue": False}
    common |= {"request": {"prompt": "A fox"}, "metadata": {"scene": "12"}}
    return {"id": f"job_{number}", "state": state, "updated_at": state, "error": None, **common, **more}


def test_every_filter_has_its_place_in_the_query(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs", {"data": [job(1, "failed")], "has_more": False, "next_cursor": None})
    arguments = [
        *("--state", "failed", "--state", "cancelled", "--provider", "evolink", "--mode", "video-edit"),
        *("--created-after", "2026-11-01T00:00:00Z", "--created-before", "2026-11-02T00:00:00Z"),
        *("--metadata", "film=7", "--metadata", "shot=a=b", "--overdue", "--needs-person"),
        *("--limit", "5", "--cursor", "c1"),
    ]
    result = rushes("jobs", "list", *arguments)
    assert (result.exit_code, result.stdout) == (0, "job_1\tfailed\tevolink\t1\tthen\tA fox\n"), result.stderr
    assert service.asked[-1]["params"] == {
        "state": ["failed", "cancelled"],
        "provider": "evolink",
        "mode": "video-edit",
        "created_after": "2026-11-01T00:00:00Z",
        "created_before": "2026-11-02T00:00:00Z",
        "metadata.film": "7",
        "metadata.shot": "a=b",
        "overdue": "true",
        "needs_person": "true",
        "limit": 5,
        "cursor": "c1",
    }


LONG = {"id": "job_01M7ZCJS6357RAFETJ3XVQFKF2", "created_at": "2026-11-21T15:46:13.827Z", "provider": "aivideoapi"}
PROMPT = "A red fox runs through deep snow\nat dawn, " * 9


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (50, ["id", "state"]),
        (80, ["id", "state", "provider", "prompt"]),
        (140, ["id", "state", "provider", "attempt", "created", "prompt"]),
    ],
)
def test_a_narrow_terminal_has_fewer_columns_and_whole_ids(
    service: Service,
    on_terminal: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    heads: list[str],
) -> None:
    row = {**job(1, "unconfirmed"), **LONG, "request": {"prompt": PROMPT}}
    service.answer("GET", "/v1/jobs", {"data": [row], "has_more": False, "next_cursor": None})
    monkeypatch.setenv("COLUMNS", str(width))
    said = on_terminal("jobs", "list")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    assert lines[0].split() == heads
    assert len(lines) == 3  # heads, a rule, the job
    assert lines[2].startswith(LONG["id"])
    assert max(map(len, said.splitlines())) <= width
    assert ("A red fox" in said, "…" in said) == ("prompt" in heads,) * 2


def test_entries_of_the_metadata_are_columns_where_they_are_asked_for(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs", {"data": [job(1, "failed")], "has_more": False, "next_cursor": None})
    result = rushes("jobs", "list", "--column", "scene", "--column", "take", "--column", "scene")
    assert (result.exit_code, result.stdout) == (0, "job_1\tfailed\tevolink\t1\tthen\t12\t\tA fox\n")


def test_all_pages_are_lines_of_json(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs", {"data": [job(1, "failed")], "has_more": True, "next_cursor": "c1"})
    service.then("GET", "/v1/jobs", {"data": [job(2, "failed")], "has_more": False, "next_cursor": None})
    result = rushes("jobs", "list", "--state", "failed", "--all", "--json")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["job_1", "job_2"]
    assert service.asked[-1]["params"] == {"state": ["failed"], "limit": 100, "cursor": "c1"}


def test_all_pages_begin_at_the_first(service: Service, rushes: Rushes) -> None:
    result = rushes("jobs", "list", "--all", "--cursor", "c1")
    assert (result.exit_code, "leave --cursor out" in result.stderr, service.asked) == (2, True, [])


def test_several_jobs_are_watched_to_their_ends(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs/job_1", job(1, "queued"))
    service.then("GET", "/v1/jobs/job_1", job(1, "archived"))
    service.answer("GET", "/v1/jobs/job_2", job(2, "cancelled"))
    result = rushes("jobs", "watch", "job_1", "job_2", "--json")
    seen = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(each["id"], each["state"]) for each in seen] == [
        ("job_1", "queued"),
        ("job_2", "cancelled"),
        ("job_1", "archived"),
    ]
    assert (result.exit_code, "error: job_2 is cancelled" in result.stderr) == (5, True)


def test_a_watch_that_takes_too_long_names_all_that_go_on(service: Service, rushes: Rushes) -> None:
    for number in (1, 2):
        service.answer("GET", f"/v1/jobs/job_{number}", job(number, "queued"))
    result = rushes("jobs", "watch", "job_1", "job_2", "--timeout", "0")
    assert result.exit_code == 6
    assert "error: job_1 is queued after 0 s" in result.stderr
    assert "`rushes jobs watch job_1 job_2`" in result.stderr


def test_cancelling_says_what_it_came_to(service: Service, rushes: Rushes) -> None:
    service.answer("POST", "/v1/jobs/job_1/cancel", job(1, "cancelled"))
    service.answer("POST", "/v1/jobs/job_2/cancel", job(2, "submitting"), 202)
    problem = {"title": "No.", "detail": "evolink has accepted the job for $0.20.", "code": "too_late"}
    service.answer("POST", "/v1/jobs/job_3/cancel", {**problem, "instance": "/v1/jobs/job_3/cancel"}, 409)
    result = rushes("jobs", "cancel", "job_3", "job_1", "job_2", "job_1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "error: job_3: evolink has accepted the job for $0.20.",
        "hint: `rushes jobs show job_3` tells what became of it, and of the money",
        "job_1  cancelled",
        "job_2  cancelled if no gateway accepts it",
    ]
    assert json.loads(rushes("jobs", "cancel", "job_1", "--json").stdout) == job(1, "cancelled")


@pytest.fixture
def failed(service: Service) -> Service:
    service.answer("GET", "/v1/jobs/job_1", job(1, "failed"))
    service.answer("POST", "/v1/jobs/job_1/retry", job(1, "queued"), 202)
    return service


def test_retrying_does_not_pay_twice_unasked(failed: Service, rushes: Rushes) -> None:
    result = rushes("jobs", "retry", "job_1")
    assert (result.exit_code, result.stderr) == (0, "job_1  tried again\n")
    assert failed.asked[-1]["json"] == {}
    assert json.loads(rushes("jobs", "retry", "job_1", "--json").stdout)["state"] == "queued"


def test_a_script_that_accepts_a_double_charge_is_believed(failed: Service, rushes: Rushes) -> None:
    assert rushes("jobs", "retry", "job_1", "--accept-double-charge").exit_code == 0
    assert failed.asked[-1]["json"] == {"accept_double_charge": True}


@pytest.mark.parametrize(("answer", "status", "asked"), [("y\n", 0, 2), ("n\n", 130, 0), ("\n", 130, 0)])
def test_a_person_is_asked_before_money_may_be_paid_twice(
    failed: Service, rushes: Rushes, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, asked: int
) -> None:
    monkeypatch.setattr(jobs, "at_terminal", lambda: True)
    result = rushes("jobs", "retry", "job_1", "--accept-double-charge", input=answer)
    assert (result.exit_code, len(failed.asked), result.stdout) == (status, asked, "")
    assert "1 video may be paid twice" in result.stderr


def test_a_person_may_say_yes_beforehand(failed: Service, rushes: Rushes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "at_terminal", lambda: True)
    assert rushes("jobs", "retry", "job_1", "--accept-double-charge", "--yes").exit_code == 0


def test_yes_answers_nothing_by_itself(service: Service, rushes: Rushes) -> None:
    result = rushes("jobs", "retry", "job_1", "--yes")
    assert (result.exit_code, "--accept-double-charge" in result.stderr) == (2, True)


def test_a_retry_that_may_pay_twice_says_how(failed: Service, rushes: Rushes) -> None:
    problem = {"title": "No.", "detail": "Money may have been taken.", "code": "may_be_paid"}
    failed.answer("POST", "/v1/jobs/job_1/retry", {**problem, "instance": "/v1/jobs/job_1/retry"}, 409)
    result = rushes("jobs", "retry", "job_1")
    assert (result.exit_code, "`rushes jobs retry job_1 --accept-double-charge`" in result.stderr) == (1, True)


def batch(**more: Any) -> dict[str, Any]:
    times = {"created_at": "2026-11-21T15:00:00.000Z", "ended_at": None}
    return {"name": "a b", "jobs": 2, "states": {"generating": 2}, "needs_person": 0, "usd": 0.75, **times, **more}


def page(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(jobs), "has_more": False, "next_cursor": None}


def test_a_batch_is_followed_to_its_last_end_and_summed(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/batches/a%20b", batch())
    ended = {"states": {"archived": 1, "failed": 1}, "needs_person": 1, "ended_at": "2026-11-21T15:04:12.000Z"}
    service.then("GET", "/v1/batches/a%20b", batch(**ended))
    failed = job(2, "failed", error={"code": "content_refused", "message": "No."})
    service.answer("GET", "/v1/jobs", page(job(2, "generating"), job(1, "generating", progress=10)))
    service.then("GET", "/v1/jobs", page(failed, job(1, "generating", progress=10)))
    service.then("GET", "/v1/jobs", page(failed, job(1, "archived")))
    result = rushes("jobs", "watch", "--batch", "a b")
    assert (result.exit_code, result.stdout) == (5, "")
    assert [line for line in result.stderr.splitlines() if line.startswith("job_")] == [
        "job_2  generating at evolink",
        "job_1  generating at evolink, 10 %",
        "job_2  failed at evolink",
        "job_1  archived at evolink",
    ]
    said = "a b: 1 archived, 1 failed, $0.75, 4 min 12 s; 1 job should be looked at: `rushes attention`"
    assert said in result.stderr.splitlines()
    assert "error: job_2 is failed: content_refused: No." in result.stderr


def test_changes_of_a_batch_are_lines_of_json(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/batches/b", batch(name="b"))
    service.answer("GET", "/v1/jobs", page(job(1, "generating")))
    service.then("GET", "/v1/jobs", page(job(1, "archived")))
    result = rushes("jobs", "watch", "--batch", "b", "--json")
    assert (result.exit_code, [json.loads(line)["state"] for line in result.stdout.splitlines()]) == (
        0,
        ["generating", "archived"],
    )


def test_a_batch_that_takes_too_long_is_told_as_it_stands(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/batches/b", batch(name="b"))
    service.answer("GET", "/v1/jobs", page(job(1, "generating"), job(2, "archived")))
    result = rushes("jobs", "watch", "--batch", "b", "--timeout", "0")
    assert result.exit_code == 6
    assert "error: b: 1 generating, 1 archived after 0 s" in result.stderr
    assert "`rushes jobs watch --batch b`" in result.stderr


def test_a_batch_that_is_not_there_is_told_with_where_to_look(service: Service, rushes: Rushes) -> None:
    problem = {"code": "unknown_batch", "detail": "No job belongs to a batch 'b'.", "title": "No such batch."}
    service.answer("GET", "/v1/batches/b", problem, 404)
    result = rushes("jobs", "watch", "--batch", "b")
    assert (result.exit_code, "tells each job's batch" in result.stderr) == (3, True)


@pytest.mark.parametrize("arguments", [(), ("job_1", "--batch", "b")])
def test_jobs_are_named_by_their_ids_or_by_a_batch(
    service: Service, rushes: Rushes, arguments: tuple[str, ...]
) -> None:
    result = rushes("jobs", "watch", *arguments)
    assert (result.exit_code, service.asked) == (2, [])
    assert "by their ids, or a batch" in result.stderr
