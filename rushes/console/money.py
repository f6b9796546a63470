"""What the orders came to: the account of some days, summed apart as wanted, on a page and as a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, render_template, request
from flask.typing import ResponseReturnValue

from jobs.providers.registry import PROVIDERS
from rushes.console.door import Door
from rushes.console.service import Refused

# Parameters that are the API's own. `metadata` is one entry's key here, summed apart as `metadata.<key>` there.
SAME = ("from", "to", "provider", "batch", "key")
BY = ("day", "provider", "key", "batch")
OF_METADATA = "metadata."
NOT_TAKEN = "refunded"
USUAL_DAYS = 7  # that are shown where none are asked for
# What becomes of money, in words; the two that want somebody first.
LINES = {
    "paid_not_delivered": (
        "bad",
        "Made and charged, and the job has ended without the video. While its link lives it can still be fetched:"
        " Attention has it. Else ask the gateway for the money, and settle the order once it is back.",
    ),
    "uncertain": (
        "warn",
        "Nobody knows whether it was charged: the answer was lost, or the gateway says nothing of refunds. Look at the"
        " gateway's account, and settle the order on its job's page.",
    ),
    "charged": ("good", "The video was made."),
    "held": ("live", "Accepted: charged already, or about to be."),
    "refunded": ("quiet", "The task failed at a gateway that gives the money back. It is not counted as spent."),
}


def add(routes: Blueprint, door: Door) -> None:
    """`/console/money`, and the same as a file."""

    @routes.get("/money")
    def money() -> ResponseReturnValue:
        found: dict[str, Any] | None = None
        refused = None
        wanted = query(request.args.to_dict(flat=False))
        if "from" not in wanted and "to" not in wanted:
            wanted["from"] = str(datetime.now(UTC).date() - timedelta(days=USUAL_DAYS - 1))

        def by_day() -> Mapping[str, Any]:
            told: Mapping[str, Any] = g.service.get("/v1/costs", {**wanted, "by": ["day"]})
            return told

        try:
            found = g.service.get("/v1/costs", wanted)
        except Refused as refusal:
            if refusal.status != 422:
                raise
            refused = refusal
        page = render_template(
            "console/money.html",
            said=door.said(),
            found=found,
            totals=_totals(found) if found else {},
            spent_usd=sum(each["usd"] for each in found["totals"] if each["line"] != NOT_TAKEN) if found else 0,
            heads=heads(found["by"]) if found else [],
            rows=list(_rows(found)) if found else [],
            chart=chart(found if "day" in found["by"] else by_day()) if found else None,
            sheet=f"?{urlencode(wanted, doseq=True)}",
            asked=request.args,
            by=wanted.get("by") or ["day", "provider"],
            groups=BY,
            lines=LINES,
            providers=sorted(PROVIDERS),
            refused=refused,
        )
        return page, 200 if refused is None else 422

    @routes.get("/money.csv")
    def sheet() -> Response:
        """The API's own file, under the parameters of the API."""
        asked = request.args.to_dict(flat=False)
        reply = g.service.ask("GET", "/v1/costs", query={**asked, "format": "csv"})
        kept_as = {"Content-Disposition": reply.headers["Content-Disposition"]}
        return Response(reply.body, headers=kept_as, content_type=reply.headers["Content-Type"])


def chart(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The sums by day as `console.js` draws them, a row of dollars for each line; None: nothing to compare. Pure."""
    first, last = (date.fromisoformat(found[name]) for name in ("from", "to"))
    days = [(first + timedelta(days=count)).isoformat() for count in range((last - first).days + 1)]
    usd = Counter[tuple[str, str]]()
    for each in found["data"]:
        if each["usd"]:
            usd[each["line"], each["day"]] += each["usd"]
    lines = [line for line in LINES if line != NOT_TAKEN and any(name == line for name, _ in usd)]
    if len(days) < 2 or not lines:
        return None
    return {
        "isMoney": True,
        "times": [int(datetime.fromisoformat(f"{day}T00:00:00Z").timestamp()) for day in days],
        "rows": [
            {
                "name": line.replace("_", " "),
                "tone": LINES[line][0],
                "counts": [round(usd[line, day], 6) for day in days],
            }
            for line in lines
        ],
    }


def query(asked: Mapping[str, list[str]]) -> dict[str, str | list[str]]:
    """What a page's address asks of the API. Pure."""
    found: dict[str, str | list[str]] = {name: asked[name][0] for name in SAME if asked.get(name, [""])[0]}
    entry = asked.get("metadata", [""])[0].strip()
    if by := [*asked.get("by", []), *([OF_METADATA + entry] if entry else [])]:
        found["by"] = by
    return found


def heads(by: list[str]) -> list[str]:
    """What stands above the columns of groups. Pure."""
    called = {"provider": "Gateway", "key": "API key"}
    return [called.get(name, name.removeprefix(OF_METADATA).capitalize()) for name in by]


def _rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in found["data"]:
        yield {**each, "cells": [_cell(each, name) for name in found["by"]]}


def _cell(each: Mapping[str, Any], name: str) -> str | None:
    if name.startswith(OF_METADATA):
        return each["metadata"].get(name.removeprefix(OF_METADATA))  # type: ignore[no-any-return] # a string, or None
    if name == "key":
        return each["key_name"] or str(each["key"])
    return each[name]  # type: ignore[no-any-return] # the same


def _totals(found: Mapping[str, Any]) -> dict[str, Any]:
    """By line, in the order in which they are read; those without an order are left out."""
    by_line = {each["line"]: each for each in found["totals"]}
    return {line: by_line[line] for line in LINES if by_line[line]["attempts"]}
