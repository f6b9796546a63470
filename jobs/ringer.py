"""The ringer: publishes doorbells after a commit. A message means "look at this row"; losing one costs time only.

In workers it publishes at once. Beside the web process it is a thread, so that no request ever waits for Valkey.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from celery import Celery
from celery.utils import uuid

MANY_WAITING = 200
LONGEST_QUEUE = 1_000
TOGETHER = 8  # rows that a message of the web process may ring for; of a burst each message costs what one row costs
ROUND_S = 0.05  # bells of one round are published in one trip, at a tenth of the cost; a single one never waits
SILENCE_S = 5  # after a failure nothing is published for this long: each try may cost a second
MESSAGE_LIFE_S = 60  # a doorbell older than this has been rung again by the sweep

log = structlog.get_logger()


class Ringer(Protocol):
    """Rings for rows: `task` is the step's name."""

    def ring(self, task: str, *job_ids: str) -> None: ...

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int | None: ...


class CeleryRinger:
    """Publishes at once, all that is rung for in one trip; a failure is logged and forgotten.

    `together`: for so many rows at most one message may ring.
    """

    def __init__(self, app: Celery, *, together: int = 1, monotonic: Callable[[], float] = time.monotonic):
        self._app = app
        self._together = together
        self._monotonic = monotonic
        self._silent_until = 0.0

    def ring(self, task: str, *job_ids: str) -> None:
        self._publish(task, [job_ids[n : n + self._together] for n in range(0, len(job_ids), self._together)])

    def sweep(self) -> None:
        self._publish("jobs.sweep", [()])

    def waiting(self, task: str) -> int | None:
        """How many messages wait in a step's queue; None when Valkey cannot say."""
        if self._monotonic() < self._silent_until:
            return None
        try:
            with self._app.pool.acquire(block=True, timeout=1) as connection:
                self._connect(connection)
                return int(connection.default_channel.client.llen(self._queue(task)))
        except Exception as e:
            self._fail(task, e)
            return None

    def _queue(self, task: str) -> str:
        return str(self._app.conf.task_routes[task]["queue"])

    def _publish(self, task: str, calls: Sequence[tuple[str, ...]]) -> None:
        if not calls or self._monotonic() < self._silent_until:
            return
        try:
            try:
                self._send(task, calls)
            except Exception:  # a connection that Valkey has closed meanwhile shows itself at its next use
                self._send(task, calls)
        except Exception as e:  # whatever a broker says (refused, full, hung up): the sweep will ring again
            self._fail(task, e)

    def _send(self, task: str, calls: Sequence[tuple[str, ...]]) -> None:
        """Publish what `send_task` would, which makes each message from nothing: six times as long for one bell."""
        amqp, queue_name = self._app.amqp, self._queue(task)
        made = amqp.create_task_message("", task, calls[0], expires=MESSAGE_LIFE_S, ignore_result=True)
        with self._app.producer_pool.acquire(block=True) as producer:
            self._connect(producer.connection)
            with producer.batch():
                for args in calls:
                    task_id = uuid()
                    producer.publish(
                        (args, *made.body[1:]),
                        routing_key=queue_name,
                        serializer="json",
                        headers=made.headers | {"id": task_id, "root_id": task_id, "argsrepr": repr(args)},
                        **made.properties | {"correlation_id": task_id},
                    )

    def _connect(self, connection: Any) -> None:
        """Connect within the policy for publishing: by itself kombu tries for twelve seconds at the first use."""
        connection.ensure_connection(**self._app.conf.task_publish_retry_policy)

    def _fail(self, task: str, error: Exception) -> None:
        self._silent_until = self._monotonic() + SILENCE_S
        log.warning("doorbell_not_rung", task=task, error=type(error).__name__)


class RingerThread:
    """The web process's ringer: a bounded queue before a thread. Publishing never blocks and never fails a request."""

    def __init__(self, ringer: Ringer):
        self._ringer = ringer
        self._queue: queue.Queue[tuple[str, str] | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
        self._thread.start()

    def ring(self, task: str, *job_ids: str) -> None:
        try:
            for job_id in job_ids:
                self._queue.put_nowait((task, job_id))
        except queue.Full:
            log.warning("doorbell_forgotten", task=task)

    def sweep(self) -> None:
        self.ring("jobs.sweep", "")

    def waiting(self, task: str) -> int | None:
        return self._ringer.waiting(task)

    def close(self) -> None:
        """Ring what still waits, and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            bells = [self._queue.get()]
            round_ends = time.monotonic() + ROUND_S
            while len(bells) <= MANY_WAITING and not self._queue.empty():
                bells.append(self._queue.get())
            if len(bells) > MANY_WAITING:  # one look at all that is due is cheaper than many at single rows
                while not self._queue.empty():
                    bells.append(self._queue.get())
                self._ringer.sweep()
            else:
                self._publish([bell for bell in bells if bell is not None])
            if None in bells:
                return
            time.sleep(max(0.0, round_ends - time.monotonic()))

    def _publish(self, bells: Sequence[tuple[str, str]]) -> None:
        rung_for: dict[str, dict[str, None]] = {}  # in their order, each row once
        for task, job_id in bells:
            rung_for.setdefault(task, {})[job_id] = None
        if rung_for.pop("jobs.sweep", None):
            self._ringer.sweep()
        for task, job_ids in rung_for.items():
            self._ringer.ring(task, *job_ids)
