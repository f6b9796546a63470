"""The command line against the real service: real API, bucket, database and gateways' stand-ins."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result
from workshop import Workshop

from jobs.machine.states import State

Rushes = Callable[..., Result]


@pytest.fixture
def at_work(workshop: Workshop) -> Iterator[None]:
    """Somebody takes every due step meanwhile."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            workshop.sweep()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    yield
    over.set()
    worker.join()


@pytest.fixture
def archived(workshop: Workshop, sandbox: Any) -> str:
    job_id = workshop.create(provider="evolink", metadata={"film": "7"})
    workshop.until(job_id, State.ARCHIVED)
    return job_id


def sha256_of(workshop: Workshop, job_id: str) -> str:
    return str(workshop.case(job_id).job.sha256)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_film_comes_home_by_one_command(
    workshop: Workshop, sandbox: Any, rushes: Rushes, at_work: None, tmp_path: Path
) -> None:
    result = rushes("submit", "A fox", "--resolution", "720p", "--duration", "2", "--download", str(tmp_path / "v"))
    assert result.exit_code == 0, result.stderr
    job_id = result.stdout.strip()
    assert digest(tmp_path / "v" / f"{job_id}.mp4") == sha256_of(workshop, job_id)
    assert f"{job_id}  archived" in result.stderr


def test_many_films_come_home_and_the_same_run_buys_none_twice(
    workshop: Workshop, sandbox: Any, rushes: Rushes, at_work: None, tmp_path: Path
) -> None:
    shots = [{"prompt": name, "duration": 2} for name in ("A fox", "A hare")] + [{"prompt": "x", "duration": 9999}]
    (tmp_path / "shots.jsonl").write_text("\n".join(map(json.dumps, shots)))
    command = ["submit", "--file", str(tmp_path / "shots.jsonl"), "--batch", "b1", "--resolution", "720p"]
    first = rushes(*command, "--download", str(tmp_path))
    assert first.exit_code == 2
    assert "error: line 3: duration" in first.stderr
    ids = first.stdout.split()
    assert [digest(tmp_path / f"{job_id}.mp4") for job_id in ids] == [sha256_of(workshop, job_id) for job_id in ids]
    assert rushes(*command).stdout.split() == ids
    assert len(sandbox.tasks()) == 2


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_download_goes_on_where_it_stopped(
    workshop: Workshop, archived: str, rushes: Rushes, tmp_path: Path, share: float
) -> None:
    film = b"".join(workshop.bucket.open(workshop.case(archived).job.archive_key))
    (tmp_path / f"{archived}.mp4.part").write_bytes(film[: int(len(film) * share)])
    result = rushes("videos", "download", archived, "--dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / archived}.mp4\n"), result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("job_")] == [f"{archived}.mp4"]
    assert (tmp_path / f"{archived}.mp4").read_bytes() == film


def test_what_is_archived_is_listed_and_linked(workshop: Workshop, archived: str, rushes: Rushes) -> None:
    row = rushes("videos", "list", "--metadata", "film=7").stdout.rstrip().split("\t")
    assert (row[0], row[3]) == (archived, str(workshop.case(archived).job.bytes))
    assert rushes("videos", "list", "--metadata", "film=8").stdout == ""
    for more, kind in (((), "video/mp4"), (("--poster",), "image/jpeg")):
        link = rushes("videos", "link", archived, *more).stdout.strip()
        answer = requests.get(link, timeout=5)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)


def test_lists_are_filtered_and_followed_to_their_ends(workshop: Workshop, rushes: Rushes) -> None:
    ids = [workshop.create(provider="evolink", metadata={"n": str(n)}) for n in range(3)]
    told = rushes("jobs", "list", "--state", "queued", "--state", "failed", "--all", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in told] == ids[::-1]
    page = json.loads(rushes("jobs", "list", "--limit", "2", "--json").stdout)
    rest = rushes("jobs", "list", "--limit", "2", "--cursor", page["next_cursor"]).stdout
    assert rest.split("\t")[0] == ids[0]
    chosen = rushes("jobs", "list", "--metadata", "n=1", "--created-after", "2026-01-01T00:00:00Z")
    assert [line.split("\t")[0] for line in chosen.stdout.splitlines()] == [ids[1]]
    result = rushes("jobs", "list", "--state", "don")
    assert (result.exit_code, "state: " in result.stderr) == (2, True)
    assert "request id: " in result.stderr


def test_a_waiting_job_is_cancelled_and_an_archived_one_is_not(
    workshop: Workshop, archived: str, rushes: Rushes
) -> None:
    waiting = workshop.create(provider="evolink")
    result = rushes("jobs", "cancel", archived, waiting)
    assert result.exit_code == 1
    assert f"{waiting}  cancelled" in result.stderr
    assert f"`rushes jobs show {archived}`" in result.stderr
    assert workshop.state(waiting) is State.CANCELLED
    assert rushes("jobs", "watch", waiting).exit_code == 5


def test_a_failed_job_is_tried_again(workshop: Workshop, sandbox: Any, rushes: Rushes) -> None:
    sandbox.fault("evolink", "fail")
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.FAILED)
    result = rushes("jobs", "retry", job_id)
    assert (result.exit_code, result.stderr) == (0, f"{job_id}  tried again\n")
    workshop.until(job_id, State.ARCHIVED)
    again = rushes("jobs", "retry", job_id)
    assert (again.exit_code, f"`rushes jobs watch {job_id}`" in again.stderr) == (1, True)


def test_whoever_watches_hears_of_each_change_once(
    workshop: Workshop, sandbox: Any, rushes: Rushes, at_work: None
) -> None:
    job_id = workshop.create(provider="evolink")
    result = rushes("jobs", "watch", job_id, "--json", "--timeout", "30")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, told[-1]["state"]) == (0, "archived"), result.stderr
    assert len({each["updated_at"] for each in told}) == len(told)
