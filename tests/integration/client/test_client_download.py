"""Bringing a video home: whole and proven, or not at all."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import JOB_ID, Answer, Clock, Request, Scripted, job, problem

from rushes_client import ChecksumMismatch, Client, Job, JobFailed, NotArchived, Unavailable

FILM = random.Random(7).randbytes(700_000)
SIGNED = "/films/fox.mp4?X-Amz-Signature=topsecret"


@pytest.fixture
def archived(service: Scripted, store: Scripted) -> Job:
    """An archived job; each question for its video is answered with a link of its own."""

    def rule(request: Request) -> Answer:
        if request.path.endswith("/video"):
            return Answer(302, headers={"Location": f"{store.url}{SIGNED}&n={len(service.requests)}"})
        return Answer(200, job("archived", FILM))

    service.rule = rule
    return Job.from_json(job("archived", FILM))


def ranged(request: Request, *, film: bytes = FILM, cut: int | None = None) -> Answer:
    """As a store answers, with its connection lost after `cut` bytes."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if asked is None:
        return Answer(200, film, cut=cut)
    start = int(asked[1])
    return Answer(206, film[start:], {"Content-Range": f"bytes {start}-{len(film) - 1}/{len(film)}"}, cut)


def test_a_video_is_put_in_place_whole_and_its_progress_told(
    client: Client, archived: Job, store: Scripted, tmp_path: Path
) -> None:
    store.rule = ranged
    told: list[tuple[int, int]] = []
    path = client.download(archived, tmp_path / "fox.mp4", on_progress=lambda done, of: told.append((done, of)))
    assert path.read_bytes() == FILM
    assert os.listdir(tmp_path) == ["fox.mp4"]
    assert told[0] == (0, len(FILM))
    assert told[-1] == (len(FILM), len(FILM))
    assert told == sorted(told)


def test_a_job_is_looked_up_where_only_its_id_or_an_older_state_is_known(
    client: Client, archived: Job, store: Scripted, tmp_path: Path
) -> None:
    store.rule = ranged
    assert client.download(JOB_ID, tmp_path / "1.mp4").read_bytes() == FILM
    assert client.download(Job.from_json(job("generating")), str(tmp_path / "2.mp4")).read_bytes() == FILM


def test_neither_the_key_nor_a_netrc_reaches_the_store(
    client: Client, archived: Job, store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fox password snow\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    store.rule = ranged
    client.download(archived, tmp_path / "fox.mp4")
    assert "authorization" not in store.requests[0].headers
    assert client._connection._bearer._header not in str(store.requests)


def test_a_link_that_dies_in_the_middle_is_fetched_anew_and_the_rest_with_it(
    client: Client, archived: Job, store: Scripted, tmp_path: Path
) -> None:
    def rule(request: Request) -> Answer:
        answers = [ranged(request, cut=300_000), Answer(403), ranged(request, cut=100_000), ranged(request)]
        return answers[len(store.requests) - 1]

    store.rule = rule
    assert client.download(archived, tmp_path / "fox.mp4").read_bytes() == FILM
    links = {request.query["n"][0] for request in store.requests}
    assert len(links) == len(store.requests) == 4
    starts = [int(request.headers.get("range", "bytes=0-")[6:-1]) for request in store.requests]
    assert starts[0] == 0 < starts[1] == starts[2] < starts[3]


def test_what_an_earlier_run_has_left_is_gone_on_with_and_proven_too(
    client: Client, archived: Job, store: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "fox.mp4.part").write_bytes(FILM[:500_000])
    store.rule = ranged
    told: list[int] = []
    client.download(archived, tmp_path / "fox.mp4", on_progress=lambda done, _: told.append(done))
    assert [request.headers["range"] for request in store.requests] == ["bytes=500000-"]
    assert told[0] == 500_000
    assert (tmp_path / "fox.mp4").read_bytes() == FILM


@pytest.mark.parametrize(
    "left", [b"another film", b"x" * 500_000, FILM[:-1] + b"x", FILM + b"more"], ids=["short", "long", "whole", "over"]
)
def test_what_another_video_has_left_is_thrown_away(
    client: Client, archived: Job, store: Scripted, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "fox.mp4.part").write_bytes(left)
    store.rule = ranged
    assert client.download(archived, tmp_path / "fox.mp4").read_bytes() == FILM
    assert "range" not in store.requests[-1].headers
    assert os.listdir(tmp_path) == ["fox.mp4"]


def test_a_left_part_that_is_whole_needs_no_store(
    client: Client, archived: Job, store: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "fox.mp4.part").write_bytes(FILM)
    assert client.download(archived, tmp_path / "fox.mp4").read_bytes() == FILM
    assert store.requests == []


def test_a_store_that_knows_no_ranges_still_gets_there(
    client: Client, archived: Job, store: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "fox.mp4.part").write_bytes(FILM[:500_000])
    store.rule = lambda _: Answer(200, FILM)
    assert client.download(archived, tmp_path / "fox.mp4").read_bytes() == FILM


@pytest.mark.parametrize("film", [FILM[:-1] + b"x", FILM + b"more and more"], ids=["changed", "longer"])
def test_bytes_that_are_not_the_video_are_never_put_in_place(
    client: Client, archived: Job, store: Scripted, tmp_path: Path, film: bytes
) -> None:
    store.rule = lambda request: ranged(request, film=film)
    if film[: len(FILM)] == FILM:  # what is beyond the video's length is not even kept
        assert client.download(archived, tmp_path / "fox.mp4").read_bytes() == FILM
        return
    with pytest.raises(ChecksumMismatch, match="came with the SHA-256") as caught:
        client.download(archived, tmp_path / "fox.mp4")
    assert caught.value.job is archived
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_the_video_already_is_left_alone_and_any_other_is_kept(
    client: Client, archived: Job, service: Scripted, tmp_path: Path
) -> None:
    path = tmp_path / "fox.mp4"
    path.write_bytes(FILM)
    told: list[tuple[int, int]] = []
    assert client.download(archived, path, on_progress=lambda done, of: told.append((done, of))) == path
    assert told == [(len(FILM), len(FILM))]
    assert service.requests == []
    for other in (b"mine", FILM[:-1] + b"x"):
        path.write_bytes(other)
        with pytest.raises(FileExistsError, match="holds something else"):
            client.download(archived, path)
        assert path.read_bytes() == other


@pytest.mark.parametrize("answer", [Answer(403), Answer(503), Answer(cut=0), Answer(206, FILM)])
def test_a_store_that_gives_nothing_ends_patience_without_showing_the_link_and_leaves_the_part(
    make_client: Callable[..., Client],
    archived: Job,
    store: Scripted,
    clock: Clock,
    tmp_path: Path,
    answer: Answer,
) -> None:
    (tmp_path / "fox.mp4.part").write_bytes(FILM[:1000])
    store.rule = lambda _: answer
    with pytest.raises(Unavailable, match=r"1000 of 700000 bytes of .* came from 127\.0\.0\.1") as caught:
        make_client(patience_s=10).download(archived, tmp_path / "fox.mp4")
    shown = "".join(map(str, [caught.value, caught.value.__cause__, caught.value.__context__]))
    assert "topsecret" not in shown
    assert sum(clock.pauses) <= 10
    assert (tmp_path / "fox.mp4.part").read_bytes() == FILM[:1000]


def test_patience_starts_anew_with_every_byte(
    make_client: Callable[..., Client], archived: Job, store: Scripted, clock: Clock, tmp_path: Path
) -> None:
    store.rule = lambda request: Answer(503) if len(store.requests) % 4 else ranged(request, cut=70_000)
    client = make_client(patience_s=10)
    assert client.download(archived, tmp_path / "fox.mp4").read_bytes() == FILM
    assert sum(clock.pauses) > 10


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (job("failed", error={"code": "moderated", "message": "Not this one.", "retryable": False}), JobFailed),
        (job("generating"), NotArchived),
    ],
)
def test_a_job_without_a_video_says_why(
    client: Client, service: Scripted, tmp_path: Path, told: dict[str, object], kind: type[Exception]
) -> None:
    service.script = [Answer(200, told)]
    with pytest.raises(kind):
        client.download(JOB_ID, tmp_path / "fox.mp4")
    assert os.listdir(tmp_path) == []


def test_a_refusal_of_the_service_is_its_own(client: Client, archived: Job, service: Scripted, tmp_path: Path) -> None:
    service.rule = None
    service.script = [problem(503, "bucket_unavailable"), problem(409, "not_archived", "The job is archiving.")]
    with pytest.raises(NotArchived, match="The job is archiving"):
        client.download(archived, tmp_path / "fox.mp4")
