"""GET /v1/jobs/<id>?wait=: how long an answer stays away, and what it may not hold meanwhile."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from jobs.store import tables
from jobs.store.database import Database, DatabaseUnavailable
from rushes.api.edge import long_polls
from rushes.api.edge.long_polls import MOST_WAITS, SERVER_THREADS, Waits, seen

GOOD = {"prompt": "A red fox", "provider": "evolink", "resolution": "720p", "duration": 2}
LONG_S = 50  # far longer than any of these tests
Ask = Callable[..., Future[Any]]


@pytest.fixture
def api(own_api: FlaskClient) -> FlaskClient:
    """These tests look into the app's waits, and close and change them."""
    return own_api


@pytest.fixture
def job_id(api: FlaskClient) -> str:
    return str(api.post("/v1/jobs", json=GOOD).get_json()["id"])


@pytest.fixture
def waits(api: FlaskClient) -> Waits:
    found: Waits = api.application.extensions["rushes.waits"]
    return found


@pytest.fixture
def ask(api: FlaskClient) -> Any:
    """Asks in a thread of its own, as a server would."""
    with ThreadPoolExecutor(8) as pool:

        def ask(path: str, **headers: str) -> Future[Any]:
            client = api.application.test_client()
            client.environ_base.update(api.environ_base)
            return pool.submit(client.get, path, headers=headers)

        yield ask


def change(database: Database, job_id: str, **columns: Any) -> None:
    with database.write() as db:
        values = {"version": tables.jobs.c.version + 1, **columns}
        db.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(**values))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_that_has_ended_is_answered_at_once(api: FlaskClient, database: Database, job_id: str) -> None:
    change(database, job_id, state="failed", alarm_at=None)
    began = time.monotonic()
    assert api.get(f"/v1/jobs/{job_id}?wait={LONG_S}").get_json()["state"] == "failed"
    assert time.monotonic() - began < LONG_S / 2


def test_the_answer_comes_when_the_job_ends_and_not_for_less(
    database: Database, waits: Waits, ask: Ask, job_id: str
) -> None:
    asked = ask(f"/v1/jobs/{job_id}?wait={LONG_S}")
    until(lambda: waits.count == 1)
    change(database, job_id, state="generating")
    with pytest.raises(TimeoutError):
        asked.result(timeout=3 * long_polls.LOOK_EVERY_S)
    change(database, job_id, state="archived", alarm_at=None)
    answer = asked.result(timeout=20)
    assert (answer.status_code, answer.get_json()["state"]) == (200, "archived")
    assert waits.count == 0


def test_with_a_validator_it_comes_with_any_change(
    api: FlaskClient, database: Database, waits: Waits, ask: Ask, job_id: str
) -> None:
    etag = api.get(f"/v1/jobs/{job_id}").headers["ETag"]
    asked = ask(f"/v1/jobs/{job_id}?wait={LONG_S}", **{"If-None-Match": etag})
    until(lambda: waits.count == 1)
    change(database, job_id, state="generating")
    answer = asked.result(timeout=20)
    assert (answer.status_code, answer.get_json()["state"]) == (200, "generating")
    assert answer.headers["ETag"] != etag


def test_an_old_validator_is_answered_at_once(api: FlaskClient, job_id: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}?wait={LONG_S}", headers={"If-None-Match": 'W/"older"'})
    assert answer.status_code == 200


def test_a_wait_that_ends_unchanged_gives_the_job_as_it_stands_or_304(api: FlaskClient, job_id: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}?wait=0.1")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "queued")
    again = api.get(f"/v1/jobs/{job_id}?wait=0.1", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")


def test_a_job_that_is_gone_ends_the_wait(api: FlaskClient, database: Database, waits: Waits, ask: Ask) -> None:
    job_id = str(api.post("/v1/jobs", json=GOOD).get_json()["id"])
    asked = ask(f"/v1/jobs/{job_id}?wait={LONG_S}")
    until(lambda: waits.count == 1)
    with database.write() as db:
        db.execute(sa.delete(tables.events))
        db.execute(sa.delete(tables.jobs))
    assert asked.result(timeout=20).get_json(force=True)["code"] == "unknown_job"


def test_beyond_the_most_waits_the_job_is_shown_at_once_with_word_of_when_to_ask_again(
    api: FlaskClient, database: Database, waits: Waits, ask: Ask, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "_most", 1)
    first = ask(f"/v1/jobs/{job_id}?wait={LONG_S}")
    until(lambda: waits.count == 1)
    second = api.get(f"/v1/jobs/{job_id}?wait={LONG_S}")
    assert (second.status_code, second.headers["Retry-After"]) == (200, "1")
    unchanged = api.get(f"/v1/jobs/{job_id}?wait=50", headers={"If-None-Match": second.headers["ETag"]})
    assert (unchanged.status_code, unchanged.headers["Retry-After"]) == (304, "1")
    assert not first.done()
    change(database, job_id, state="failed", alarm_at=None)
    first.result(timeout=20)


def test_a_wait_holds_no_database_connection(database: Database, job_id: str, api: FlaskClient) -> None:
    waits, pool = api.application.extensions["rushes.waits"], ThreadPoolExecutor(40)
    assert isinstance(waits, Waits)
    client = api.application.test_client
    with pool:  # more waits than the pool has connections
        asked = []
        for _ in range(40):
            one = client()
            one.environ_base.update(api.environ_base)
            asked.append(pool.submit(one.get, f"/v1/jobs/{job_id}?wait={LONG_S}"))
        until(lambda: waits.count == 40)
        assert api.get(f"/v1/jobs/{job_id}").status_code == 200
        change(database, job_id, state="failed", alarm_at=None)
        assert {each.result(timeout=30).status_code for each in asked} == {200}


def test_all_that_is_waited_for_is_read_in_one_statement_and_nothing_while_nobody_waits(
    database: Database, waits: Waits, api: FlaskClient, ask: Ask
) -> None:
    jobs = [str(api.post("/v1/jobs", json=GOOD).get_json()["id"]) for _ in range(3)]
    looks: list[int] = []
    looked = waits._look
    waits._look = lambda those: (looks.append(len({w.job_id for w in those})), looked(those))[1]  # type: ignore[method-assign]
    asked = [ask(f"/v1/jobs/{job_id}?wait={LONG_S}") for job_id in jobs]
    until(lambda: 3 in looks)
    for job_id in jobs:
        change(database, job_id, state="failed", alarm_at=None)
    for each in asked:
        each.result(timeout=20)
    until(lambda: waits.count == 0)
    seen_so_far = len(looks)
    assert not threading.Event().wait(3 * long_polls.LOOK_EVERY_S)
    assert len(looks) <= seen_so_far + 1  # one may have been under way


def test_a_database_that_goes_away_during_a_wait_is_a_503(
    waits: Waits, ask: Ask, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(f"/v1/jobs/{job_id}?wait={LONG_S}")
    until(lambda: waits.count == 1)

    def away() -> Any:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(waits._database, "read", away)
    answer = asked.result(timeout=20)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, "database_unavailable")
    assert "Retry-After" in answer.headers


def test_closing_ends_every_wait(waits: Waits, ask: Ask, job_id: str) -> None:
    asked = ask(f"/v1/jobs/{job_id}?wait={LONG_S}")
    until(lambda: waits.count == 1)
    waits.close()
    assert asked.result(timeout=20).status_code == 200


def test_at_most_half_of_the_servers_threads_may_wait() -> None:
    procfile = (Path(__file__).parents[3] / "Procfile").read_text(encoding="utf-8")
    (web,) = [line for line in procfile.splitlines() if line.startswith("web:")]
    words = shlex.split(web)
    assert int(words[words.index("--blocking-threads") + 1]) == SERVER_THREADS
    assert int(words[words.index("--workers") + 1]) == 1
    assert MOST_WAITS <= SERVER_THREADS / 2


def test_a_change_before_the_wait_began_is_not_missed(database: Database, api: FlaskClient, job_id: str) -> None:
    from jobs.store.cases import read_case

    with database.read() as db:
        before = seen(read_case(db, job_id))
    change(database, job_id, state="failed", alarm_at=None)
    waits = Waits(database)
    assert waits.until_changed(job_id, before, timeout_s=LONG_S)
    assert waits.until_at_rest(job_id, before, timeout_s=LONG_S)
    waits.close()
