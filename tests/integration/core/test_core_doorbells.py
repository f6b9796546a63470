"""Doorbells on a real Valkey that forgets them: the rows say what is due, and the sweep rings again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from workshop import RUN, Workshop

from jobs.broker import ringing_app
from jobs.machine.states import State
from jobs.ringer import CeleryRinger
from jobs.store.step_table import SUBMIT
from jobs.worker.sweep import Sweeper
from rushes.local.valkey import Valkey

MINUTE_S = 60


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


def rung(broker: redis.Redis) -> set[str]:
    """The jobs whose doorbells wait to be heard."""
    messages: Any = broker.lrange(SUBMIT.queue, 0, -1)
    return {json.loads(base64.b64decode(json.loads(message)["body"]))[0][0] for message in messages}


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
