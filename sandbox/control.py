"""The control endpoints: how a test or an operator sets the sandbox up and sees what it did.

No key: a tool for this machine.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from flask import Blueprint, request
from werkzeug.exceptions import BadRequest, NotFound

from sandbox import faults
from sandbox.callbacks import Courier
from sandbox.gateway import number
from sandbox.gateways import REFUSALS
from sandbox.menu import Menu
from sandbox.production import Production
from sandbox.tasks import STALLED, Task


def blueprint(production: Production, menu: Menu, courier: Courier) -> Blueprint:
    """Everything under /control."""
    routes = Blueprint("control", __name__, url_prefix="/control")
    book, settings, gateways = production.book, production.settings, production.gateways

    @routes.get("/settings")
    def show_settings() -> dict[str, Any]:
        balances = {name: number(balance) for name, balance in book.credits.items()}
        return {**settings.as_json(), "credits": balances}

    @routes.post("/settings")
    def change_settings() -> dict[str, Any]:
        changes = _body()
        try:
            credits = {name: _amount(value) for name, value in changes.pop("credits", {}).items()}
            for name in credits:
                _known(name)
            settings.change(changes, gateways)
        except ValueError as wrong:
            raise BadRequest(str(wrong)) from wrong
        book.credits.update(credits)
        return show_settings()

    @routes.get("/faults")
    def show_faults() -> dict[str, Any]:
        return {"faults": [fault.as_json() for fault in menu.left()]}

    @routes.post("/faults")
    def add_fault() -> dict[str, Any]:
        asked = _body()
        provider, name = asked.pop("provider", faults.ANY), asked.pop("fault", None)
        times, task_id = asked.pop("times", 1), asked.pop("task_id", None)
        if provider != faults.ANY:
            _known(provider)
        if not isinstance(times, int) or times < 1:
            raise BadRequest(f"times must be a whole number from 1, not {times!r}")
        fault = faults.read(REFUSALS, provider, str(name), times, asked)
        if task_id is None:
            menu.add(fault)
        elif faults.FAULTS[fault.name].late:
            production.mark(_task(provider, task_id), fault.name, fault.params)
        else:
            late = ", ".join(each for each, kind in faults.FAULTS.items() if kind.late)
            raise BadRequest(f"a task accepted before can only be given {late}, not {name}")
        return fault.as_json()

    @routes.delete("/faults")
    def clear_faults() -> dict[str, Any]:
        menu.clear()
        production.release()
        return show_faults()

    @routes.get("/refusals")
    def show_refusals() -> dict[str, Any]:
        return {
            name: [{"status": status, "code": code} for status, code in refusals] for name, refusals in REFUSALS.items()
        }

    @routes.get("/tasks")
    def show_tasks() -> dict[str, Any]:
        provider = request.args.get("provider")
        if provider is not None:
            _known(provider)
        return {"tasks": [_as_json(task, book.now()) for task in book.of(provider)]}

    @routes.get("/submits")
    def show_submits() -> dict[str, Any]:
        return {name: dict(counts) for name, counts in book.submits.items()}

    @routes.post("/callback")
    def call_back() -> dict[str, Any]:
        asked = _body()
        task = _task(asked.get("provider"), asked.get("task_id"))
        body = asked.get("body")
        raw = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        event = asked.get("event") or ("failed" if task.failure else "completed")
        parcel = production.dispatch.parcel(task, event, asked.get("url"), raw)
        if parcel is None:
            raise BadRequest(f"{task.provider} calls nobody back, or {task.id} has no callback URL and none was given")
        delivery = courier.deliver_once(task, parcel)
        return {"status": delivery.status, "error": delivery.error}

    def _known(provider: Any) -> None:
        if not isinstance(provider, str) or provider not in gateways:
            raise BadRequest(f"no provider {provider!r}; there are {', '.join(gateways)}")

    def _task(provider: Any, task_id: Any) -> Task:
        _known(provider)
        task = book.find(provider, str(task_id))
        if task is None:
            raise NotFound(f"{provider} has no task {task_id!r}")
        return task

    return routes


def _body() -> dict[str, Any]:
    body = request.get_json(force=True)
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _as_json(task: Task, now: float) -> dict[str, Any]:
    return {
        "provider": task.provider,
        "task_id": task.id,
        "submitted_at": task.accepted_at,
        "finish_at": None if task.finish_at == STALLED else task.finish_at,
        "ended_at": task.ended_at,
        "request": task.request,
        "mode": task.order.mode,
        "prompt": task.order.prompt,
        "negative_prompt": task.order.negative_prompt,
        "media": [{"type": kind, "url": address} for kind, address in task.order.media],
        "state": task.phase(now),
        "charged": number(task.charged),
        "refunded": number(task.refunded),
        "idempotency_key": task.idempotency_key,
        "callbacks": [vars(delivery) for delivery in list(task.deliveries)],
        "link_hits": {"count": len(task.link_hits), "first": task.link_hits[0] if task.link_hits else None},
    }


def _amount(value: Any) -> Decimal:
    """A sum of money from JSON. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is no amount")
    return Decimal(str(value))
