"""A film that is paid for and can be put nowhere: a person is told at the first refusal, of whichever place."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from altered import AlteredSandbox
from odd_store import OddStore, Refusal, Ways
from persons import lines
from test_core_accept import Odd
from test_core_stores import MakeStore, On, needs_a_person
from test_core_troubles import make_due
from workshop import RUN, Ahead, Workshop

from jobs.machine.states import State
from jobs.reports.refused_films import refused_films
from jobs.store import heartbeats
from jobs.worker import process
from storage import spool as spools


@pytest.fixture
def store(make_odd_store: MakeStore) -> OddStore:
    return make_odd_store(Ways())


@pytest.fixture
def odd(on: On, store: OddStore, door: AlteredSandbox) -> Odd:
    return Odd(on(store), door, notify_url=None)


def try_once(workshop: Workshop, job_id: str) -> None:
    make_due(workshop, job_id)
    RUN["jobs.transfer"](job_id, workshop.resources)


def test_a_key_for_videos_alone_is_told_when_it_keeps_no_refused_film(odd: Odd, store: OddStore) -> None:
    store.ways.denied_outside = "videos/"
    for _ in range(2):
        body = odd.refused()
    assert (odd.case.job.state, odd.case.job.flagged) == (State.ARCHIVING, "bucket_refuses")
    assert needs_a_person(odd.workshop) == ["bucket_refuses"]
    [(said, _)] = lines(odd.workshop, odd.job_id, "not_kept")
    assert "unproven/" in said["reason"]
    assert "s3:PutObject" in said["then"]
    store.ways.denied_outside = ""
    odd.refused(body)
    assert odd.case.job.flagged == "unproven_film"
    assert store.objects[f"unproven/{hashlib.sha256(body).hexdigest()}"].body == body


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"denied": ("PUT",)}, "PUT videos/"),
        ({"denied": ("GET",)}, "not authorized, with an explicit deny"),
        ({"refuses_puts": Refusal(413, "EntityTooLarge", "Too large.")}, "413 EntityTooLarge"),
    ],
    ids=["PUT", "GET", "size"],
)
def test_a_refusal_of_what_a_person_has_accepted_is_told_at_once(
    odd: Odd, store: OddStore, ways: dict[str, Any], said: str
) -> None:
    odd.refused()
    odd.accept()
    for name, value in ways.items():
        setattr(store.ways, name, value)
    try_once(odd.workshop, odd.job_id)
    assert (odd.case.job.troubles, odd.case.job.flagged) == (1, "bucket_refuses")
    with odd.workshop.database.read() as db:
        [film] = refused_films(db)
    assert (film.job_id, said in film.reason) == (odd.job_id, True)
    store.ways.denied, store.ways.refuses_puts = (), None
    assert odd.archived().job.flagged is None


def no_room(monkeypatch: pytest.MonkeyPatch, workshop: Workshop) -> None:
    monkeypatch.setattr(spools.os, "statvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=1))


def quota(monkeypatch: pytest.MonkeyPatch, workshop: Workshop) -> None:
    real: Callable[..., Any] = tempfile.TemporaryFile

    def refused(*args: Any, **more: Any) -> Any:
        if more.get("dir") == workshop.resources.spool_dir:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return real(*args, **more)

    monkeypatch.setattr(spools.tempfile, "TemporaryFile", refused)


@pytest.mark.parametrize("is_full", [no_room, quota])
def test_a_disk_without_room_for_the_video_is_named_and_outlived_by_no_link(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, is_full: Callable[..., None]
) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    with monkeypatch.context() as patch:
        is_full(patch, workshop)
        for _ in range(2):
            try_once(workshop, job_id)
        assert workshop.case(job_id).job.flagged == "disk_full"
        assert needs_a_person(workshop) == ["disk_full"]
        assert len(lines(workshop, job_id, "transfer_trouble")) == 1
        Ahead(workshop).leap(3 * 86_400)
        for _ in range(2):  # it is tried for an hour more, as anything of ours
            try_once(workshop, job_id)
            Ahead(workshop).leap(2 * 3600)
        assert workshop.until(job_id, State.FAILED).job.error_code == "disk_full"


def test_a_disk_that_has_room_again_takes_the_video(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    with monkeypatch.context() as patch:
        no_room(patch, workshop)
        try_once(workshop, job_id)
    make_due(workshop, job_id)
    assert workshop.until(job_id, State.ARCHIVED).job.flagged is None


def test_a_transfer_without_room_says_so_to_who_answers_for_readiness(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> bool:
        workshop.resources.stopping.set()  # after one look
        process._mind_spool(workshop.resources)
        with workshop.database.read() as db:
            return heartbeats.SPOOL_FULL in heartbeats.last_seen_s(db, workshop.database)

    assert not told()
    no_room(monkeypatch, workshop)
    assert told()
