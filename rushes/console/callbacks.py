"""Callbacks: what gateways called back with, and how many ends of orders they told, told late, or never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from jobs.providers.registry import PROVIDERS
from rushes.console import lists
from rushes.console.door import Door
from rushes.console.service import Refused

SPANS = {"two days": 2, "week": 7}  # of the figures, with today
FILTERS = ("provider", "readable", "unread", "job_id")


def add(routes: Blueprint, door: Door) -> None:
    """`/console/callbacks`."""

    @routes.get("/callbacks")
    def callbacks() -> ResponseReturnValue:
        listed = lists.read("/v1/callbacks", FILTERS)
        span = request.args.get("span", "two days")
        since = datetime.now(UTC).date() - timedelta(days=SPANS.get(span, 1) - 1)
        page = render_template(
            "console/callbacks.html",
            said=door.said(),
            listed=listed,
            figures=_figures(str(since)),
            spans=SPANS,
            span=span,
            asked=request.args,
            providers=sorted(PROVIDERS),
        )
        return page, listed.status


def _figures(since: str) -> Any:
    try:
        return g.service.get("/v1/callbacks/figures", {"from": since})
    except Refused as refusal:
        if refusal.status != 422:
            raise
        return g.service.get("/v1/callbacks/figures")  # as far back as callbacks are kept
