"""The receiver answers by its table, row by row."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa
from flask import Flask
from own_database import held
from served import Served, serve_app
from test_core_callbacks import FINISHED, callback_url, kept, submit
from workshop import RUN, Workshop, serve_receiver

from jobs.providers.registry import PROVIDERS
from jobs.ringer import RingerThread
from jobs.store import tables
from jobs.store.database import Database, DatabaseUnavailable
from webhooks.receiver import Receiver, blueprint

RUNNING = {"id": "t-1", "status": "processing"}


@pytest.fixture
def live(workshop: Workshop, receiver: Served, sandbox: Any) -> str:
    """A job that is generating, and stays so."""
    sandbox.fault("aivideoapi", "stall")
    job_id = submit(workshop, provider="aivideoapi")
    workshop.bells.take()
    return job_id


def post(workshop: Workshop, job_id: str, body: bytes, **more: Any) -> requests.Response:
    return requests.post(callback_url(workshop, job_id), data=body, timeout=5, **more)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url[:-1] + ("A" if url[-1] != "A" else "B"),
        lambda url: url.replace("/k1.", "/k9."),
        lambda url: url.replace("/1/k1", "/2/k1"),
        lambda url: url.replace("aivideoapi", "evolink"),
        lambda url: url.replace("aivideoapi", "nobody"),
        lambda url: url.replace("/1/k1", "/eins/k1"),
        lambda url: url.rsplit("/", 1)[0] + "/k1.%C3%A9%ED%A0%80",
    ],
)
def test_a_bad_token_gets_an_empty_404_without_any_sql(
    workshop: Workshop, live: str, monkeypatch: pytest.MonkeyPatch, spoil: Any
) -> None:
    url = spoil(callback_url(workshop, live))

    def no_sql(*_: Any, **__: Any) -> None:
        raise AssertionError("a bad token reached the database")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", no_sql)
        patch.setattr(Database, "read", no_sql)
        answer = requests.post(url, json=FINISHED, timeout=5)
    assert (answer.status_code, answer.content) == (404, b"")


def test_a_bad_token_is_answered_before_the_body_is_sent(workshop: Workshop, live: str, receiver: Served) -> None:
    parts = urlsplit(receiver.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        head = f"POST /webhooks/aivideoapi/{live}/1/k1.wrong HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 404")


def test_a_first_readable_callback_is_kept_and_rings(workshop: Workshop, live: str) -> None:
    assert post(workshop, live, json.dumps(FINISHED).encode()).status_code == 200
    [row] = kept(workshop, live)
    assert (row["readable"], row["task_id"], row["read_at"]) == (True, "t-1", None)
    assert workshop.bells.take() == [("jobs.transfer", live)]
    assert post(workshop, live, json.dumps(RUNNING).encode()).status_code == 200
    assert workshop.bells.take() == [("jobs.reconcile", live)]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"id": 7, "status": "processing"}', "7"),
        (b'\xef\xbb\xbf{"id": "t-1", "status": "processing"}', "t-1"),
        (b'{"id": "t-1", "id": "t-2", "status": "processing"}', "t-2"),
        (b'{"id": "t-1", "status": "processing", "cost": 1e999}', "t-1"),
        (b'{"id": "t-1", "status": "processing", "text": "\xff"}', "t-1"),
    ],
)
def test_a_callback_is_read_as_leniently_as_an_answer_to_a_query(
    workshop: Workshop, live: str, body: bytes, named: str
) -> None:
    assert post(workshop, live, body).status_code == 200
    [row] = kept(workshop, live)
    assert (row["readable"], row["task_id"], row["body"]) == (True, named, body)


def test_the_same_again_gets_the_first_answer_and_one_more_message_while_it_is_unread(
    workshop: Workshop, live: str
) -> None:
    body = json.dumps(RUNNING).encode()
    assert post(workshop, live, body).status_code == 200
    version = workshop.case(live).job.version
    workshop.bells.take()
    assert post(workshop, live, body).status_code == 200
    assert workshop.bells.take() == [("jobs.reconcile", live)]
    assert workshop.case(live).job.version == version
    RUN["jobs.reconcile"](live, workshop.resources)
    workshop.bells.take()
    assert post(workshop, live, body).status_code == 200
    assert workshop.bells.take() == []
    assert len(kept(workshop, live)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 30_000,
        b'{"id": "t-1", "status": NaN}',
        b'{"id": "t\\u0000", "status": "completed"}',
        b'{"id": "t\\ud800", "status": "completed"}',
        b'{"id": 7.5, "status": "completed"}',
        b'{"id": "t-1", "status": "\xe9"}',
        b'{"status": "completed"}',
        b"[]",
        b"null",
        b'{"n": ' + b"9" * 5_000 + b"}",
        b"",
    ],
)
def test_what_cannot_be_read_gets_400_is_kept_and_rings_all_the_same(
    workshop: Workshop, live: str, body: bytes
) -> None:
    assert post(workshop, live, body).status_code == 400
    [row] = kept(workshop, live)
    assert (row["readable"], row["body"]) == (False, body)
    assert workshop.bells.take() == [("jobs.reconcile", live)]
    assert post(workshop, live, body).status_code == 400
    RUN["jobs.reconcile"](live, workshop.resources)
    assert workshop.case(live).unread == ()


def test_an_ended_job_keeps_a_callback_and_rings_only_while_an_attempt_is_open(workshop: Workshop, live: str) -> None:
    def end_with(alarm_at: Any) -> None:
        with workshop.database.write() as db:
            db.execute(sa.update(tables.jobs).values(state="failed", alarm_at=alarm_at))

    with workshop.database.read() as db:
        later = workshop.database.clock(db) + timedelta(hours=1)
    end_with(later)
    assert post(workshop, live, json.dumps(FINISHED).encode()).status_code == 200
    assert workshop.bells.take() == [("jobs.reconcile", live)]  # to be asked about: there is nothing to copy yet
    end_with(None)
    assert post(workshop, live, json.dumps(RUNNING).encode()).status_code == 200
    assert workshop.bells.take() == []
    assert len(kept(workshop, live)) == 2


def test_over_the_limit_of_kept_bodies_the_answer_is_200_and_nothing_is_kept(workshop: Workshop, live: str) -> None:
    for number in range(workshop.settings.max_inbox_rows + 3):
        body = json.dumps({**RUNNING, "progress": number}).encode()
        assert post(workshop, live, body).status_code == 200
    assert len(kept(workshop, live)) == workshop.settings.max_inbox_rows


def chunked(workshop: Workshop, job_id: str, *chunks: bytes) -> int:
    """The answer's status to a body that tells its length nowhere, as tunnels send it."""
    parts = urlsplit(callback_url(workshop, job_id))
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    headers = {"Transfer-Encoding": "chunked"}
    connection.request("POST", parts.path, body=iter(chunks), headers=headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_body_without_a_length_is_read_up_to_the_limit(workshop: Workshop, live: str) -> None:
    limit = workshop.settings.max_body_bytes
    told = json.dumps(RUNNING).encode()
    assert chunked(workshop, live, told[:9], told[9:]) == 200
    assert [each["body"] for each in kept(workshop, live)] == [told]
    assert chunked(workshop, live, b" " * (limit - len(told)), told) == 200
    assert chunked(workshop, live, b" " * (limit - len(told)), told, b" ") == 413
    assert post(workshop, live, b"x" * (limit + 1)).status_code == 413
    assert len(kept(workshop, live)) == 2


def test_a_database_that_is_away_gets_503_so_that_the_gateway_tries_again(
    workshop: Workshop, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", away)
        answer = post(workshop, live, json.dumps(FINISHED).encode())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert kept(workshop, live) == []


@pytest.mark.both_databases
def test_a_callback_is_answered_200_only_once_it_is_committed(
    workshop: Workshop, live: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.store.database.BUSY_S", 0.5)
    body = json.dumps(FINISHED).encode()
    with held(database_url, tables.inbox):
        assert post(workshop, live, body).status_code == 503
    assert kept(workshop, live) == []
    assert post(workshop, live, body).status_code == 200
    assert len(kept(workshop, live)) == 1


def test_a_callback_is_answered_while_the_doorbell_before_it_waits_for_valkey(
    workshop: Workshop, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the web process rings: by a thread, which a Valkey that is frozen keeps for as long as it likes."""
    thawed = threading.Event()
    monkeypatch.setattr(workshop.bells, "ring", lambda *_: thawed.wait(30))
    ringer = RingerThread(workshop.bells)
    app = Flask("receiver")
    app.register_blueprint(blueprint(Receiver(workshop.settings, PROVIDERS, workshop.database, ringer)))
    server = serve_app(app)
    workshop.receive_callbacks_at(server.url)
    try:
        for body in (RUNNING, FINISHED):
            try:
                assert post(workshop, live, json.dumps(body).encode()).status_code == 200
            except requests.ReadTimeout:
                pytest.fail("the callback waits with its doorbell")
        assert len(kept(workshop, live)) == 2
    finally:
        thawed.set()
        server.close()
        ringer.close()


def test_tokens_of_the_previous_key_stay_good_during_a_rotation(
    workshop: Workshop, live: str, receiver: Served
) -> None:
    url = callback_url(workshop, live)
    old = dict(workshop.settings.callback_keys)
    rotated = {"k2": b"another-secret-of-some-length", **old}
    object.__setattr__(workshop.settings, "callback_keys", rotated)
    second = serve_receiver(workshop)
    try:
        assert requests.post(url.replace(receiver.url, second.url), json=RUNNING, timeout=5).status_code == 200
        assert "/k2." in callback_url(workshop, live)
    finally:
        second.close()


def test_nothing_secret_of_a_callback_is_kept_but_documented_headers(workshop: Workshop, live: str) -> None:
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Event": "task.completed"}
    assert post(workshop, live, json.dumps(RUNNING).encode(), headers=headers).status_code == 200
    with workshop.database.read() as db:
        [row] = db.execute(sa.select(tables.inbox.c.headers)).scalars()
    assert row["X-Event"] == "task.completed"
    assert not {"Authorization", "Cookie"} & set(row)
