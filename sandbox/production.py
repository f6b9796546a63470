"""The production: what becomes of a task between its acceptance and its end, and what a report shows of it."""

from __future__ import annotations

import math
import secrets
from typing import Any

from sandbox import links
from sandbox.agenda import Agenda
from sandbox.callbacks import Courier, Parcel
from sandbox.faults import Menu
from sandbox.gateway import Gateway, Query, Sight
from sandbox.settings import Settings
from sandbox.tasks import STALLED, Book, Failure, Phase, Task

FILM_PATIENCE_S = 120.0
# The faults that a task bears from its acceptance on.
MARKS = ("lose_callback", "double_callbacks", "expire_link", "serve", "fail", "stall")


class Production:
    """Ends tasks on time, calls back, and applies the faults that tasks bear."""

    def __init__(
        self, settings: Settings, book: Book, agenda: Agenda, courier: Courier, gateways: dict[str, Gateway]
    ) -> None:
        self.settings, self.book, self.gateways = settings, book, gateways
        self.link_secret = secrets.token_bytes(32)
        self._agenda, self._courier = agenda, courier

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
                task.link_expires = math.ceil(task.ended_at + self.settings.link_life_s)
            gone = now >= task.link_expires
            expires = task.accepted_at - 60 if task.stale_reports else task.link_expires
            link = task.origin + links.path_of(task.link_token, task.id, expires, self.link_secret)
        callback = None
        if task.order.callback_url and task.ended_at is not None:
            tried = [delivery.status for delivery in task.deliveries if delivery.event != "progress"]
            delivered = any(status is not None and status < 300 for status in tried)
            callback = "delivered" if delivered else "failed" if tried else "pending"
        return Sight(now, phase, word or query.words[phase], task.progress(now), link, callback, gone)

    def parcel(self, task: Task, event: str, url: str | None = None, body: bytes | None = None) -> Parcel | None:
        """A callback of the task as it stands; None where the gateway has none or nobody asked for it."""
        callback, to = self.gateways[task.provider].callback, url or task.order.callback_url
        if callback is None or not to:
            return None
        headers, written = callback.write(task, self.look(task), event)
        return Parcel(event, to, headers, written if body is None else body, callback)

    def mark_from(self, menu: Menu, task: Task) -> None:
        """Let a new task take the faults that wait for one."""
        for name in MARKS:
            params = menu.take(task.provider, name)
            if params is not None:
                self.mark(task, name, params)

    def mark(self, task: Task, name: str, params: dict[str, Any]) -> None:
        """Put a task's fault on the task."""
        if name == "lose_callback":
            task.callback_copies = 0
        elif name == "double_callbacks":
            task.callback_copies = int(params["count"])
        elif name == "expire_link":
            task.stale_reports = int(params["reports"])
        elif name == "serve":
            task.serve = dict(params)
        elif name == "stall":
            task.finish_at = STALLED
        elif name == "fail":
            gateway = self.gateways[task.provider]
            usual = gateway.fails_for_now if params["retryable"] else gateway.fails_for_good
            code = usual.code if params["code"] is None else params["code"]
            task.failure = Failure(code, params["message"] or usual.message, params["word"])

    def plan(self, task: Task) -> None:
        """Put the task's end, and Apiframe's progress event, on the agenda; a stalled task's is not in sight."""
        if task.finish_at == STALLED:
            return
        if "progress" in task.order.callback_events:
            halfway = (task.accepted_at + task.finish_at) / 2
            self._agenda.add(halfway, lambda: self._call_back(task, "progress"))
        self._agenda.add(task.finish_at, lambda: self._end(task))

    def _end(self, task: Task) -> None:
        if not self.book.settle(task):
            # Its time is up and its film is not ready: look again when it is.
            task.film.add_done_callback(lambda film: self._agenda.add(self.book.now(), lambda: self._end(task)))
            return
        self._call_back(task, "failed" if task.failure else "completed")

    def _call_back(self, task: Task, event: str) -> None:
        parcel = self._wanted(task, event)
        if parcel is not None:
            self._courier.send(task, parcel, task.callback_copies if event != "progress" else 1)

    def _wanted(self, task: Task, event: str) -> Parcel | None:
        """The callback, unless it was not asked for, is switched off, is to be lost, or tells of progress too late."""
        late = event == "progress" and task.ended_at is not None
        if not self.settings.callbacks or not task.callback_copies or late or event not in task.order.callback_events:
            return None
        return self.parcel(task, event)

    def finish_first(self, task: Task) -> None:
        """End the task and have its callback answered before its submit is."""
        if not task.failure:
            task.film.result(FILM_PATIENCE_S)
        task.finish_at = self.book.now()
        self.book.settle(task)
        parcel = self._wanted(task, "failed" if task.failure else "completed")
        if parcel is not None:
            self._courier.deliver(task, parcel)

    def release(self) -> None:
        """Let every stalled task finish now."""
        for task in self.book.of():
            if task.ended_at is None and task.finish_at == STALLED:
                task.finish_at = self.book.now()
                self.plan(task)
