from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jobs.store import migrate
from jobs.store.database import Database
from jobs.store.heartbeats import last_seen_s
from jobs.worker.watchdog import STUCK, Watchdog

LIMITS = {"jobs.submit": 180.0}


class Time:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database() -> Iterator[Database]:
    """In memory: a heartbeat is all that is written."""
    database = Database("sqlite:///:memory:")
    migrate.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ended() -> list[int]:
    return []


@pytest.fixture
def watchdog(database: Database, time: Time, ended: list[int]) -> Watchdog:
    made = Watchdog(database, "worker@host:1", "worker", LIMITS, interval_s=0.001, monotonic=time, end=ended.append)

    def end(status: int) -> None:
        ended.append(status)
        made.stop()

    made._end = end
    return made


def test_a_step_within_its_time_is_left_alone(watchdog: Watchdog, time: Time) -> None:
    with watchdog.watching("jobs.submit"):
        time.now = 180
        assert watchdog.stuck() is None


def test_a_step_past_its_time_is_named(watchdog: Watchdog, time: Time) -> None:
    with watchdog.watching("jobs.submit"):
        time.now = 180.1
        assert watchdog.stuck() == "jobs.submit"


def test_a_step_that_is_over_is_forgotten_also_after_an_error(watchdog: Watchdog, time: Time) -> None:
    with pytest.raises(RuntimeError), watchdog.watching("jobs.submit"):
        raise RuntimeError
    time.now = 10_000
    assert watchdog.stuck() is None


def test_a_step_without_a_limit_may_take_for_ever(watchdog: Watchdog, time: Time) -> None:
    with watchdog.watching("jobs.sweep"):
        time.now = 1e9
        assert watchdog.stuck() is None


def test_each_thread_is_watched_by_itself(watchdog: Watchdog, time: Time) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with watchdog.watching("jobs.submit"):
            begun.set()
            go_on.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(10)
    time.now = 181
    with watchdog.watching("jobs.submit"):
        assert watchdog.stuck() == "jobs.submit"  # the other one, which began earlier
    go_on.set()
    thread.join(10)
    assert watchdog.stuck() is None


def test_a_stuck_process_ends_itself_with_the_status_that_asks_for_a_new_start(
    watchdog: Watchdog, time: Time, ended: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    with watchdog.watching("jobs.submit"):
        time.now = 181
        watchdog._run()
    assert ended == [STUCK]
    told = capfd.readouterr().err
    assert "in test_a_stuck_process_ends_itself" in told  # where the step is stuck
    assert "most recent call first" in told  # and where each thread was


def test_a_living_process_says_so(watchdog: Watchdog, database: Database) -> None:
    watchdog.stop()
    watchdog._run()
    with database.read() as db:
        assert set(last_seen_s(db, database)) == {"worker"}
