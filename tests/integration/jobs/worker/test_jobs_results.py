"""Which answer stands under a task id of `rushes.generate`, on a real Valkey."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery.exceptions import Ignore

from jobs.worker import results

MADE, MENDED = {"prompt": "A fox", "resolution": "4k"}, {"prompt": "A fox", "resolution": "720p"}
RESULT = b"result-of-order-1"


@pytest.fixture
def client(valkey: Any) -> redis.Redis:
    client = redis.Redis.from_url(valkey.url)
    client.delete(RESULT, results.TURNS.format("order-1"))
    return client


def message(client: redis.Redis, *, redelivered: bool = False) -> Any:
    request = SimpleNamespace(id="order-1", delivery_info={"redelivered": redelivered})
    return SimpleNamespace(request=request, backend=SimpleNamespace(client=client, get_key_for_task=lambda _: RESULT))


def answer(client: redis.Redis, request: dict[str, Any], what: str, *, redelivered: bool = False) -> None:
    """Handle a message as the task does; Celery keeps an answer only where none stands."""
    task = message(client, redelivered=redelivered)
    turn = results.take_turn(task, request)
    results.make_room(task, turn)
    client.set(RESULT, what, nx=True)


def test_a_mended_requests_answer_replaces_the_refusal_before_it(client: redis.Redis) -> None:
    answer(client, MADE, "refused")
    answer(client, MENDED, "job-1")
    assert client.get(RESULT) == b"job-1"


def test_a_redelivery_of_an_older_message_puts_no_older_answer_back(client: redis.Redis) -> None:
    answer(client, MADE, "refused")
    answer(client, MENDED, "job-1")
    with pytest.raises(Ignore):
        answer(client, MADE, "refused", redelivered=True)
    assert client.get(RESULT) == b"job-1"


def test_a_redelivery_of_the_last_one_answers_for_it(client: redis.Redis) -> None:
    """Its first delivery took its turn, and its worker died."""
    answer(client, MADE, "refused")
    results.take_turn(message(client), MENDED)
    answer(client, MENDED, "job-1", redelivered=True)
    assert client.get(RESULT) == b"job-1"


def test_one_that_was_never_handled_is_the_last_also_when_it_comes_as_a_redelivery(client: redis.Redis) -> None:
    answer(client, MADE, "refused")
    answer(client, MENDED, "job-1", redelivered=True)
    assert client.get(RESULT) == b"job-1"


def test_the_same_request_sent_anew_is_the_last(client: redis.Redis) -> None:
    answer(client, MADE, "refused")
    answer(client, MENDED, "job-1")
    answer(client, MADE, "reused")
    assert client.get(RESULT) == b"reused"


def test_turns_live_no_longer_than_results(client: redis.Redis) -> None:
    answer(client, MADE, "refused")
    assert 0 < client.ttl("rushes-generate-turns-order-1") <= 3600


def test_without_valkey_the_job_is_made_all_the_same() -> None:
    away = message(redis.Redis(port=1, socket_connect_timeout=0.2))
    assert results.take_turn(away, MADE) is None
    results.make_room(away, None)
    results.make_room(away, 1)
