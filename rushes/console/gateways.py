"""The gateways: how each key stands, and letting it rest, resuming it, and asking what is left."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rushes.console import acts, overview
from rushes.console.door import Door
from rushes.console.service import Reply
from rushes.console.words import moment

MINUTES = re.compile(r"\d{1,6}", re.ASCII)


def add(routes: Blueprint, door: Door) -> None:
    """`/console/gateways`, and its forms."""

    @routes.get("/gateways")
    def gateways() -> ResponseReturnValue:
        today = datetime.now(UTC).date().isoformat()
        providers = g.service.get("/v1/providers")["data"]
        costs = g.service.get("/v1/costs", {"from": today, "to": today})["data"]
        by_name = {provider["name"]: provider for provider in providers}
        statuses = {name: provider["status"] for name, provider in by_name.items() if provider["configured"]}
        return render_template(
            "console/gateways.html",
            said=door.said(),
            gateways=[by_name[row["name"]] | row for row in overview.gateways(statuses, [], costs)],
            without_key=[name for name, provider in by_name.items() if not provider["configured"]],
        )

    def done(told: dict[str, Any]) -> Response:
        return acts.tell(door, told, url_for("console.gateways"))

    @routes.post("/gateways/<name>/rest")
    def rest(name: str) -> ResponseReturnValue:
        def said(reply: Reply) -> str:
            return f"{name} gets no orders until {moment(reply.data['status']['paused']['submit']['until'])}."

        ask = partial(g.service.post, f"/v1/providers/{name}/rest", length(request.form.get("minutes", "")))
        return done(acts.attempt(ask, said)[0])

    @routes.post("/gateways/<name>/resume")
    def resume(name: str) -> ResponseReturnValue:
        ask = partial(g.service.post, f"/v1/providers/{name}/resume")
        return done(acts.attempt(ask, lambda _: f"{name} rests no more: one order tries it first.")[0])

    @routes.post("/gateways/<name>/balance")
    def balance(name: str) -> ResponseReturnValue:
        ask = partial(g.service.post, f"/v1/providers/{name}/balance")
        told, reply = acts.attempt(ask, lambda _: f"{name} told its balance.")
        return done(told if reply is None else {**told, "balance": reply.data})


def length(minutes: str) -> dict[str, Any]:
    """How long a gateway rests, as the API takes it; what is no number is refused there, in words. Pure."""
    if not minutes.strip():
        return {}
    return {"seconds": int(minutes) * 60 if MINUTES.fullmatch(minutes) else minutes}
