"""How values read on a page: times, lengths, money, states. Pure but for the clock of `ago`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import Blueprint
from markupsafe import Markup, escape

from jobs.machine.states import State

BEGINNING = 140  # characters of a prompt in a list


class Look(NamedTuple):
    """How a state shows: never by its colour alone. `icon`: of `icons.html`."""

    icon: str
    tone: str
    said: str


STATES: dict[str, Look] = {
    State.QUEUED: Look("queue", "quiet", "waits to be ordered"),
    State.SUBMITTING: Look("send", "live", "is being ordered"),
    State.UNCONFIRMED: Look("question", "warn", "the answer to its order was lost"),
    State.GENERATING: Look("work", "live", "a gateway makes it"),
    State.ARCHIVING: Look("copy", "live", "is being copied"),
    State.ARCHIVED: Look("check", "good", "the video is in the bucket"),
    State.FAILED: Look("cross", "bad", "ended without a video"),
    State.CANCELLED: Look("stop", "quiet", "ended before it was bought"),
}
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def install(routes: Blueprint) -> None:
    """Make these known to templates."""
    for filter_ in (ago, moment, clock, lasting, money, size, beginning, pretty, coded):
        routes.add_app_template_filter(filter_, filter_.__name__)
    routes.add_app_template_global(amount, "amount")
    routes.add_app_template_global(STATES, "STATES")  # type: ignore[arg-type] # a table is looked up, not called


def read(moment: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(moment)


def ago(at: str | None, now: datetime | None = None) -> str:
    """How long ago it was, or in how long it will be, by its largest unit."""
    if at is None:
        return "–"
    seconds = ((now or datetime.now(UTC)) - read(at)).total_seconds()
    if abs(seconds) < 1:
        return "now"
    count, unit = next((int(abs(seconds) // size), unit) for size, unit in UNITS if abs(seconds) >= size)
    return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"


def moment(at: str | None) -> str:
    """To the second, with its zone."""
    return "–" if at is None else f"{read(at):%Y-%m-%d %H:%M:%S} UTC"


def clock(at: str) -> str:
    """The time of day alone."""
    return f"{read(at):%H:%M:%S}"


def lasting(seconds: float | None) -> str:
    """A length of time by its two largest units."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for size_, unit in UNITS:
        count, left = divmod(left, size_)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, parts[:2]))


def money(usd: float | None) -> str:
    """US dollars with as many digits as its neighbours in a column have; a dash where no price is known."""
    return "–" if usd is None else f"${usd:,.3f}" if usd < 100 else f"${usd:,.2f}"


def amount(usd: float | None, credits: float | None) -> str:
    """What is known of an order's price: dollars, else the gateway's credits."""
    return f"{credits:g} credits" if usd is None and credits is not None else money(usd)


def size(count: int | None) -> str:
    """Bytes in their largest unit."""
    if count is None:
        return "–"
    return next((f"{count / unit:.1f} {name}" for unit, name in SIZES if count >= unit), f"{count} bytes")


def beginning(text: Any) -> str:
    """How a text begins, on one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= BEGINNING else f"{line[: BEGINNING - 1]}…"


def pretty(value: Any) -> str:
    """JSON as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def coded(text: str) -> Markup:
    """A text of ours, whose `commands` stand between backticks."""
    parts = map(escape, text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def spent(job: dict[str, Any]) -> str:
    """What all orders of a job came to: what gateways reported, else what was expected, as far as that is known."""
    taken = [order["cost"] for order in job["attempts"] if order["cost"]["standing"] not in ("none", "refunded")]
    sums = []
    for unit in ("usd", "credits"):
        each = [cost[f"reported_{unit}"] or cost[f"estimated_{unit}"] for cost in taken]
        known = [value for value in each if value is not None]
        sums.append(sum(known) if known else None)
    return amount(*sums)
