"""A film that the proof refused is not lost: it is kept aside, and a person may take it as it is."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from altered import AlteredSandbox
from click.testing import Result
from persons import lines
from test_core_contests import kept, lost, tell, told_on_both
from test_core_troubles import make_due, objects
from workshop import RUN, Ahead, Workshop

from jobs.errors import NothingKept
from jobs.intake import changes
from jobs.intake.accepting import accept
from jobs.machine.case import Case
from jobs.machine.job_json import job_json
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.reports import attention
from jobs.reports.attention_items import Item, Looking
from jobs.steps import archiving
from jobs.store import tables
from jobs.upkeep import audit, repair
from jobs.upkeep.prune_aside import prune_aside
from rushes.cli.service import waiting
from storage.errors import BucketUnavailable, LinkDead
from storage.keys import CONTESTED, UNPROVEN, poster_key, sidecar_key

PAGE = "/odd.mp4"
KEY = "key_of_a_person"


class Odd:
    """A job whose link serves what a test says; its film is whole at first."""

    def __init__(
        self, workshop: Workshop, door: AlteredSandbox, notify_url: str | None = "https://pipeline.example/hook"
    ) -> None:
        self.workshop, self.door = workshop, door
        self.job_id = workshop.create(provider="evolink", **({"notify_url": notify_url} if notify_url else {}))
        link = workshop.until(self.job_id, State.ARCHIVING).attempts[1].link
        self.film = requests.get(str(link), timeout=5).content
        with workshop.database.write() as db:
            row = sa.update(tables.attempts).where(tables.attempts.c.job_id == self.job_id)
            db.execute(row.values(link=f"{door.url}{PAGE}"))

    def serve(self, body: bytes) -> bytes:
        self.door.pages[PAGE] = ("video/mp4", body)
        return body

    def refused(self, body: bytes | None = None) -> bytes:
        """Serve a film that is cut off, and let it be tried once."""
        body = self.serve(self.film[:-5] if body is None else body)
        make_due(self.workshop, self.job_id)
        RUN["jobs.transfer"](self.job_id, self.workshop.resources)
        return body

    def fail(self) -> None:
        """The link's life is over; what it served last was refused."""
        Ahead(self.workshop).leap(3 * 86_400)
        assert self.workshop.until(self.job_id, State.FAILED).job.error_code == "bad_video"

    def accept(self) -> Case:
        return accept(self.job_id, self.workshop.core, api_key_id=KEY)

    @property
    def case(self) -> Case:
        return self.workshop.case(self.job_id)

    def archived(self) -> Case:
        make_due(self.workshop, self.job_id)
        return self.workshop.until(self.job_id, State.ARCHIVED)

    def bytes(self) -> bytes:
        return b"".join(self.workshop.bucket.open(self.case.job.archive_key))

    def sidecar(self) -> dict[str, Any]:
        body = b"".join(self.workshop.bucket.open(sidecar_key(self.case.job.archive_key)))
        return dict(json.loads(body))

    def marks(self) -> list[str | None]:
        """Who is said to have accepted it: by the job, its notice, the sidecar and the object."""
        stored = self.workshop.bucket.head(self.case.job.archive_key)
        assert stored is not None
        with self.workshop.database.read() as db:
            told = db.execute(sa.select(tables.notices.c.body).where(tables.notices.c.type == "job.archived")).scalar()
        beside, of_object = self.sidecar(), stored.metadata.get("rushes-accepted-by")
        assert beside["object"] == stored.metadata
        return [job_json(self.case)["accepted_by"], told["data"]["accepted_by"], beside["accepted_by"], of_object]


@pytest.fixture
def make_odd(make_workshop: Callable[..., Workshop], door: AlteredSandbox, sandbox: Any) -> Callable[..., Odd]:
    secrets = {"notice_secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    return lambda **numbers: Odd(make_workshop(**secrets, **numbers), door)


@pytest.fixture
def odd(make_odd: Callable[..., Odd]) -> Odd:
    return make_odd()


def aside(workshop: Workshop, folder: str = UNPROVEN) -> list[str]:
    return [item.key for item in workshop.bucket.listing(f"{workshop.bucket.config.prefix}{folder}")]


def attention_of(workshop: Workshop, reason: str = "unproven_film") -> list[Item]:
    with workshop.database.read() as db:
        looking = Looking(workshop.settings, PROVIDERS, workshop.database.clock(db))
        return [item for item in attention.items(db, looking) if item.reason == reason]


@pytest.mark.both_databases
def test_what_was_refused_is_kept_once_as_no_video_and_told_with_its_command(odd: Odd) -> None:
    body = odd.refused()
    odd.refused()
    sha256 = hashlib.sha256(body).hexdigest()
    prefix, client = odd.workshop.bucket.config.prefix, odd.workshop.bucket._client
    assert aside(odd.workshop) == [f"{prefix}unproven/{sha256}"]
    found = client.head_object(Bucket=odd.workshop.bucket.config.bucket, Key=f"{prefix}unproven/{sha256}")
    assert (found["ContentType"], found["ContentLength"]) == ("application/octet-stream", len(body))
    assert (objects(odd.workshop), odd.case.job.state) == ([], State.ARCHIVING)
    (item,) = attention_of(odd.workshop)
    assert (item.job_id, item.command) == (odd.job_id, f"rushes videos accept {odd.job_id}")
    assert "cut off" in item.detail
    shown = job_json(odd.case)
    assert (shown["needs_person"], shown["attempts"][0]["unproven"]["sha256"]) == ("unproven_film", sha256)
    odd.serve(odd.film)  # the tries for better bytes have gone on
    odd.archived()
    assert odd.marks() == [None] * 4
    assert (odd.case.job.flagged, attention_of(odd.workshop)) == (None, [])


@pytest.mark.both_databases
@pytest.mark.parametrize("has_failed", [False, True])
def test_a_person_takes_it_and_everything_says_so(odd: Odd, has_failed: bool) -> None:
    body = odd.refused()
    if has_failed:
        odd.fail()
        assert "rushes videos accept" in str(odd.case.job.error_message)
    odd.accept()
    assert odd.workshop.case(odd.job_id).job.flagged is None
    assert [said for said, _ in lines(odd.workshop, odd.job_id, "accept_film")] == [
        {"sha256": hashlib.sha256(body).hexdigest(), "api_key": KEY}
    ]
    case = odd.archived()
    assert odd.bytes() == body
    assert odd.marks() == [KEY] * 4
    assert (case.job.sha256, case.job.bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    assert (case.job.error_code, attention_of(odd.workshop)) == (None, [])
    assert audit.audit(odd.workshop.resources, deep=True).balances
    assert odd.accept().job == case.job


def test_one_that_shows_nothing_of_itself_is_archived_without_a_poster(odd: Odd) -> None:
    odd.refused(b"\0\0\0\x10ftypisom\0\0\0\0" + b"rotten" * 1000)
    odd.accept()
    case = odd.archived()
    assert (case.job.width, case.job.duration_s, job_json(case)["links"]["poster"]) == (None, None, None)
    assert audit.audit(odd.workshop.resources).balances


@pytest.mark.parametrize(
    ("before", "container"),
    [(b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1", "WebM or Matroska"), (b"\xef\xbb\xbf\r\n", "an MP4 behind something else")],
)
def test_a_film_in_another_container_waits_for_a_person_too(odd: Odd, before: bytes, container: str) -> None:
    body = odd.refused(before + odd.film)
    assert str(odd.case.attempts[1].unproven_films[0].reason).startswith(f"it is {container}: only an MP4")
    odd.accept()
    odd.archived()
    assert odd.bytes() == body
    assert odd.marks() == [KEY] * 4


def test_a_better_film_that_a_running_transfer_brings_meanwhile_is_the_one(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd.refused()
    odd.serve(odd.film)
    real = archiving._put

    def put(*args: Any) -> Any:
        odd.accept()
        return real(*args)

    monkeypatch.setattr(archiving, "_put", put)
    odd.archived()
    assert odd.bytes() == odd.film
    assert odd.marks() == [None] * 4
    with pytest.raises(NothingKept, match="proven to play"):
        odd.accept()


def test_a_better_film_that_lands_just_before_the_accepted_one_is_not_replaced(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd.refused()
    stale = odd.case
    odd.accept()
    odd.serve(odd.film)
    real = odd.workshop.resources.bucket.put_video

    def put_video(*args: Any, **more: Any) -> None:
        """Just now the PUT of a worker lands that never heard of it."""
        monkeypatch.undo()
        spooled = archiving.spooling.fetch(stale, odd.workshop.resources, lambda: None)
        with spooled:
            archiving._put(
                stale, archiving._prove(spooled, odd.workshop.resources), odd.workshop.resources, lambda: None
            )
        body = b"of the accepted one"
        odd.workshop.bucket.put_small(sidecar_key(stale.job.archive_key), body, "application/json")
        odd.workshop.bucket.put_small(poster_key(stale.job.archive_key), body, "image/jpeg")
        real(*args, **more)

    monkeypatch.setattr(odd.workshop.resources.bucket, "put_video", put_video)
    odd.archived()
    assert odd.bytes() == odd.film
    assert odd.marks() == [None] * 4
    with tempfile.TemporaryFile(buffering=0) as film:
        film.write(odd.film)
        _, poster = odd.workshop.resources.prober.probe(film)
    assert b"".join(odd.workshop.bucket.open(poster_key(odd.case.job.archive_key))) == poster


def test_a_running_transfer_that_fails_leaves_the_accepted_film_to_be_copied_at_once(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = odd.refused()
    real = odd.workshop.resources.fetch

    def fetch(*args: Any, **more: Any) -> Any:
        monkeypatch.undo()
        odd.accept()
        return real(*args, **more)

    monkeypatch.setattr(odd.workshop.resources, "fetch", fetch)
    make_due(odd.workshop, odd.job_id)
    RUN["jobs.transfer"](odd.job_id, odd.workshop.resources)
    odd.workshop.until(odd.job_id, State.ARCHIVED, within_s=5)
    assert odd.bytes() == body
    assert odd.marks() == [KEY] * 4


def test_of_several_the_longest_is_taken_and_an_order_keeps_three(odd: Odd) -> None:
    for cut in (25, 5, 15, 20):
        odd.refused(odd.film[:-cut])
    assert len(aside(odd.workshop)) == 3
    assert odd.accept() == odd.accept()
    odd.archived()
    assert odd.bytes() == odd.film[:-5]


def test_together_they_are_bounded(make_odd: Callable[..., Odd]) -> None:
    odd = make_odd(max_unproven_bytes=1000)
    odd.refused()
    odd.refused()
    assert (aside(odd.workshop), odd.case.job.troubles) == ([], 2)
    (said,) = [said for said, _ in lines(odd.workshop, odd.job_id, "not_kept")]
    assert "RUSHES_MAX_UNPROVEN_BYTES" in said["reason"]
    assert odd.case.job.flagged == "film_not_kept"
    with pytest.raises(NothingKept):
        odd.accept()
    (item,) = attention_of(odd.workshop, "film_not_kept")  # before the link's end, and at the first try
    assert (item.job_id, item.command) == (odd.job_id, "rushes doctor")
    odd.serve(odd.film)
    odd.archived()
    assert attention_of(odd.workshop, "film_not_kept") == []


def test_what_was_not_kept_is_said_when_its_job_fails(make_odd: Callable[..., Odd]) -> None:
    odd = make_odd(max_unproven_bytes=1000)
    odd.refused()
    odd.fail()
    assert "could not be kept aside: 0 bytes are kept, and RUSHES_MAX_UNPROVEN_BYTES" in str(odd.case.job.error_message)


def test_a_bucket_that_takes_nothing_there_keeps_no_video_from_its_place(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = odd.workshop.resources.bucket.put_video

    def put_video(key: str, *args: Any, **more: Any) -> None:
        if UNPROVEN in key:
            raise BucketUnavailable(f"PUT {key}: 403 AccessDenied")
        real(key, *args, **more)

    monkeypatch.setattr(odd.workshop.resources.bucket, "put_video", put_video)
    odd.refused()
    assert odd.case.job.state is State.ARCHIVING
    odd.serve(odd.film)
    odd.archived()


def test_what_is_no_film_at_all_is_not_kept(odd: Odd) -> None:
    odd.refused(b"<html>sign in</html>" * 100)
    odd.refused(b"")
    assert (aside(odd.workshop), attention_of(odd.workshop)) == ([], [])
    with pytest.raises(NothingKept, match="archiving"):
        odd.accept()


def test_what_was_taken_and_is_gone_is_told_and_tried_for_anew(odd: Odd) -> None:
    odd.refused()
    for key in aside(odd.workshop):
        odd.workshop.bucket.delete(key)
    odd.accept()
    RUN["jobs.transfer"](odd.job_id, odd.workshop.resources)
    assert (odd.case.attempts[1].accepted_by, "not_kept" in odd.workshop.history(odd.job_id)) == (None, True)
    odd.serve(odd.film)
    odd.archived()
    assert odd.marks() == [None] * 4


def test_a_retry_looks_for_better_bytes_and_what_is_kept_can_be_taken_still(odd: Odd) -> None:
    body = odd.refused()
    odd.fail()
    odd.accept()
    with odd.workshop.database.write() as db:  # the copying of what was accepted has failed as well
        db.execute(sa.update(tables.attempts).values(outcome="undelivered"))
        db.execute(sa.update(tables.jobs).values(state="failed"))
    assert changes.retry(odd.job_id, odd.workshop.core).attempts[1].accepted_by is None
    assert len(attention_of(odd.workshop)) == 1
    odd.accept()
    odd.archived()
    assert odd.bytes() == body


def test_a_film_whose_owner_is_not_known_is_not_archived_by_being_accepted(
    workshop: Workshop, receiver: Any, sandbox: Any
) -> None:
    sandbox.fault("evolink", "serve", what="truncated_clean", hits=1000, times=2)
    victim, owner = lost(workshop, sandbox), lost(workshop, sandbox)
    task_id = sandbox.tasks("evolink")[1]["task_id"]
    tell(workshop, victim, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and attention_of(workshop), "it is refused")
    accept(victim, workshop.core, api_key_id=KEY)
    workshop.sweep()
    assert workshop.state(victim) is State.ARCHIVING
    tell(workshop, owner, task_id)
    told_on_both(workshop, victim, owner)
    workshop.sweep()
    assert workshop.state(victim) is State.ARCHIVING


class TestPruned:
    """Films aside go once they are old, by our own prune."""

    @pytest.mark.both_databases
    def test_what_is_old_goes_and_what_is_waited_for_stays(self, odd: Odd) -> None:
        workshop = odd.workshop
        odd.refused()
        Ahead(workshop).leap(29 * 86_400)
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 0
        Ahead(workshop).leap(2 * 86_400)
        assert attention_of(workshop) == []
        odd.accept()  # a person has taken it, and it is not copied yet
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 0
        odd.archived()
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings, dry=True) == 1
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 1
        assert (aside(workshop), len(objects(workshop))) == ([], 1)

    @pytest.mark.both_databases
    def test_a_job_that_failed_says_no_more_of_what_is_gone(self, odd: Odd) -> None:
        workshop = odd.workshop
        odd.refused()
        odd.fail()
        kept_at = odd.case.attempts[1].unproven_films[0].kept_at
        until = (kept_at + timedelta(days=workshop.settings.keep_aside_d)).date()
        assert f"kept aside until {until}: `rushes videos accept" in str(odd.case.job.error_message)
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 0
        assert odd.case.job.flagged == "unproven_film"
        Ahead(workshop).leap(31 * 86_400)
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 1
        shown = job_json(odd.case)
        assert (shown["needs_person"], shown["attempts"][0]["unproven"]) == (None, None)
        with pytest.raises(NothingKept, match="no film of it was refused and kept"):
            odd.accept()

    def test_bytes_that_came_again_stay_for_as_long_as_the_last_job_may_want_them(
        self, odd: Odd, door: AlteredSandbox
    ) -> None:
        workshop = odd.workshop
        odd.refused()
        Ahead(workshop).leap(31 * 86_400)
        with workshop.database.write() as db:
            late = workshop.database.clock(db) - timedelta(days=1)
            (films,) = db.execute(sa.select(tables.attempts.c.unproven)).scalars()
            kept_at = [{**film, "kept_at": late.isoformat()} for film in films]
            db.execute(sa.update(tables.attempts).values(unproven=kept_at))
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 0

    def test_a_contested_film_goes_once_it_is_decided(self, workshop: Workshop, receiver: Any, sandbox: Any) -> None:
        victim, owner = lost(workshop, sandbox), lost(workshop, sandbox)
        task_id = sandbox.tasks("evolink")[1]["task_id"]
        tell(workshop, victim, task_id)
        kept(workshop, victim)
        tell(workshop, owner, task_id)
        told_on_both(workshop, victim, owner)
        Ahead(workshop).leap(31 * 86_400)
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 0
        with workshop.database.write() as db:
            db.execute(sa.update(tables.attempts).values(contested=False))
        assert prune_aside(workshop.database, workshop.bucket, workshop.settings) == 1
        assert aside(workshop, CONTESTED) == []


def test_a_dead_link_does_not_keep_a_person_from_taking_what_is_kept(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    body = odd.refused()
    real, own = odd.workshop.resources.fetch, str(odd.workshop.bucket.config.endpoint_url)

    def fetch(session: Any, url: str, **more: Any) -> Any:
        if not url.startswith(own):
            raise LinkDead("the link answers 403", status=403)
        return real(session, url, **more)

    monkeypatch.setattr(odd.workshop.resources, "fetch", fetch)
    odd.accept()
    odd.archived()
    assert odd.bytes() == body


def test_the_command_waits_until_it_is_archived(
    workshop: Workshop, door: AlteredSandbox, rushes: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Odd(workshop, door, notify_url=None)
    odd.refused()
    real = waiting.follow

    def follow(*args: Any, **more: Any) -> Any:
        workshop.until(odd.job_id, State.ARCHIVED)
        return real(*args, **more)

    monkeypatch.setattr(waiting, "follow", follow)
    told = json.loads(rushes("attention", "--json").stdout)
    (command,) = [item["command"] for item in told["data"] if item["reason"] == "unproven_film"]
    result = rushes(*command.split()[1:], "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["state"], shown["accepted_by"]) == ("archived", odd.case.job.accepted_by)
    assert (shown["accepted_by"] or "").startswith("key_")


def test_a_job_that_is_built_again_from_its_video_still_says_who_accepted_it(odd: Odd) -> None:
    odd.refused()
    odd.accept()
    before = odd.archived().job
    with odd.workshop.database.write() as db:  # as after a backup that had forgotten the job
        for table in (tables.events, tables.notices, tables.attempts, tables.jobs):
            db.execute(sa.delete(table))
    audit.audit(odd.workshop.resources, repair=partial(repair.repair, resources=odd.workshop.resources))
    assert audit.audit(odd.workshop.resources).balances
    after = odd.case.job
    assert (after.state, after.accepted_by, after.sha256) == (State.ARCHIVED, KEY, before.sha256)


def test_a_sidecar_that_cannot_be_written_when_another_was_first_is_trouble_and_no_more(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd.refused()
    odd.accept()
    real = odd.workshop.resources.bucket.put_video

    def put_video(*args: Any, **more: Any) -> None:
        real(*args, **more)  # its answer is lost, and the second try meets our own object
        monkeypatch.setattr(odd.workshop.resources.bucket, "put_small", away)
        real(*args, **more)

    def away(key: str, *args: Any) -> None:
        raise BucketUnavailable(f"PUT {key}: 503 SlowDown")

    monkeypatch.setattr(odd.workshop.resources.bucket, "put_video", put_video)
    RUN["jobs.transfer"](odd.job_id, odd.workshop.resources)
    assert (odd.case.job.state, "step_raised" in odd.workshop.history(odd.job_id)) == (State.ARCHIVING, False)
    monkeypatch.undo()
    odd.archived()
    assert odd.marks() == [KEY] * 4
