"""What a link serves against what stands in the archive: the whole film, byte by byte, or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from altered import AlteredSandbox
from test_core_troubles import make_due, objects
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.reports import attention
from jobs.reports.attention_items import Looking
from jobs.store import tables

PAGE = "/another.mp4"


def with_zeroed_pictures(film: bytes, kept: float = 0) -> bytes:
    """Its boxes and its index are whole; what they lead to is gone, but for a share at the beginning."""
    at = film.index(b"mdat")
    end = at - 4 + int.from_bytes(film[at - 4 : at], "big")
    lost = at + 4 + int((end - at - 4) * kept)
    return film[:lost] + bytes(end - lost) + film[end:]


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "cut in its last box": lambda film: film[:-5],
    "zeroed pictures": with_zeroed_pictures,
    "zeroed after its first third": partial(with_zeroed_pictures, kept=1 / 3),
}


@pytest.mark.parametrize("how", SPOILT)
def test_only_the_bytes_of_a_whole_film_are_archived_under_their_own_checksum(
    workshop: Workshop, door: AlteredSandbox, sandbox: Any, how: str
) -> None:
    job_id = workshop.create(provider="evolink")
    attempt = workshop.until(job_id, State.ARCHIVING).attempts[1]
    assert attempt.link is not None
    film = requests.get(attempt.link, timeout=5).content
    door.pages[PAGE] = ("video/mp4", SPOILT[how](film))
    with workshop.database.write() as db:
        db.execute(sa.update(tables.attempts).values(link=f"{door.url}{PAGE}"))
    RUN["jobs.transfer"](job_id, workshop.resources)
    assert (workshop.state(job_id), objects(workshop)) == (State.ARCHIVING, [])
    assert "transfer_trouble" in workshop.history(job_id)
    door.pages[PAGE] = ("video/mp4", film)
    make_due(workshop, job_id)
    job = workshop.until(job_id, State.ARCHIVED).job
    assert b"".join(workshop.bucket.open(job.archive_key)) == film
    assert (job.bytes, job.sha256) == (len(film), hashlib.sha256(film).hexdigest())


def test_a_link_that_wants_a_key_is_told_at_the_first_try_and_taken_once_it_opens(
    workshop: Workshop, door: AlteredSandbox, sandbox: Any
) -> None:
    job_id = workshop.create(provider="evolink")
    link = workshop.until(job_id, State.ARCHIVING).attempts[1].link
    door.pages[PAGE] = ("video/mp4", requests.get(str(link), timeout=5).content)
    door.keyed.add(PAGE)
    door.rewrite = lambda body: json.dumps({**json.loads(body), "results": [f"{door.url}{PAGE}"]}).encode()
    with workshop.database.write() as db:
        db.execute(sa.update(tables.attempts).values(link=f"{door.url}{PAGE}", base_url=f"{door.url}/evolink"))
    RUN["jobs.transfer"](job_id, workshop.resources)
    assert (workshop.state(job_id), workshop.case(job_id).job.flagged) == (State.ARCHIVING, "link_denied")
    door.keyed.clear()
    make_due(workshop, job_id)
    assert workshop.until(job_id, State.ARCHIVED).job.flagged is None


@pytest.mark.parametrize(("ordered", "is_odd"), [(3, False), (4, True), (5, None)])
def test_a_film_is_held_against_the_length_that_was_ordered(
    workshop: Workshop, door: AlteredSandbox, sandbox: Any, ordered: int, is_odd: bool | None
) -> None:
    """It lasts two seconds: as long as three, archived and told for four, and less than half of five."""
    link = workshop.until(workshop.create(provider="evolink"), State.ARCHIVING).attempts[1].link
    door.pages[PAGE] = ("video/mp4", requests.get(str(link), timeout=5).content)
    job_id = workshop.create(provider="evolink", duration=ordered)
    workshop.until(job_id, State.ARCHIVING)
    with workshop.database.write() as db:
        db.execute(sa.update(tables.attempts).values(link=f"{door.url}{PAGE}"))
    RUN["jobs.transfer"](job_id, workshop.resources)
    job = workshop.case(job_id).job
    flag = "unproven_film" if is_odd is None else "other_length" if is_odd else None
    assert (job.state is State.ARCHIVED, job.flagged) == (is_odd is not None, flag)
    assert ("other_length" in workshop.history(job_id)) is bool(is_odd)
    with workshop.database.read() as db:
        looking = Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        about_it = [item for item in attention.items(db, looking) if item.job_id == job_id]
        told = [item.detail for item in about_it if item.reason == "other_length"]
    assert told == (["the archived film lasts 2 s; 4 s were ordered"] if is_odd else [])


def test_an_object_of_another_job_at_the_key_is_neither_adopted_nor_overwritten(
    workshop: Workshop, sandbox: Any
) -> None:
    """Its metadata are as good as ours: an installation that was copied writes such."""
    others = workshop.until(workshop.create(provider="evolink"), State.ARCHIVED).job
    second = workshop.create(provider="evolink")
    workshop.until(second, State.ARCHIVING)
    key, client = workshop.case(second).job.archive_key, workshop.bucket._client
    source = {"Bucket": workshop.bucket.config.bucket, "Key": others.archive_key}
    client.copy_object(Bucket=source["Bucket"], Key=key, CopySource=source)
    stored = workshop.bucket.head(key)
    RUN["jobs.transfer"](second, workshop.resources)
    job = workshop.case(second).job
    assert (job.state, job.error_code, job.sha256) == (State.FAILED, "key_conflict", None)
    assert workshop.bucket.head(key) == stored
