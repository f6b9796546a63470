"""The task book: every task of every gateway, what it was charged, and where it stands at a given time.

A task's phase is worked out from the clock, so a query needs no thread to have run: queued for the first tenth of its
time, then running, then ended once its time is up and its film exists.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

QUEUE_SHARE = 0.1
STALLED = float("inf")


class Phase(StrEnum):
    """Where a task stands, in the sandbox's own words; each gateway has its own word for each."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Failure:
    """Why a task fails, in its gateway's words. `word` replaces the gateway's usual word for a failed task."""

    code: str | int
    message: str
    word: str | None = None


Media = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Order:
    """What was asked, read and checked: what the gateway makes of the request, after what it drops and cuts in silence.

    `resolution` is 720p or 1080p, `duration` whole seconds, whatever the gateway calls them. `media` pairs a word with
    an address, each kind in the order of the request: first_frame, last_frame, first_clip, driving_audio,
    reference_image, reference_video, reference_voice, or video for the one to edit. `failure` is set for an order that
    the gateway accepts and then fails.
    """

    mode: str
    model: str
    prompt: str
    resolution: str
    ratio: str
    duration: int
    negative_prompt: str | None = None
    media: Media = ()
    seed: int | None = None
    callback_url: str | None = None
    callback_events: tuple[str, ...] = ("completed", "failed")
    failure: Failure | None = None


@dataclass
class Delivery:
    """One try at a callback: the receiver's status, or what went wrong. A forged one's event is "forged"."""

    event: str
    at: float
    status: int | None = None
    error: str | None = None


@dataclass(eq=False)
class Task:
    """One accepted order. Times are unix seconds; `charged` and `refunded` in the gateway's own unit.

    `link_life_s` None is the life that the settings give every link.
    """

    provider: str
    id: str
    number: int
    order: Order
    request: Any
    origin: str
    api_key: str
    accepted_at: float
    finish_at: float
    charged: Decimal
    film: Future[Path]
    idempotency_key: str | None = None
    failure: Failure | None = None
    refunded: Decimal = Decimal(0)
    ended_at: float | None = None
    link_token: str = ""
    link_life_s: float | None = None
    link_expires: float | None = None
    stale_reports: int = 0
    hidden_reports: int = 0
    callback_copies: int = 1
    callback_delay_s: float = 0
    callback_reordered: bool = False
    callback_forged: bool = False
    serve: dict[str, Any] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    link_hits: list[float] = field(default_factory=list)

    def phase(self, now: float) -> Phase:
        """Where the task stands at `now`; ended only once `Book.settle` has ended it."""
        if self.ended_at is not None:
            return Phase.FAILED if self.failure else Phase.FINISHED
        return Phase.QUEUED if now < self.started_at() else Phase.RUNNING

    def started_at(self) -> float:
        """When it left the queue, or will."""
        if self.finish_at == STALLED:
            return self.accepted_at
        return self.accepted_at + QUEUE_SHARE * (self.finish_at - self.accepted_at)

    def progress(self, now: float) -> int:
        """Per cent done: 0 while queued or failed, 100 when finished, 99 at most before."""
        phase = self.phase(now)
        if phase is Phase.FINISHED:
            return 100
        if phase is not Phase.RUNNING:
            return 0
        if self.finish_at == STALLED:
            return 50
        return min(99, int(100 * (now - self.accepted_at) / max(self.finish_at - self.accepted_at, 0.001)))


class Book:
    """Tasks and money. Every method may be called from any thread; `now` is the clock, in unix seconds."""

    def __init__(self, now: Callable[[], float], credits: dict[str, Decimal]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.credits = credits
        self.submits: dict[str, Counter[str]] = {name: Counter(accepted=0, refused=0, replayed=0) for name in credits}
        self._tasks: dict[tuple[str, str], Task] = {}
        self._links: dict[str, Task] = {}
        self._numbers = 0

    def charge(self, provider: str, price: Decimal) -> bool:
        """Take `price` from the balance. False, and nothing taken, when it is too low."""
        with self.lock:
            if self.credits[provider] < price:
                return False
            self.credits[provider] -= price
            return True

    def number(self) -> int:
        """The next running number, from 1."""
        with self.lock:
            self._numbers += 1
            return self._numbers

    def add(self, task: Task) -> None:
        """Keep an accepted task."""
        with self.lock:
            self._tasks[task.provider, task.id] = task
            self._links[task.link_token] = task

    def find(self, provider: str, task_id: str) -> Task | None:
        """The task, brought up to date, or None."""
        with self.lock:
            task = self._tasks.get((provider, task_id))
        if task is not None:
            self.settle(task)
        return task

    def by_link(self, token: str) -> Task | None:
        """The task a film's link stands for."""
        with self.lock:
            return self._links.get(token)

    def of(self, provider: str | None = None) -> Iterator[Task]:
        """Every task, of one provider or of all, oldest first, brought up to date."""
        with self.lock:
            tasks = [task for task in self._tasks.values() if provider in (None, task.provider)]
        for task in tasks:
            self.settle(task)
            yield task

    def settle(self, task: Task) -> bool:
        """End the task if its time is up and its film exists, refunding a failure.

        True when it has ended, now or before.
        """
        with self.lock:
            if task.ended_at is not None:
                return True
            now = self.now()
            if now < task.finish_at or not (task.failure or task.film.done()):
                return False
            task.ended_at = now
            if task.failure:
                task.refunded = task.charged
                self.credits[task.provider] += task.charged
            return True

    def count(self, provider: str, outcome: str) -> None:
        """Count one POST: accepted, refused or replayed."""
        with self.lock:
            self.submits[provider][outcome] += 1
