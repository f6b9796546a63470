"""The list of jobs: what the address asks for, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import Mode
from rushes.console.door import Door
from rushes.console.service import Refused
from rushes.console.words import spent

PAGE = "50"
# Parameters that are the API's own and go there as they are; those of metadata and time are written shorter here.
SAME = ("provider", "mode", "prompt", "batch", "overdue", "needs_person", "cursor")
TIMES = ("created_after", "created_before")


def add(routes: Blueprint, door: Door) -> None:
    """`/console/jobs`."""

    @routes.get("/jobs")
    def jobs() -> ResponseReturnValue:
        asked = {name: values for name, values in request.args.lists() if any(values)}
        found: dict[str, Any] = {"data": [], "next_cursor": None}
        refused = None
        try:
            found = g.service.get("/v1/jobs", query(asked) | {"limit": PAGE})
        except Refused as refusal:
            if refusal.status != 422:
                raise
            refused = refusal
        filters = {name: values for name, values in asked.items() if name != "cursor"}
        page = render_template(
            "console/jobs.html",
            said=door.said(),
            jobs=[{**job, "spent": spent(job)} for job in found["data"]],
            next=found["next_cursor"] and f"?{urlencode([*_pairs(filters), ('cursor', found['next_cursor'])])}",
            first=f"?{urlencode(_pairs(filters))}" if "cursor" in asked else None,
            asked={name: values if name == "state" else values[0] for name, values in asked.items()},
            is_filtered=bool(filters),
            refused=refused,
            states=[state.value for state in State],
            providers=sorted(PROVIDERS),
            modes=[mode.value for mode in Mode],
        )
        return page, 200 if refused is None else 422


def query(asked: Mapping[str, list[str]]) -> dict[str, str | list[str]]:
    """What a page's address asks of the API. Pure.

    `metadata` is `scene=12 take=3` here, as a person types it, and a time as a browser's field sends it is in UTC.
    """
    found: dict[str, str | list[str]] = {name: asked[name][0] for name in SAME if name in asked}
    if "state" in asked:
        found["state"] = asked["state"]
    for name in TIMES:
        if name in asked:
            at = asked[name][0]
            found[name] = at if at.endswith("Z") or "+" in at else f"{at}Z"
    for entry in asked.get("metadata", [""])[0].split():
        name, _, value = entry.partition("=")
        found[f"metadata.{name}"] = value
    return found


def _pairs(asked: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in asked.items() for value in values if value]
