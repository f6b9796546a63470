"""Doorbells on a real Valkey that forgets them: the rows say what is due, and the sweep rings again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from celery import Celery
from workshop import RUN, Workshop

from jobs.broker import ringing_app
from jobs.machine.states import State
from jobs.ringer import MESSAGE_LIFE_S, TOGETHER, CeleryRinger, RingerThread
from jobs.store.step_table import SUBMIT
from jobs.worker.sweep import Sweeper
from rushes.local.valkey import Valkey

MINUTE_S = 60
AWAY_S = 3


@pytest.fixture
def broker(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as broker:
        broker.flushall()
        yield broker
        broker.flushall()


@pytest.fixture
def sweeper(workshop: Workshop, valkey: Valkey, broker: redis.Redis) -> Iterator[Sweeper]:
    """A sweep process, and its doorbells on Valkey."""
    app = ringing_app(replace(workshop.settings, redis_url=valkey.url))
    yield Sweeper(replace(workshop.resources, ringer=CeleryRinger(app)))
    app.close()


@pytest.fixture
def ringing(workshop: Workshop, valkey: Valkey, broker: redis.Redis) -> Iterator[Celery]:
    app = ringing_app(replace(workshop.settings, redis_url=valkey.url))
    yield app
    app.close()


def rung(broker: redis.Redis) -> set[str]:
    """The jobs whose doorbells wait to be heard."""
    messages: Any = broker.lrange(SUBMIT.queue, 0, -1)
    return {job_id for message in messages for job_id in read(message)["body"][0]}


def test_what_a_flushed_valkey_held_is_rung_for_again_and_no_job_is_lost(
    workshop: Workshop, sweeper: Sweeper, broker: redis.Redis, sandbox: Any
) -> None:
    job_ids = {workshop.create(provider="evolink") for _ in range(3)}
    sweeper.once()
    assert rung(broker) == job_ids
    broker.flushall()
    later = time.monotonic() + MINUTE_S
    sweeper.resources.monotonic = lambda: later
    sweeper.once()
    assert rung(broker) == job_ids
    for job_id in job_ids:
        RUN[SUBMIT.name](job_id, workshop.resources)
        workshop.until(job_id, State.ARCHIVED)


def read(message: bytes) -> dict[str, Any]:
    """A message as it lies in Valkey, without what each has of its own, and what no receiver of a doorbell reads."""
    told = json.loads(message)
    told["body"] = json.loads(base64.b64decode(told["body"]))
    assert told["headers"].pop("id") == told["headers"].pop("root_id") == told["properties"].pop("correlation_id")
    ahead = datetime.fromisoformat(told["headers"].pop("expires")) - datetime.now(UTC)
    assert MESSAGE_LIFE_S - 10 < ahead.total_seconds() <= MESSAGE_LIFE_S
    for name in ("delivery_tag", "reply_to", "expiration"):
        told["properties"].pop(name, None)
    return dict(told)


def test_a_doorbell_is_the_message_that_celery_would_send(ringing: Celery, broker: redis.Redis) -> None:
    for job_id in ("job_1", "job_2"):
        ringing.send_task(SUBMIT.name, args=(job_id,), expires=MESSAGE_LIFE_S, ignore_result=True)
    CeleryRinger(ringing).ring(SUBMIT.name, "job_1", "job_2")
    sent: Any = broker.lrange(SUBMIT.queue, 0, -1)
    second, first, their_second, their_first = map(read, sent)
    assert (first, second) == (their_first, their_second)
    assert len({json.loads(message)["headers"]["id"] for message in sent}) == 4


def test_rows_of_a_burst_share_messages_and_none_waits_for_a_full_one(ringing: Celery, broker: redis.Redis) -> None:
    job_ids = [f"job_{n}" for n in range(2 * TOGETHER + 1)]
    CeleryRinger(ringing, together=TOGETHER).ring(SUBMIT.name, *job_ids)
    sent: Any = broker.lrange(SUBMIT.queue, 0, -1)
    assert [len(read(message)["body"][0]) for message in sent] == [1, TOGETHER, TOGETHER]
    assert rung(broker) == set(job_ids)


def test_the_web_process_rings_once_for_a_row_that_is_rung_for_again_and_again(
    ringing: Celery, broker: redis.Redis
) -> None:
    thread = RingerThread(CeleryRinger(ringing, together=TOGETHER))
    thread.ring(SUBMIT.name, "job_0")  # it is published meanwhile
    for _ in range(5):
        thread.ring(SUBMIT.name, "job_1", "job_2")
    thread.close()
    assert rung(broker) == {"job_0", "job_1", "job_2"}
    assert broker.llen(SUBMIT.queue) <= 3


def test_commands_to_valkey_share_a_client_and_a_new_connection_has_its_own(
    ringing: Celery, broker: redis.Redis
) -> None:
    with ringing.connection_for_write() as connection:
        channel = connection.default_channel
        clients = [client for _ in range(3) for client in _given(channel)]
        assert len(set(map(id, clients))) == 1
        channel._disconnect_pools()  # as after a connection was lost
        (anew,) = _given(channel)
        assert anew is not clients[0]
        assert anew.ping()


def _given(channel: Any) -> list[Any]:
    with channel.conn_or_acquire() as client:
        return [client]


def test_a_connection_that_valkey_has_closed_loses_no_doorbell(ringing: Celery, broker: redis.Redis) -> None:
    ringer = CeleryRinger(ringing)
    ringer.ring(SUBMIT.name, "job_1")
    broker.client_kill_filter(_type="normal", skipme=True)
    ringer.ring(SUBMIT.name, "job_2", "job_3")
    assert rung(broker) == {"job_1", "job_2", "job_3"}


def test_a_valkey_that_is_away_costs_a_moment(workshop: Workshop) -> None:
    """Whoever rings has work to do, or is to stop."""
    app = ringing_app(workshop.settings)
    for use in ("ring", "waiting"):
        ringer, begun = CeleryRinger(app), time.monotonic()
        getattr(ringer, use)(SUBMIT.name, *(["job_1"] if use == "ring" else []))
        assert time.monotonic() - begun < AWAY_S
    app.close()
