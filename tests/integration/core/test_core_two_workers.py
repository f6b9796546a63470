"""A transfer that slept past its lease wakes when another has archived its job: what leaves for the bucket then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from test_core_troubles import make_due, objects
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.steps.resources import Resources
from storage.fetch import Spooled


class Put(NamedTuple):
    """A PUT as the bucket was asked for it, and its answer."""

    by: str  # the thread
    suffix: str
    status: int


class Wire:
    """Hears every PUT to the bucket. The thread named `sleeper` sleeps once its video's is about to leave."""

    def __init__(self, client: Any) -> None:
        self.puts: list[Put] = []
        self.sleeps_before_put = False
        self.asleep, self.awake = threading.Event(), threading.Event()
        self._events = client.meta.events
        self._heard = {"before-send.s3.PutObject": self._leaves, "after-call.s3.PutObject": self._answered}
        self._urls = threading.local()
        for name, handler in self._heard.items():
            self._events.register(name, handler)

    def close(self) -> None:
        for name, handler in self._heard.items():
            self._events.unregister(name, handler)

    def sleep(self) -> None:
        self.asleep.set()
        assert self.awake.wait(20)

    def of_videos(self) -> list[int]:
        return [put.status for put in self.puts if put.suffix == ".mp4"]

    def _leaves(self, request: Any, **_: Any) -> None:
        self._urls.last = request.url
        sleeper = threading.current_thread().name == "sleeper"
        if self.sleeps_before_put and sleeper and _suffix(request.url) == ".mp4":
            self.sleep()

    def _answered(self, http_response: Any, **_: Any) -> None:
        by = threading.current_thread().name
        self.puts.append(Put(by, _suffix(self._urls.last), http_response.status_code))


def _suffix(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).suffix


@pytest.fixture
def wire(workshop: Workshop) -> Iterator[Wire]:
    wire = Wire(workshop.bucket._client)
    yield wire
    wire.close()


@contextmanager
def another_archives_while_it_sleeps(workshop: Workshop, wire: Wire, job_id: str) -> Iterator[None]:
    """In the block the first worker sleeps, its lease has run out, and another one has had its turn."""
    another = workshop.another_worker()
    if not wire.sleeps_before_put:
        workshop.resources.fetch = _slept_after(workshop.resources, wire)
    sleeper = threading.Thread(target=RUN["jobs.transfer"], args=(job_id, workshop.resources), name="sleeper")
    sleeper.start()
    try:
        assert wire.asleep.wait(20)
        RUN["jobs.transfer"](job_id, another)
        assert workshop.state(job_id) is State.ARCHIVING, "nobody takes what another holds"
        make_due(workshop, job_id)
        RUN["jobs.transfer"](job_id, another)
        yield
    finally:
        wire.awake.set()
        sleeper.join()


def _slept_after(resources: Resources, wire: Wire) -> Any:
    fetch, clock = resources.fetch, resources.monotonic

    def fetch_and_sleep(*args: Any, **more: Any) -> Spooled:
        spooled: Spooled = fetch(*args, **more)
        wire.sleep()
        resources.monotonic = lambda: clock() + resources.settings.transfer_lease_s  # for so long, at least
        return spooled

    return fetch_and_sleep


def test_two_workers_on_one_video_leave_one_object_and_one_store(workshop: Workshop, wire: Wire, sandbox: Any) -> None:
    """It sleeps in its last moment, with its PUT on the way: the bucket itself refuses that."""
    wire.sleeps_before_put = True
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    with another_archives_while_it_sleeps(workshop, wire, job_id):
        assert workshop.state(job_id) is State.ARCHIVED
        stored = workshop.bucket.head(workshop.case(job_id).job.archive_key)
    assert wire.of_videos() == [200, 412]
    assert len(objects(workshop)) == 1
    assert workshop.bucket.head(workshop.case(job_id).job.archive_key) == stored
    assert workshop.history(job_id).count("store") == 1


def test_a_transfer_that_slept_in_its_copy_past_its_lease_is_taken_over_and_sends_the_bucket_nothing(
    workshop: Workshop, wire: Wire, sandbox: Any
) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    with another_archives_while_it_sleeps(workshop, wire, job_id):
        assert workshop.state(job_id) is State.ARCHIVED
        before = workshop.case(job_id)
    assert [put.suffix for put in wire.puts if put.by == "sleeper"] == []
    assert wire.of_videos() == [200]
    assert workshop.case(job_id) == before
