"""The ringer: publishes doorbells after a commit. A message means "look at this row"; losing one costs time only.

In workers it publishes at once. Beside the web process it is a thread, so that no request ever waits for Valkey.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from celery import Celery

MANY_WAITING = 20
LONGEST_QUEUE = 1_000
ROUND_S = 0.02  # bells of one round are published in a row, at a third of the cost; a single one never waits
SILENCE_S = 5  # after a failure nothing is published for this long: each try may cost a second
MESSAGE_LIFE_S = 60  # a doorbell older than this has been rung again by the sweep

log = structlog.get_logger()


class Ringer(Protocol):
    """Rings for a row: `task` is the step's name."""

    def ring(self, task: str, job_id: str) -> None: ...

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int | None: ...


class CeleryRinger:
    """Publishes at once; a failure is logged and forgotten."""

    def __init__(self, app: Celery, *, monotonic: Callable[[], float] = time.monotonic):
        self._app = app
        self._monotonic = monotonic
        self._silent_until = 0.0

    def ring(self, task: str, job_id: str) -> None:
        self._publish(task, (job_id,), MESSAGE_LIFE_S)

    def sweep(self) -> None:
        self._publish("jobs.sweep", (), MESSAGE_LIFE_S)

    def waiting(self, task: str) -> int | None:
        """How many messages wait in a step's queue; None when Valkey cannot say."""
        if self._monotonic() < self._silent_until:
            return None
        try:
            with self._app.pool.acquire(block=True, timeout=1) as connection:
                return int(connection.default_channel.client.llen(self._queue(task)))
        except Exception as e:
            self._fail(task, e)
            return None

    def _queue(self, task: str) -> str:
        return str(self._app.conf.task_routes[task]["queue"])

    def _publish(self, task: str, args: tuple[Any, ...], expires: float) -> None:
        if self._monotonic() < self._silent_until:
            return
        try:
            self._app.send_task(task, args=args, expires=expires, ignore_result=True)
        except Exception as e:  # whatever a broker says (refused, full, hung up): the sweep will ring again
            self._fail(task, e)

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

    def ring(self, task: str, job_id: str) -> None:
        try:
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
                for task, job_id in (bell for bell in bells if bell is not None):
                    if task == "jobs.sweep":
                        self._ringer.sweep()
                    else:
                        self._ringer.ring(task, job_id)
            if None in bells:
                return
            time.sleep(max(0.0, round_ends - time.monotonic()))
