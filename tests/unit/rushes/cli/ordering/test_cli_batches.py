"""Many requests in one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fake_service import DRY_RUN, Service

from rushes.cli.ordering import batches
from rushes.cli.terminal.failures import Failure

Rushes = Callable[..., Result]
FILM = b"a film"
QUOTE: dict[str, Any] = {
    "dry_run": True,
    "made": None,
    "provider": "evolink",
    "price": {"seconds": 2.0, "credits": 1.0, "usd": 0.25, "exact": True},
    "waits": None,
    "considered": [],
}


def job(number: int, state: str = "queued") -> dict[str, Any]:
    video = {"bucket": "b", "key": f"k{number}", "bytes": len(FILM), "sha256": hashlib.sha256(FILM).hexdigest()}
    return {
        "id": f"job_{number}",
        "state": state,
        "updated_at": state,
        "provider": "evolink",
        "progress": None,
        "overdue": False,
        "error": None,
        "video": video if state == "archived" else None,
        "attempts": [{"cost": {"standing": "charged", "estimated_usd": 0.25, "reported_usd": None}}],
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shots.jsonl"
    path.write_text('{"prompt": "A fox"}\n\n{"prompt": "A hare", "duration": 4, "idempotency_key": "hare-1"}\n')
    return path


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the service is asked in the order of the lines."""
    monkeypatch.setattr("rushes.cli.service.parallel.AT_ONCE", 1)


@pytest.fixture
def service(service: Service) -> Service:
    """It takes every request."""
    service.answer("POST", DRY_RUN, QUOTE)
    return service


@pytest.fixture
def three(service: Service) -> Service:
    for number in (1, 2, 3):
        service.then("POST", "/v1/jobs", job(number), 202)
    return service


def orders(service: Service) -> list[dict[str, Any]]:
    return [asked for asked in service.asked if asked["method"] == "POST" and not asked.get("params")]


def keys(service: Service) -> list[str]:
    return [asked["headers"]["Idempotency-Key"] for asked in orders(service)]


def listed(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(jobs), "has_more": False, "next_cursor": None}


def test_each_line_is_asked_for_and_what_it_leaves_out_is_as_said(three: Service, rushes: Rushes, file: Path) -> None:
    result = rushes("submit", "--file", str(file), "--duration", "2", "--provider", "evolink", "--metadata", "film=7")
    assert (result.exit_code, result.stdout) == (0, "job_1\njob_2\n"), result.stderr
    common = {"provider": "evolink", "metadata": {"film": "7"}, "batch": "shots.jsonl"}
    assert [order["json"] for order in orders(three)] == [
        {**common, "prompt": "A fox", "duration": 2},
        {**common, "prompt": "A hare", "duration": 4},
    ]
    assert keys(three)[1] == "hare-1"
    assert result.stderr.splitlines() == [
        "2 of 2 requests to be bought: $0.50",
        "2 jobs; `rushes jobs watch --batch shots.jsonl` follows them",
    ]


def test_stdin_is_a_file_too_in_a_batch_of_its_own(three: Service, rushes: Rushes) -> None:
    for number in (1, 2):
        result = rushes("submit", "--file", "-", input='{"prompt": "A fox"}')
        assert (result.exit_code, result.stdout) == (0, f"job_{number}\n")
    names = {order["json"]["batch"] for order in orders(three)}
    assert (len(names), all(name.startswith("stdin-") for name in names)) == (2, True)


def test_what_is_made_already_is_said_and_not_counted_as_bought(service: Service, rushes: Rushes, file: Path) -> None:
    service.answer("POST", DRY_RUN, {**QUOTE, "made": "job_1"})
    service.then("POST", DRY_RUN, QUOTE)
    service.then("POST", "/v1/jobs", job(1))
    service.then("POST", "/v1/jobs", job(2))
    result = rushes("submit", "--file", str(file))
    assert (result.exit_code, result.stdout) == (0, "job_1\njob_2\n")
    assert "1 of 2 requests to be bought: $0.25; 1 are made already" in result.stderr
    asked = [each["headers"]["Idempotency-Key"] for each in service.asked if each.get("params")]
    assert asked == keys(service)


def test_json_is_a_line_for_each_job_with_the_place_of_its_request(three: Service, rushes: Rushes, file: Path) -> None:
    result = rushes("submit", "--file", str(file), "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert told == [{**job(1), "line": 1}, {**job(2), "line": 3}]


def test_the_same_file_under_the_same_name_asks_once(three: Service, rushes: Rushes, file: Path) -> None:
    file.write_text('{"prompt": "A fox"}\n{"prompt": "A fox"}\n')
    for _ in range(2):
        assert rushes("submit", "--file", str(file), "--batch", "monday").exit_code == 0
    first, second, *again = keys(three)
    assert first != second
    assert again == [first, second]
    file.write_text('{"prompt": "A hare"}\n{ "prompt":"A fox" }\n')
    rushes("submit", "--file", str(file), "--batch", "monday")
    assert keys(three)[5] == first  # wherever its line has come to stand, and however it is written
    rushes("submit", "--file", str(file), "--batch", "tuesday")
    assert first not in keys(three)[6:]


def test_without_a_name_the_batch_is_called_as_the_file(three: Service, rushes: Rushes, file: Path) -> None:
    file.write_text('{"prompt": "A fox"}\n')
    for more in ((), ("--batch", "shots.jsonl"), ("--batch", "monday")):
        assert rushes("submit", "--file", str(file), *more).exit_code == 0
    assert [order["json"]["batch"] for order in orders(three)] == ["shots.jsonl", "shots.jsonl", "monday"]
    first, again, other = keys(three)
    assert (first == again, first == other) == (True, False)


def test_bad_lines_are_told_together_before_anything_is_sent(service: Service, rushes: Rushes, file: Path) -> None:
    file.write_text('{"prompt": "A fox"}\n[]\n{"prompt"\n{"idempotency_key": 7}\n{"a": 1, "a": 2}\n{"batch": "b"}\n')
    result = rushes("submit", "--file", str(file))
    assert (result.exit_code, result.stdout, service.asked) == (2, "", [])
    told = [line for line in result.stderr.splitlines() if line.startswith("error: line")]
    assert [line.split()[2] for line in told] == ["2:", "3:", "4:", "5:", "6:"]
    assert "hint: nothing was sent" in result.stderr


def test_of_thousands_of_bad_lines_the_first_are_told(rushes: Rushes, file: Path) -> None:
    file.write_text("[]\n" * 6_000)
    told = rushes("submit", "--file", str(file)).stderr.splitlines()
    assert len(told) == 22
    assert told[20] == "error: and 5,980 more bad lines"


def test_two_lines_with_one_key_are_told(file: Path) -> None:
    file.write_text('{"prompt": "a", "idempotency_key": "k"}\n{"prompt": "b", "idempotency_key": "k"}\n')
    with pytest.raises(Failure, match="line 2: its idempotency_key is that of line 1"):
        batches.read(str(file), "b", {})


def test_an_empty_file_is_told(file: Path) -> None:
    file.write_text("\n\n")
    with pytest.raises(Failure, match="has no requests"):
        batches.read(str(file), "b", {})


def test_a_refused_line_is_told_and_the_others_go_on(service: Service, rushes: Rushes, file: Path) -> None:
    service.answer("POST", DRY_RUN, {"title": "No.", "errors": {"duration": ["At most 15."]}}, 422)
    service.then("POST", DRY_RUN, QUOTE)
    service.then("POST", "/v1/jobs", job(2), 202)
    result = rushes("submit", "--file", str(file))
    assert (result.exit_code, result.stdout) == (2, "job_2\n")
    assert "error: line 1: duration: At most 15." in result.stderr
    assert "1 of 2 requests to be bought: $0.25" in result.stderr


def test_a_service_that_refuses_the_key_ends_the_run_with_the_way_to_go_on(
    service: Service, rushes: Rushes, file: Path
) -> None:
    service.then("POST", "/v1/jobs", job(1), 202)
    service.then("POST", "/v1/jobs", {"title": "Unknown key."}, 401)
    result = rushes("submit", "--file", str(file))
    assert (result.exit_code, result.stdout) == (4, "job_1\n")
    assert "error: line 3: Unknown key." in result.stderr
    assert "the same command with --batch shots.jsonl goes on from there, and buys nothing twice" in result.stderr


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time between two looks at a batch."""
    monkeypatch.setattr("rushes.cli.ordering.many.LOOK_EVERY_S", 0)


@pytest.mark.usefixtures("at_once")
def test_waiting_is_for_all_of_them(three: Service, rushes: Rushes, file: Path) -> None:
    stranger = job(7, "generating")  # of an earlier run of the batch
    failed = {**job(2, "failed"), "error": {"code": "content_refused", "message": "No."}}
    three.answer("GET", "/v1/jobs", listed(stranger))
    three.then("GET", "/v1/jobs", listed(stranger, failed, job(1, "generating")))
    three.then("GET", "/v1/jobs", listed(stranger, failed, job(1, "archived")))
    result = rushes("submit", "--file", str(file), "--wait", "--json")
    assert result.exit_code == 5
    ended = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted((each["id"], each["line"], each["state"]) for each in ended) == [
        ("job_1", 1, "archived"),
        ("job_2", 3, "failed"),
    ]
    assert "error: job_2 is failed: content_refused: No." in result.stderr
    assert "job_1  generating at evolink" in result.stderr
    assert "job_7" not in result.stderr
    assert "1 archived, 1 failed, $0.50, 0 s" in result.stderr.splitlines()
    assert {asked["params"]["batch"] for asked in three.asked if asked["method"] == "GET"} == {"shots.jsonl"}


@pytest.mark.usefixtures("at_once")
def test_videos_are_brought_home_as_they_come_and_called_as_wanted(
    three: Service, rushes: Rushes, file: Path, tmp_path: Path
) -> None:
    file.write_text(
        '{"prompt": "A fox", "metadata": {"scene": "a/1"}}\n\n{"prompt": "A hare", "metadata": {"scene": "b"}}\n'
    )
    three.answer("GET", "/v1/jobs", listed(job(1, "archived"), job(2, "generating")))
    three.then("GET", "/v1/jobs", listed(job(1, "archived"), job(2, "archived")))
    for number in (1, 2):
        three.answer("GET", f"/v1/jobs/job_{number}/video", b"", 302, Location=f"https://s3/{number}")
        three.answer("GET", f"https://s3/{number}", FILM)
    folder = tmp_path / "videos"
    pattern = ("--name", "{batch}/{line:03}-{metadata.scene}-{provider}")
    result = rushes("submit", "--file", str(file), "--download", str(folder), *pattern)
    assert (result.exit_code, result.stdout) == (0, "job_1\njob_2\n"), result.stderr
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mp4"))
    assert found == ["shots.jsonl/001-a_1-evolink.mp4", "shots.jsonl/003-b-evolink.mp4"]
    assert (folder / found[0]).read_bytes() == FILM


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{metadata.scene}", "line 3: it has no metadata.scene"),
        ("film", "line 3: its video would be called film.mp4, as that of line 1"),
        ("../{id}", "which is no file below the folder"),
        ("{line:x7q}", "cannot write line"),
    ],
)
def test_names_that_cannot_be_given_are_told_before_anything_is_sent(
    service: Service, rushes: Rushes, file: Path, tmp_path: Path, pattern: str, words: str
) -> None:
    file.write_text('{"prompt": "A fox", "metadata": {"scene": "1"}}\n\n{"prompt": "A hare"}\n')
    result = rushes("submit", "--file", str(file), "--download", str(tmp_path), "--name", pattern)
    assert (result.exit_code, result.stdout, service.asked) == (2, "", [])
    assert words in result.stderr


@pytest.mark.usefixtures("at_once")
def test_when_time_is_up_the_way_back_is_told(three: Service, rushes: Rushes, file: Path) -> None:
    three.answer("GET", "/v1/jobs", listed(job(1, "archived"), job(2, "generating")))
    result = rushes("submit", "--file", str(file), "--wait", "--timeout", "0")
    assert result.exit_code == 6
    assert "had not ended after 0 s" in result.stderr
    assert "`rushes jobs watch --batch shots.jsonl`" in result.stderr


def test_a_file_whose_name_no_batch_can_have_needs_another(service: Service, rushes: Rushes, tmp_path: Path) -> None:
    file = tmp_path / ("x" * 101)
    file.write_text('{"prompt": "A fox"}\n')
    result = rushes("submit", "--file", str(file))
    assert (result.exit_code, service.asked) == (2, [])
    assert "add --batch NAME" in result.stderr


def test_one_video_is_brought_home_as_well(three: Service, rushes: Rushes, tmp_path: Path) -> None:
    three.answer("GET", "/v1/jobs/job_1", job(1, "archived"))
    three.answer("GET", "/v1/jobs/job_1/video", b"", 302, Location="https://s3/1")
    three.answer("GET", "https://s3/1", FILM)
    result = rushes("submit", "A fox", "--download", str(tmp_path))
    assert (result.exit_code, (tmp_path / "job_1.mp4").read_bytes()) == (0, FILM)


def test_a_dry_run_of_many_is_a_table_and_a_sum(service: Service, rushes: Rushes, file: Path) -> None:
    waits = {"provider": "evolink", "code": "full", "reason": "evolink has 50 in flight", "seconds": 5}
    service.answer("POST", DRY_RUN, QUOTE)
    service.then("POST", DRY_RUN, {**QUOTE, "provider": None, "price": None, "waits": waits})
    result = rushes("submit", "--file", str(file), "--dry-run")
    assert result.stdout.splitlines() == ["1\tevolink\t$0.25\t", "3\t\t\tevolink has 50 in flight"]
    assert result.stderr == "2 requests, $0.25, and 1 without a price in US$\n"


def test_a_dry_run_says_at_most_where_a_price_is_no_more_than_that(
    service: Service, rushes: Rushes, file: Path
) -> None:
    service.answer("POST", DRY_RUN, {**QUOTE, "price": {**QUOTE["price"], "exact": False}})
    service.then("POST", DRY_RUN, {"title": "No.", "detail": "Not so."}, 422)
    result = rushes("submit", "--file", str(file), "--dry-run", "--json")
    assert result.exit_code == 2
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == [1]
    assert "error: line 3: Not so." in result.stderr
    service.answer("POST", DRY_RUN, {**QUOTE, "price": {**QUOTE["price"], "exact": False}})
    assert "2 requests, at most $0.50\n" in rushes("submit", "--file", str(file), "--dry-run").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["A fox", "--file", "FILE"], "leave PROMPT, --request, --like and --idempotency-key out"),
        (["--request", "FILE", "--file", "FILE"], "leave PROMPT, --request, --like and --idempotency-key out"),
        (["--file", "FILE", "--idempotency-key", "k"], "leave PROMPT, --request, --like and --idempotency-key out"),
        (["A fox", "--name", "{line}"], "--name is about many videos; add --file."),
        (["--file", "FILE", "--batch", "a/b"], "leave / out"),
        (["--file", "FILE", "--name", "{scene}"], "there are id, line, batch, mode, provider, and metadata.KEY"),
        (["--file", "/nowhere"], "does not exist"),
        (["--file", "FILE", "--dry-run", "--download", "d"], "nothing to wait for"),
    ],
)
def test_what_does_not_go_together_is_told(
    service: Service, rushes: Rushes, file: Path, arguments: list[str], words: str
) -> None:
    result = rushes("submit", *[str(file) if argument == "FILE" else argument for argument in arguments])
    assert (result.exit_code, result.stdout, service.asked) == (2, "", [])
    assert words in result.stderr
