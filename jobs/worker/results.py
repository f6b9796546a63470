"""What `.get()` gives of `rushes.generate`: about the request that was handled last under its task id.

Celery never replaces a success (`KeyValueStoreBackend._store_result`), so that a lost worker's late answer does
not oust a newer one. Here an id is a client's idempotency key, under which it may send a mended request. So each
request gets a turn when it is first handled, and an answer is kept if nobody's turn came later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from celery import Task
from celery.exceptions import Ignore
from redis import RedisError

from jobs.broker import RESULT_LIFE_S

TURNS = "rushes-generate-turns-{}"  # a hash: each request's turn by its digest, and the last of them
LAST = "last"

log = structlog.get_logger()


TRIES = 2  # what a call does whose answer was lost may be done again

T = TypeVar("T")


def take_turn(task: Task, request: Mapping[str, Any]) -> int | None:
    """The turn of a request that is handled now; None where Valkey does not answer.

    A message that is delivered once more keeps the turn that it had.
    """
    key = TURNS.format(task.request.id)
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    is_known = bool((task.request.delivery_info or {}).get("redelivered"))

    def take() -> int:
        client = task.backend.client
        turn = client.hget(key, digest) if is_known else None
        if turn is None:
            turn = client.hincrby(key, LAST, 1)
            client.hset(key, digest, turn)
        client.expire(key, RESULT_LIFE_S)
        return int(turn)

    return _tried("turn_not_taken", task, take)


def make_room(task: Task, request: Mapping[str, Any], turn: int | None) -> None:
    """Let the answer that is about to be given replace an earlier one. Raises Ignore where a later one stands.

    One that could take no turn when it was handled takes it now.
    """
    own = take_turn(task, request) if turn is None else turn
    if own is None:
        return

    def replace() -> bool:
        client = task.backend.client
        if int(client.hget(TURNS.format(task.request.id), LAST) or own) > own:
            return False
        client.delete(task.backend.get_key_for_task(task.request.id))
        return True

    if _tried("result_not_replaced", task, replace) is False:
        raise Ignore("a later request under this task id has been handled")


def _tried(event: str, task: Task, act: Callable[[], T]) -> T | None:
    """What a few calls to Valkey give; None where it answers none of the tries."""
    for number in range(TRIES):
        try:
            return act()
        except RedisError as e:
            log.warning(event, task_id=task.request.id, tries=number + 1, reason=str(e))
    return None
