"""The overview: what is worked on, how fast, what it costs today, and what needs a person."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from rushes.console.door import Door
from rushes.console.words import STATES, read

SPANS = ("hour", "day", "week")
LISTED = 6  # of what needs a person
NOT_TAKEN = "refunded"


def add(routes: Blueprint, door: Door) -> None:
    """`/console/`."""

    @routes.get("/")
    def overview() -> ResponseReturnValue:
        span = request.args.get("span", SPANS[0])
        found = g.service.get("/v1/overview", {"span": span})
        today = read(found["now"]).date().isoformat()
        costs = g.service.get("/v1/costs", {"from": today, "to": today})
        return render_template(
            "console/overview.html",
            said=door.said(),
            spans=SPANS,
            found=found,
            gateways=gateways({each["name"]: each for each in found["providers"]}, found["paces"], costs["data"]),
            totals=costs["totals"],
            today_usd=sum(line["usd"] for line in costs["totals"] if line["line"] != NOT_TAKEN),
            attention=g.service.get("/v1/attention", {"limit": str(LISTED)}),
            chart=chart(found["steps"]),
        )


def gateways(
    statuses: dict[str, dict[str, Any]], paces: list[dict[str, Any]], costs: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What the table of gateways shows: those that have a key, by whose names the statuses are. Pure."""
    by_name = {pace["provider"]: pace for pace in paces}
    rows = []
    for name, status in statuses.items():
        taken = [each for each in costs if each["provider"] == name and each["line"] != NOT_TAKEN]
        unpriced = sum(each["unpriced"] for each in taken)
        is_known = unpriced < sum(each["attempts"] for each in taken) or not taken
        usd = sum(each["usd"] for each in taken) if is_known else None
        told = {"usd": usd, "unpriced": unpriced, "pace": by_name.get(name)}
        rows.append({"name": name, "status": status, **told})
    return rows


def chart(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The steps as `console.js` draws them: times in seconds, and a row of counts for each state that occurs. Pure."""
    ends = [state for state in ("archived", "failed", "cancelled") if any(state in step["ended"] for step in steps)]
    return {
        "times": [int(read(step["begins_at"]).timestamp()) for step in steps],
        "rows": [
            {"name": state, "tone": STATES[state].tone, "counts": [step["ended"].get(state, 0) for step in steps]}
            for state in ends or ("archived",)
        ],
    }
