"""The production: what becomes of a task between its acceptance and its end, and what a report shows of it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import links
from sandbox.agenda import Agenda
from sandbox.callbacks import Courier
from sandbox.dispatch import FORGED, PROGRESS, Dispatch
from sandbox.gateway import Gateway, Query, Sight
from sandbox.menu import Due
from sandbox.settings import Settings
from sandbox.tasks import STALLED, Book, Failure, Phase, Task

FILM_PATIENCE_S = 120.0
Params = Mapping[str, Any]


def _failure(gateway: Gateway, params: Params) -> Failure:
    usual = gateway.fails_for_now if params["retryable"] else gateway.fails_for_good
    code = usual.code if params["code"] is None else params["code"]
    return Failure(code, params["message"] or usual.message, params["word"])


# The faults that a task bears from its acceptance on, and what of the task each sets.
MARKS: dict[str, Callable[[Gateway, Params], dict[str, Any]]] = {
    "lose_callback": lambda gateway, params: {"callback_copies": 0},
    "double_callbacks": lambda gateway, params: {"callback_copies": params["count"]},
    "delay_callback": lambda gateway, params: {"callback_delay_s": params["seconds"]},
    "reorder_callbacks": lambda gateway, params: {"callback_reordered": True},
    "forge_callback": lambda gateway, params: {"callback_forged": True},
    "expire_link": lambda gateway, params: {"stale_reports": params["reports"]},
    "hide_link": lambda gateway, params: {"hidden_reports": params["reports"]},
    "link_life": lambda gateway, params: {"link_life_s": params["seconds"], "link_expires": None},
    "serve": lambda gateway, params: {"serve": dict(params)},
    "fail": lambda gateway, params: {"failure": _failure(gateway, params)},
    "stall": lambda gateway, params: {"finish_at": STALLED},
}


class Production:
    """Ends tasks on time, has them called back, and applies the faults that tasks bear."""

    def __init__(
        self, settings: Settings, book: Book, agenda: Agenda, courier: Courier, gateways: dict[str, Gateway]
    ) -> None:
        self.settings, self.book, self.gateways = settings, book, gateways
        self.link_secret = secrets.token_bytes(32)
        self.dispatch = Dispatch(settings, agenda, book.now, courier, gateways, self.look)
        self._agenda = agenda

    def look(self, task: Task, query: Query | None = None, word: str | None = None) -> Sight:
        """What a report made now shows. `word` stands in for the gateway's; the task is then shown as running."""
        now = self.book.now()
        query = query or next(iter(self.gateways[task.provider].queries.values()))
        phase = Phase.RUNNING if word else task.phase(now)
        if phase is Phase.FAILED and task.failure and task.failure.word:
            word = task.failure.word
        link, gone = None, False
        if phase is Phase.FINISHED and task.ended_at is not None:
            if task.link_expires is None:
                life_s = self.settings.link_life_s if task.link_life_s is None else task.link_life_s
                task.link_expires = math.ceil(task.ended_at + life_s)
            gone = now >= task.link_expires
            expires = task.accepted_at - 60 if task.stale_reports else task.link_expires
            if not task.hidden_reports:
                link = task.origin + links.path_of(task.link_token, task.id, expires, self.link_secret)
        callback = None
        if task.order.callback_url and task.ended_at is not None:
            tried = [each.status for each in task.deliveries if each.event not in (PROGRESS, FORGED)]
            delivered = any(status is not None and status < 300 for status in tried)
            callback = "delivered" if delivered else "failed" if tried else "pending"
        return Sight(now, phase, word or query.words[phase], task.progress(now), link, callback, gone)

    def mark_from(self, due: Due, task: Task) -> None:
        """Let a new task take the faults that wait for one."""
        for name in MARKS:
            params = due.take(name)
            if params is not None:
                self.mark(task, name, params)

    def mark(self, task: Task, name: str, params: Params) -> None:
        """Put a task's fault on the task."""
        for attribute, value in MARKS[name](self.gateways[task.provider], params).items():
            setattr(task, attribute, value)

    def plan(self, task: Task) -> None:
        """Put the task's end, and Apiframe's progress event, on the agenda; a stalled task's is not in sight."""
        if task.callback_forged:
            self.dispatch.forge(task)
        self._plan_end(task)

    def finish_first(self, task: Task) -> None:
        """End the task and have its callback answered before its submit is."""
        if task.callback_forged:
            self.dispatch.forge(task)
        if not task.failure:
            task.film.result(FILM_PATIENCE_S)
        task.finish_at = self.book.now()
        self.book.settle(task)
        self.dispatch.end_first(task)

    def release(self) -> None:
        """Let every stalled task finish now, and every callback held back go out."""
        for task in self.book.of():
            if task.ended_at is None and task.finish_at == STALLED:
                task.finish_at = self.book.now()
                self._plan_end(task)
        self.dispatch.release()

    def _plan_end(self, task: Task) -> None:
        if task.finish_at == STALLED:
            return
        if PROGRESS in task.order.callback_events:
            halfway = (task.accepted_at + task.finish_at) / 2
            self._agenda.add(halfway, lambda: self.dispatch.progress(task))
        self._agenda.add(task.finish_at, lambda: self._end(task))

    def _end(self, task: Task) -> None:
        if not self.book.settle(task):
            # Its time is up and its film is not ready: look again when it is.
            task.film.add_done_callback(lambda film: self._agenda.add(self.book.now(), lambda: self._end(task)))
            return
        self.dispatch.end(task)
