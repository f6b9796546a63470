"""The reception: what every gateway does with a request, in the gateway's own words.

Key, faults, check, charge, accept, answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any, Protocol

from flask import Response, request
from werkzeug.http import http_date

from sandbox import faults, wire
from sandbox.faults import PAGE, QUERY, SUBMIT, USUAL
from sandbox.fields import Invalid
from sandbox.films import SIZES, SMALL, Recipe
from sandbox.gateway import Gateway, Glance, Query, Reader, Refused
from sandbox.gateways import REFUSALS
from sandbox.menu import Due, Menu
from sandbox.production import Production
from sandbox.settings import Config
from sandbox.tasks import Order, Phase, Task

IDEMPOTENCY_KEY_MOST = 255


class Films(Protocol):
    """What makes films: films.Studio, or a test's stand-in for it."""

    def order(self, recipe: Recipe) -> Future[Path]:
        """The promise of a film."""


class Reception:
    """Answers every gateway's requests. Its parts are given to it; it keeps only what Apiframe's idempotency asks."""

    def __init__(
        self,
        config: Config,
        production: Production,
        menu: Menu,
        films: Films,
        pause: Callable[[float], Any],
    ) -> None:
        self._settings, self._book, self._menu = production.settings, production.book, menu
        self._production, self._films, self._pause = production, films, pause
        self._allow_loopback = config.allow_loopback_callbacks
        self._own_key = config.api_key
        self._random = Random(config.seed)  # noqa: S311  (ids that repeat under a seed are the point)
        self._replays: dict[tuple[str, str], tuple[Any, Task]] = {}

    def submit(self, gateway: Gateway, read: Reader) -> Response:
        """Take an order, or refuse it."""
        due = self._due(gateway, SUBMIT)
        try:
            api_key = self._check_key(gateway)
            spoilt = self._spoilt(gateway, due, SUBMIT)
            if spoilt is not None:
                self._book.count(gateway.name, "refused")
                return spoilt
            self._wait(due, "slow_submit")
            if not request.is_json:
                raise Invalid([("Content-Type", "must be application/json")])
            body = request.get_json(silent=True)
            order = read(body, self._allow_loopback)
            with self._book.lock:
                task = self._replay(gateway, body)
                replayed = task is not None
                if task is None:
                    task = self._accept(gateway, order, body, api_key, due)
        except Invalid as invalid:
            return self._refuse(gateway, gateway.refuse_invalid(invalid), counted=True)
        except Refused as refused:
            return self._refuse(gateway, refused, counted=True)
        word = next(iter(gateway.queries.values())).words[Phase.QUEUED]
        if replayed:
            word = self._production.look(task).word
        elif due.take("callback_before_answer") is not None:
            self._production.finish_first(task)
        else:
            self._production.plan(task)
        answer = self._answer(gateway, gateway.accept_status, gateway.accept(task, word))
        self._wait(due, "late_answer")
        lost = due.take("lose_answer")
        return self._lose(answer, **lost) if lost else answer

    def query(self, gateway: Gateway, query: Query, task_id: str) -> Response:
        """Report on a task."""
        due = self._due(gateway, QUERY)
        try:
            self._check_key(gateway)
            answer = self._spoilt(gateway, due, QUERY) or self._report(gateway, due, query, task_id)
        except Refused as refused:
            answer = self._refuse(gateway, refused)
        self._wait(due, "slow_query")  # what was seen may be out of date when it arrives
        return answer

    def page(self, gateway: Gateway, write: Callable[[Glance], dict[str, Any]]) -> Response:
        """Any other page of the gateway's."""
        self._due(gateway, PAGE)
        try:
            self._check_key(gateway)
            tasks = list(self._book.of(gateway.name))
            body = write(Glance(request.args, self._book.credits[gateway.name], tasks, self._production.look))
        except Refused as refused:
            return self._refuse(gateway, refused)
        return self._answer(gateway, 200, body)

    def _check_key(self, gateway: Gateway) -> str:
        wanted, given = self._own_key or gateway.api_key, gateway.read_key(request.headers)
        if given != wanted:
            raise Refused(401)
        return wanted

    def _report(self, gateway: Gateway, due: Due, query: Query, task_id: str) -> Response:
        garbage = due.take("garbage_query")
        if garbage:
            if garbage["what"] == "html":
                return Response(wire.HTML_PAGE, mimetype="text/html")
            return Response('{"id": "', mimetype="application/json")
        task = self._book.find(gateway.name, task_id)
        if task is None or (gateway.tasks_expire and self._settings.is_gone(task, self._book.now())):
            raise gateway.no_such_task(task_id)
        expired = due.take_own("expire_link")  # the menu's waits for a submit
        if expired:
            self._production.mark(task, "expire_link", expired)
        odd = due.take("unknown_word")
        sight = self._production.look(task, query, word=odd["word"] if odd else None)
        if sight.link and task.stale_reports:
            task.stale_reports -= 1
        if sight.phase is Phase.FINISHED and task.hidden_reports:
            task.hidden_reports -= 1
        return self._answer(gateway, 200, query.report(task, sight))

    def _due(self, gateway: Gateway, on: str) -> Due:
        """The faults that may befall this request. Raises UnknownFault for a header that names what there is not."""
        own = faults.read_header(REFUSALS, gateway.name, on, request.headers.getlist(faults.HEADER))
        return Due(gateway.name, own, self._menu)

    def _wait(self, due: Due, name: str) -> None:
        slow = due.take(name)
        if slow:
            self._pause(float(slow["seconds"]))

    def _spoilt(self, gateway: Gateway, due: Due, on: str) -> Response | None:
        """The answer of a `refuse` fault."""
        fault = due.take("refuse", on=on)
        if fault is None:
            return None
        answer = self._refuse(gateway, Refused(fault["status"], fault["message"] or "", fault["code"]))
        if fault["body"] is not None:
            answer.set_data(fault["body"] if isinstance(fault["body"], str) else json.dumps(fault["body"]))
        retry_after = fault["retry_after"]
        if isinstance(retry_after, str) and retry_after.startswith("date:"):
            # An HTTP-date has whole seconds; the second begun counts.
            retry_after = http_date(math.ceil(self._book.now()) + int(retry_after.removeprefix("date:")))
        if retry_after is None:
            answer.headers.pop("Retry-After", None)
        elif retry_after != USUAL:
            answer.headers["Retry-After"] = str(retry_after)
        return answer

    def _replay(self, gateway: Gateway, body: Any) -> Task | None:
        """The task this Idempotency-Key stands for, if any: for 24 hours, the same body only (protocols.md 2.1)."""
        key = request.headers.get("Idempotency-Key")
        if not gateway.idempotent or key is None:
            return None
        if not 1 <= len(key) <= IDEMPOTENCY_KEY_MOST:
            raise Invalid([("Idempotency-Key", f"must have 1 to {IDEMPOTENCY_KEY_MOST} characters")])
        kept = self._replays.get((gateway.name, key))
        if kept is None or self._book.now() >= kept[1].accepted_at + self._settings.idempotency_life_s:
            return None
        if kept[0] != body:
            raise Refused(409)
        self._book.count(gateway.name, "replayed")
        self._book.settle(kept[1])
        return kept[1]

    def _accept(self, gateway: Gateway, order: Order, body: Any, api_key: str, due: Due) -> Task:
        price = gateway.price(order)
        if not self._book.charge(gateway.name, price):
            raise gateway.no_credit(price, self._book.credits[gateway.name])
        now = self._book.now()
        width, height = SMALL if self._settings.film == "small" else SIZES[order.resolution, order.ratio]
        task = Task(
            provider=gateway.name,
            id=gateway.new_id(self._random, now),
            number=self._book.number(),
            order=order,
            request=body,
            origin=request.host_url.rstrip("/"),
            api_key=api_key,
            accepted_at=now,
            finish_at=now + self._settings.generation_of(gateway.name),
            charged=price,
            film=self._films.order(Recipe(width, height, order.duration, gateway.name, order.prompt)),
            failure=order.failure,
            link_token=f"{self._random.getrandbits(96):024x}",
        )
        if gateway.idempotent and "Idempotency-Key" in request.headers:
            task.idempotency_key = request.headers["Idempotency-Key"]
            self._replays[gateway.name, task.idempotency_key] = (body, task)
        self._production.mark_from(due, task)
        self._book.add(task)
        self._book.count(gateway.name, "accepted")
        return task

    def _lose(self, answer: Response, how: str, seconds: float) -> Response:
        """The answer to an accepted order, lost one way or another."""
        if str(how) == "502":
            return Response(wire.HTML_502, 502, mimetype="text/html")
        if how == "hang":
            self._pause(float(seconds))
            return answer
        if how == "drip":
            return wire.drip(answer, float(seconds), self._pause)
        return wire.Cut(reset=how == "reset")

    def _refuse(self, gateway: Gateway, refused: Refused, *, counted: bool = False) -> Response:
        if counted:
            self._book.count(gateway.name, "refused")
        answer = self._answer(gateway, refused.status, gateway.refuse(refused))
        if gateway.idempotent and refused.status == 429:
            answer.headers["Retry-After"] = "1"  # Apiframe alone documents it (protocols.md 2.4)
        return answer

    def _answer(self, gateway: Gateway, status: int, body: dict[str, Any]) -> Response:
        answer = Response(json.dumps(body), status, mimetype="application/json")
        answer.headers.update(gateway.headers())
        return answer
