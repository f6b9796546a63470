"""Which callbacks of a task go out and when: the gateway's own, what faults make of their order, and forged ones."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from sandbox.agenda import Agenda
from sandbox.callbacks import Courier, Parcel
from sandbox.gateway import Callback, Gateway, Sight
from sandbox.settings import Settings
from sandbox.tasks import Phase, Task

PROGRESS, FORGED = "progress", "forged"
NOBODY = "https://192.0.2.1"  # an address set aside for documentation (RFC 5737)


class Dispatch:
    """Hands callbacks to the courier. `look` is what a report made now would show of a task."""

    def __init__(
        self,
        settings: Settings,
        agenda: Agenda,
        now: Callable[[], float],
        courier: Courier,
        gateways: Mapping[str, Gateway],
        look: Callable[[Task], Sight],
    ) -> None:
        self._settings, self._agenda, self._now, self._courier = settings, agenda, now, courier
        self._gateways, self._look = gateways, look
        self._lock = threading.Lock()
        self._held: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def parcel(
        self, task: Task, event: str, url: str | None = None, body: bytes | None = None, sight: Sight | None = None
    ) -> Parcel | None:
        """A callback of the task as it stands; None where the gateway has none or nobody asked for it."""
        callback, to = self._gateways[task.provider].callback, url or task.order.callback_url
        if callback is None or not to:
            return None
        headers, written = callback.write(task, sight or self._look(task), event)
        return Parcel(event, to, headers, written if body is None else body, callback)

    def progress(self, task: Task) -> None:
        """Tell of progress, unless the task has ended, or the telling is to come after its end."""
        parcel = self._wanted(task, PROGRESS)
        if parcel is not None and task.ended_at is None and not task.callback_reordered:
            self._courier.send(task, parcel)

    def end(self, task: Task) -> None:
        """Tell of the end: now, or as late and as far out of order as the task's faults say."""
        if task.callback_delay_s:
            self._agenda.add(self._now() + task.callback_delay_s, lambda: self._end(task))
        else:
            self._end(task)

    def end_first(self, task: Task) -> None:
        """Tell of the end here and now, and return when it was answered."""
        parcel = self._wanted(task, _verdict(task))
        if parcel is not None:
            self._courier.deliver(task, parcel)
            self._let_go(task.provider)

    def forge(self, task: Task) -> None:
        """Be a stranger who knows the callback URL and the task's id, but neither its verdict nor the API key."""
        gateway, to = self._gateways[task.provider], task.order.callback_url
        if gateway.callback is None or not to:
            return
        phase = Phase.FINISHED if task.failure else Phase.FAILED
        failure = gateway.fails_for_good if phase is Phase.FAILED else None
        link = f"{NOBODY}/files/{task.id}.mp4" if phase is Phase.FINISHED else None
        false = replace(task, failure=failure, ended_at=self._now(), api_key="afk_forged")
        word = next(iter(gateway.queries.values())).words[phase]
        sight = Sight(self._now(), phase, word, 100 if link else 0, link)
        headers, body = gateway.callback.write(false, sight, _verdict(false))
        # A stranger tries once.
        self._courier.send(task, Parcel(FORGED, to, headers, body, Callback(gateway.callback.write)))

    def release(self) -> None:
        """Send what was held back."""
        with self._lock:
            providers = list(self._held)
        for provider in providers:
            self._let_go(provider)

    def _end(self, task: Task) -> None:
        parcel, progress = self._wanted(task, _verdict(task)), None
        if task.callback_reordered and PROGRESS in task.order.callback_events:
            query = next(iter(self._gateways[task.provider].queries.values()))
            progress = self._wanted(task, PROGRESS, Sight(self._now(), Phase.RUNNING, query.words[Phase.RUNNING], 50))
        if parcel is None:
            if progress is not None:
                self._courier.send(task, progress)
        elif task.callback_reordered and progress is None:
            with self._lock:
                self._held[task.provider].append(lambda: self._send(task, parcel, None))
        else:
            self._send(task, parcel, progress)

    def _send(self, task: Task, parcel: Parcel, progress: Parcel | None) -> None:
        def then() -> None:
            if progress is not None:
                self._courier.send(task, progress)
            self._let_go(task.provider)

        self._courier.send(task, parcel, task.callback_copies, then)

    def _let_go(self, provider: str) -> None:
        with self._lock:
            held = self._held.pop(provider, [])
        for send in held:
            send()

    def _wanted(self, task: Task, event: str, sight: Sight | None = None) -> Parcel | None:
        """The callback, unless it was not asked for, is switched off, or is to be lost."""
        if not self._settings.callbacks or not task.callback_copies or event not in task.order.callback_events:
            return None
        return self.parcel(task, event, sight=sight)


def _verdict(task: Task) -> str:
    return "failed" if task.failure else "completed"
