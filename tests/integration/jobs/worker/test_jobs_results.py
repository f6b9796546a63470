"""Which answer stands under a task id of `rushes.generate`, on a real Valkey."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery.exceptions import Ignore
from redis.backoff import NoBackoff
from redis.retry import Retry

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
    results.make_room(task, request, turn)
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


def nobody() -> redis.Redis:
    """A client of no server, which does not try again by itself."""
    return redis.Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))


class LosesOne:
    """A client one of whose calls, counted from 0, has its answer lost, after or before Valkey has seen it."""

    def __init__(self, client: redis.Redis, lost: int, *, after: bool) -> None:
        self._client, self._lost, self._after = client, lost, after

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self._lost -= 1
            if self._lost == -1 and not self._after:
                raise redis.ConnectionError
            found = getattr(self._client, name)(*args)
            if self._lost == -1:
                raise redis.ConnectionError
            return found

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("lost", range(5))
def test_one_lost_call_leaves_no_older_answer_in_place(client: redis.Redis, lost: int, after: bool) -> None:
    answer(client, MADE, "refused")
    task = message(client)
    task.backend.client = LosesOne(client, lost, after=after)
    turn = results.take_turn(task, MENDED)
    results.make_room(task, MENDED, turn)
    client.set(RESULT, "job-1", nx=True)
    assert client.get(RESULT) == b"job-1"


def test_one_that_could_take_no_turn_takes_it_with_its_answer(client: redis.Redis) -> None:
    answer(client, MADE, "refused")
    away = message(nobody())
    turn = results.take_turn(away, MENDED)
    results.make_room(message(client), MENDED, turn)
    client.set(RESULT, "job-1", nx=True)
    assert client.get(RESULT) == b"job-1"


def test_without_valkey_the_job_is_made_all_the_same() -> None:
    away = message(nobody())
    assert results.take_turn(away, MADE) is None
    results.make_room(away, MADE, None)
    results.make_room(away, MADE, 1)
