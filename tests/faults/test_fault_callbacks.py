"""Callbacks lost, doubled, late, reordered, forged, oversized, bombs; and callers that never finish a sentence."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa
from plant import Plant

from jobs.machine.states import State
from jobs.store import tables

CALLERS = ["aivideoapi", "apiframe", "evolink"]
MENU: dict[str, dict[str, Any]] = {
    "lose_callback": {},
    "double_callbacks": {"count": 4},
    "delay_callback": {"seconds": 3},
    "reorder_callbacks": {},
    "forge_callback": {},
    "callback_before_answer": {},
}
LIE = {"id": "task_0", "status": "completed", "results": ["http://192.0.2.1/a.mp4"]}
BOMBS: dict[str, bytes] = {
    "deep": b"[" * 60_000,
    "long number": b'{"id": ' + b"9" * 5_000 + b"}",
    "NaN": b'{"id": NaN}',
    "a name twice": b'{"id": "a", "id": "b"}',
    "NUL": b'{"id": "\\u0000", "status": "completed"}',
    "bad UTF-8": b'{"id": "\xff\xfe"}',
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 100,
    "a form": b"id=a&status=completed",
    "empty": b"",
}
HALF_OPEN = 100  # connections of each kind
HONEST_S = 3.0


def callback_url(task: dict[str, Any]) -> str:
    """The address that a gateway was given for a task."""
    [url] = [value for value in task["request"].values() if "/webhooks/" in str(value)]
    return str(url)


def post(url: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json"}
    return requests.post(url, data=body, headers=headers, timeout=20).status_code


@pytest.mark.prove
def test_no_misfortune_of_callbacks_loses_a_job_or_moves_it_twice(plant: Plant) -> None:
    job_ids = []
    for fault, params in MENU.items():
        for provider in CALLERS:
            plant.stand_ins.fault(provider, fault, **params)
            job_ids.append(plant.book.order(provider))
            plant.book.await_sold(job_ids[-1])
    plant.book.await_archived(*job_ids)
    for job_id in job_ids:
        history = plant.book.history(job_id)
        assert [history.count(event) for event in ("claim", "accept", "finish", "store")] == [1, 1, 1, 1], history
    before = {job_id: (plant.book.case(job_id).job, plant.book.history(job_id)) for job_id in job_ids}
    late = [plant.stand_ins.call_back(plant.book.sold(job_id)[0]) for job_id in job_ids]
    assert set(late) == {200}
    assert {job_id: (plant.book.case(job_id).job, plant.book.history(job_id)) for job_id in job_ids} == before


def test_forged_lying_and_broken_callbacks_move_nothing(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "stall", times=2)
    mine, other = (plant.book.await_sold(plant.book.order("evolink")) for _ in range(2))
    job_id = plant.book.orders[0].job_id
    assert job_id is not None
    plant.book.await_state(job_id, State.GENERATING)
    url, foreign = callback_url(mine), callback_url(other)
    address, _, token = url.rpartition("/")
    lie = json.dumps(LIE).encode()
    forged = [f"{address}/{token[:-2]}AA", f"{address}/k9.{token.partition('.')[2]}", f"{address}/x",
              f"{address}/{foreign.rpartition('/')[2]}", url.replace("/evolink/", "/aivideoapi/")]  # fmt: skip
    assert [post(each, lie) for each in forged] == [404] * len(forged)
    assert kept(plant, job_id) == 0
    assert {name: post(url, body) for name, body in BOMBS.items()} == dict.fromkeys(BOMBS, 400)
    assert post(url, lie) == 200  # it is kept, and we ask: the gateway knows better
    honest = dict(LIE, id=mine["task_id"])
    assert post(url, json.dumps(honest).encode()) == 200
    plant.await_(lambda: unread(plant, job_id) == 0, "all of it read")
    assert plant.book.state(job_id) is State.GENERATING
    assert plant.book.case(job_id).attempts[1].task_id == mine["task_id"]
    assert said(url, b"Content-Length: 104857600\r\n\r\n") == 413
    assert said(url, b"Transfer-Encoding: chunked\r\n\r\n" + b"10001\r\n" + b"x" * 65_537) == 413
    plant.stand_ins.reset()  # what stalled goes on
    plant.book.await_archived()


def test_callers_who_never_finish_their_sentence_keep_no_honest_one_waiting(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "stall")
    task = plant.book.await_sold(plant.book.order("evolink"))
    path = urlsplit(callback_url(task)).path
    port = urlsplit(plant.url).port
    half_head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Le".encode()
    half_body = f"POST {path[:-4]}xxxx HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{{".encode()
    half_genuine = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{{".encode()
    with contextlib.ExitStack() as open_ones:
        for part in [half_head, half_body, half_genuine] * HALF_OPEN:
            caller = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            caller.sendall(part)
        begun = time.monotonic()
        assert plant.stand_ins.call_back(task) == 200
        assert requests.get(f"{plant.url}/livez", timeout=10).ok
        assert time.monotonic() - begun < HONEST_S
    plant.stand_ins.reset()
    plant.book.await_archived()


def kept(plant: Plant, job_id: str) -> int:
    with plant.database.read() as db:
        rows = sa.select(sa.func.count()).select_from(tables.inbox).where(tables.inbox.c.job_id == job_id)
        return int(db.execute(rows).scalar_one())


def unread(plant: Plant, job_id: str) -> int:
    return len(plant.book.case(job_id).unread)


def said(url: str, rest: bytes) -> int:
    """The status of the answer to a request of which only this much is ever sent."""
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as caller:
        head = f"POST {parts.path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n".encode()
        with contextlib.suppress(ConnectionError):  # it may answer before it has heard everything
            caller.sendall(head + rest)
        return int(caller.recv(100).split(b" ")[1])
