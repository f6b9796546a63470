"""What a list of jobs is filtered by: in its page's address, as the API is asked for it, and as its form shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import g, request, url_for

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import Mode
from rushes.console.service import Refused

# Parameters that are the API's own and go there as they are; those of metadata and time are written shorter here.
SAME = ("provider", "mode", "prompt", "batch", "overdue", "needs_person", "cursor")
TIMES = ("created_after", "created_before")


@dataclass(frozen=True)
class Listed:
    """A page of a list. `shown`: what `filters.html` and the ways to other pages are made of."""

    jobs: list[dict[str, Any]]
    shown: dict[str, Any]
    status: int


def listed(limit: str, *, state: State | None = None) -> Listed:
    """What this page's address asks for. `state`: which one is meant where the address names none."""
    asked = {name: values for name, values in request.args.lists() if any(values)}
    meant = asked if state is None else {"state": [state.value], **asked}
    found: dict[str, Any] = {"data": [], "next_cursor": None}
    refused = None
    try:
        found = g.service.get("/v1/jobs", query(meant) | {"limit": limit})
    except Refused as refusal:
        if refusal.status != 422:
            raise
        refused = refusal
    filters = {name: values for name, values in asked.items() if name != "cursor"}
    shown = {
        "next": found["next_cursor"] and f"?{urlencode([*_pairs(filters), ('cursor', found['next_cursor'])])}",
        "first": f"?{urlencode(_pairs(filters))}" if "cursor" in asked else None,
        "bulk": f"{url_for('console.bulk')}?{urlencode(_pairs(filters))}",
        "asked": {name: values if name == "state" else values[0] for name, values in meant.items()},
        "is_filtered": bool(filters),
        "refused": refused,
        "states": [each.value for each in State],
        "providers": sorted(PROVIDERS),
        "modes": [mode.value for mode in Mode],
    }
    return Listed(found["data"], shown, 200 if refused is None else 422)


@dataclass(frozen=True)
class Every:
    """All jobs that this page's address matches. `has_more`: there are others; `asked`: the filter, as an address."""

    jobs: list[dict[str, Any]]
    has_more: bool
    asked: list[tuple[str, str]]
    refused: Refused | None


def every(most: int, page: int) -> Every:
    """The newest of them, at most so many, asked for so many at a time."""
    asked = {name: values for name, values in request.args.lists() if any(values) and name != "cursor"}
    wanted, found, cursor = query(asked) | {"limit": str(page)}, list[dict[str, Any]](), None
    while len(found) < most:
        try:
            told = g.service.get("/v1/jobs", wanted | ({"cursor": cursor} if cursor else {}))
        except Refused as refusal:
            return Every([], False, _pairs(asked), refusal)
        found += told["data"]
        cursor = told["next_cursor"]
        if not cursor:
            break
    return Every(found[:most], bool(cursor), _pairs(asked), None)


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
