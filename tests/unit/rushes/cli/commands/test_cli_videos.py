from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

Rushes = Callable[..., Result]
FILM = b"a film"
LINK = "https://s3/v.mp4?X-Amz-Signature=s"
JOB: dict[str, Any] = {
    "id": "job_1",
    "state": "archived",
    "video": {
        "bucket": "b",
        "key": "videos/job_1.mp4",
        "bytes": len(FILM),
        "sha256": hashlib.sha256(FILM).hexdigest(),
        "duration_s": 2.0,
        "width": 1280,
        "height": 720,
    },
}


@pytest.fixture
def archive(service: Service) -> Service:
    service.answer("GET", "/v1/jobs/job_1", JOB)
    service.answer("GET", "/v1/jobs/job_1/video", b"", 302, Location=LINK)
    service.answer("GET", LINK, FILM)
    return service


def test_what_is_archived_is_listed_with_its_measures(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs", {"data": [JOB], "has_more": True, "next_cursor": "c1"})
    result = rushes("videos", "list", "--provider", "evolink", "--metadata", "film=7")
    assert result.stdout == "job_1\t2\t1280×720\t6\ts3://b/videos/job_1.mp4\t\n"
    assert "--cursor c1" in result.stderr
    assert service.asked[-1]["params"] == {
        "state": "archived",
        "provider": "evolink",
        "metadata.film": "7",
        "limit": 20,
    }


def test_a_link_stands_alone_on_stdout(archive: Service, rushes: Rushes) -> None:
    result = rushes("videos", "link", "job_1")
    assert (result.exit_code, result.stdout) == (0, f"{LINK}\n")
    assert json.loads(rushes("videos", "link", "job_1", "--json").stdout) == {"id": "job_1", "url": LINK}


def test_a_poster_has_a_link_too(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs/job_1/poster", b"", 302, Location="https://s3/v.jpg")
    assert rushes("videos", "link", "job_1", "--poster").stdout == "https://s3/v.jpg\n"


def test_videos_are_saved_and_their_paths_printed(archive: Service, rushes: Rushes, tmp_path: Path) -> None:
    result = rushes("videos", "download", "job_1", "--dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/job_1.mp4\n"), result.stderr
    assert (tmp_path / "job_1.mp4").read_bytes() == FILM
    again = rushes("videos", "download", "job_1", "--dir", str(tmp_path), "--json")
    assert json.loads(again.stdout) == {"id": "job_1", "file": f"{tmp_path}/job_1.mp4"}
    assert "there already" in again.stderr


def test_one_that_cannot_be_saved_does_not_keep_the_others(archive: Service, rushes: Rushes, tmp_path: Path) -> None:
    archive.answer("GET", "/v1/jobs/job_0", {"title": "No such job."}, 404)
    archive.answer("GET", "/v1/jobs/job_2", {**JOB, "id": "job_2", "state": "generating", "video": None})
    result = rushes("videos", "download", "job_0", "job_2", "job_1", "--dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (3, f"{tmp_path}/job_1.mp4\n")
    assert "error: job_0: No such job." in result.stderr
    assert "error: job_2 is generating; it has no video" in result.stderr


@pytest.mark.parametrize(("by", "said"), [("key_7", "as it is, accepted by key_7"), (None, "a film that plays came")])
def test_a_film_is_accepted_and_waited_for(service: Service, rushes: Rushes, by: str | None, said: str) -> None:
    waits = {**JOB, "state": "archiving", "video": None, "accepted_by": None}
    ended = {"error": None, "accepted_by": by, "ended_at": "2026-11-21T16:00:00Z"}
    service.answer("POST", "/v1/jobs/job_1/video/accept", waits, 202)
    service.answer("GET", "/v1/jobs/job_1", {**JOB, **ended})
    result = rushes("videos", "accept", "job_1")
    assert (result.exit_code, said in result.stderr) == (0, True), result.output


def test_a_film_that_shows_nothing_of_itself_is_listed(service: Service, rushes: Rushes) -> None:
    video = {**JOB["video"], "width": None, "height": None, "duration_s": None}
    service.answer("GET", "/v1/jobs", {"data": [{**JOB, "video": video}], "has_more": False, "next_cursor": None})
    assert rushes("videos", "list").stdout == "job_1\t?\t?\t6\ts3://b/videos/job_1.mp4\t\n"


def test_a_video_that_is_not_archived_yet_says_how_to_wait(service: Service, rushes: Rushes) -> None:
    problem = {"title": "No.", "detail": "The job is generating.", "code": "not_archived", "instance": "/v1/jobs/job_1"}
    service.answer("GET", "/v1/jobs/job_1/video", problem, 409)
    result = rushes("videos", "link", "job_1")
    assert (result.exit_code, "`rushes jobs watch job_1`" in result.stderr) == (1, True)
