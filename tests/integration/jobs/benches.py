"""Workers on a real database whose gateway is a function of the test's; nothing is sent anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from rows import Rows

from jobs.providers.client import Answered, Lost, NotSent
from jobs.providers.registry import PROVIDERS
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.resources import Resources
from jobs.store.journal import Journal


class Bells:
    """A ringer that remembers."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []

    def ring(self, task: str, *job_ids: str) -> None:
        self.rung += [(task, job_id) for job_id in job_ids]

    def sweep(self) -> None:
        self.ring("jobs.sweep", "")

    def waiting(self, task: str) -> int:
        return 0


class Pacer:
    """A budget without end."""

    def slot(self, *_: Any, **__: Any) -> float:
        return 0


class Gateway:
    """Counts what is sent. `answer` makes a submit's answer."""

    def __init__(self, answer: Callable[[], Answered | NotSent | Lost] | None = None):
        self.answer = answer or self.accept
        self.sent = 0

    def resolve(self, *_: Any, **__: Any) -> NotSent | None:
        return None

    def send(self, *_: Any, **__: Any) -> Answered | NotSent | Lost:
        self.sent += 1
        return self.answer()

    def accept(self) -> Answered:
        return Answered(200, {}, b'{"id": "task-%d", "status": "pending"}' % self.sent)


def worker(rows: Rows, gateway: Gateway, name: str = "A", **changes: Any) -> Resources:
    """A worker's parts; what a submit does not touch is missing."""
    resources = Resources(
        settings=rows.core.settings,
        providers=PROVIDERS,
        database=rows.database,
        client=cast(Any, gateway),
        query_budget=cast(Any, Pacer()),
        bulkheads=Bulkheads(4),
        ringer=Bells(),
        session=cast(Any, None),
        bucket=cast(Any, None),
        journal=Journal(rows.core.settings.data_dir / "journal"),
        prober=cast(Any, None),
        process=name,
        spool_dir=Path("/nowhere"),
        monotonic=lambda: 0.0,
        pause=lambda s: None,
        jitter=lambda s: s,
        stopping=threading.Event(),
    )
    return replace(resources, **changes)


def rung(resources: Resources) -> list[tuple[str, str]]:
    return cast(Bells, resources.ringer).rung
