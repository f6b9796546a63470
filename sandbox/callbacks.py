"""Calling back: each gateway's headers and body, its timetable of retries, and the faults that befall it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from sandbox.agenda import Agenda
from sandbox.gateway import Callback
from sandbox.tasks import Delivery, Task


@dataclass(frozen=True)
class Parcel:
    """One callback as it goes out: written once, so that every try carries the same bytes."""

    event: str
    url: str
    headers: dict[str, str]
    body: bytes
    timetable: Callback


Post = Callable[[Parcel], int]
Spawn = Callable[[Callable[[], object]], None]


class Courier:
    """Delivers callbacks and notes every try on its task. `spawn` runs a call beside what is going on."""

    def __init__(
        self, agenda: Agenda, now: Callable[[], float], speed: Callable[[], float], post: Post, spawn: Spawn
    ) -> None:
        self._agenda, self._now, self._speed, self._post, self._spawn = agenda, now, speed, post, spawn

    def send(self, task: Task, parcel: Parcel, copies: int = 1, then: Callable[[], None] | None = None) -> None:
        """Deliver without waiting; several copies go out at the same time. `then` is called once the last was tried."""

        def last() -> None:
            self.deliver(task, parcel)
            if then is not None:
                then()

        for _ in range(copies - 1):
            self._spawn(lambda: self.deliver(task, parcel))
        self._spawn(last)

    def deliver(self, task: Task, parcel: Parcel, tries: int = 0) -> Delivery:
        """Try once, here and now; a failed try puts the next one on the agenda, while the timetable has one."""
        delivery = self.deliver_once(task, parcel)
        failed = delivery.status is None or not 200 <= delivery.status < 300
        if failed and tries < len(parcel.timetable.waits_s):
            wait_s = parcel.timetable.waits_s[tries] / self._speed()
            again = partial(self.deliver, task, parcel, tries + 1)
            self._agenda.add(self._now() + wait_s, lambda: self._spawn(again))
        return delivery

    def deliver_once(self, task: Task, parcel: Parcel) -> Delivery:
        """Try once, here and now, and leave it at that."""
        delivery = Delivery(parcel.event, self._now())
        task.deliveries.append(delivery)
        try:
            delivery.status = self._post(parcel)
        except requests.RequestException as failure:
            delivery.error = f"{type(failure).__name__}: {failure}"
        return delivery


def in_a_thread(call: Callable[[], object]) -> None:
    """A `Spawn`: a thread per call, since a receiver may take its time and 200 tasks may end at once."""
    threading.Thread(target=call, name="sandbox-callback", daemon=True).start()


def poster(ca_bundle: Path | None) -> Post:
    """A `Post` by HTTP: a connection per call, no redirects, any status is an answer.

    Raises requests.RequestException.
    """

    def post(parcel: Parcel) -> int:
        with requests.Session() as session:
            session.trust_env = False  # a receiver on this machine is not behind the environment's proxy
            session.verify = str(ca_bundle) if ca_bundle else True
            headers = {"Content-Type": "application/json", "User-Agent": "sandbox-gateway/1", **parcel.headers}
            with session.post(
                parcel.url,
                data=parcel.body,
                headers=headers,
                timeout=parcel.timetable.timeout_s,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return answer.status_code

    return post
