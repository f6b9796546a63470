"""Callbacks: what gateways called back with, and how many ends of orders they told, told late, or never."""

from __future__ import annotations

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from jobs.providers.registry import PROVIDERS
from rushes.console import lists
from rushes.console.door import Door

FILTERS = ("provider", "readable", "unread", "job_id")


def add(routes: Blueprint, door: Door) -> None:
    """`/console/callbacks`."""

    @routes.get("/callbacks")
    def callbacks() -> ResponseReturnValue:
        listed = lists.read("/v1/callbacks", FILTERS)
        page = render_template(
            "console/callbacks.html",
            said=door.said(),
            listed=listed,
            figures=g.service.get("/v1/callbacks/figures"),
            asked=request.args,
            providers=sorted(PROVIDERS),
        )
        return page, listed.status
