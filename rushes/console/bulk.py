"""One action for all jobs that a filter matches: counted, confirmed, and then asked for job by job, as the API does it.

Who confirms sends the ids that were counted: what came to match since is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rushes.console import acts, filters, offers
from rushes.console.door import Door
from rushes.console.service import Refused

MOST = 500  # jobs at once
PAGE = 100
TOO_MANY = 429


@dataclass(frozen=True)
class Choice:
    """What could be done with some of the jobs. `about` and `fields`: as of the offer on a job's own page."""

    name: str
    label: str
    done: str
    about: str
    ids: list[str]
    fields: tuple[str, ...] = ()


# The action's name → its label, and how its success reads.
ACTIONS = {"cancel": ("Cancel", "cancelled, or on the way to it"), "retry": ("Retry or copy again", "worked on again")}
ABOUT = {
    "cancel": "No gateway has accepted these: nothing is paid for those that are cancelled in time.",
    "retry": "Where a video was made, its copying is tried again. Every other job is ordered once more; where an"
    " earlier order may have been charged, you must accept to pay twice.",
}
UNSURE = {"tone": "bad", "text": "Nothing was done.", "more": "Say that you are sure."}
FIELDS: dict[str, tuple[str, ...]] = {"retry": ("accept_double_charge",)}


def add(routes: Blueprint, door: Door) -> None:
    """`/console/jobs/bulk`, and its forms."""

    @routes.get("/jobs/bulk")
    def bulk() -> ResponseReturnValue:
        found = filters.every(MOST, PAGE)
        if found.refused is not None:
            raise found.refused
        return render_template(
            "console/bulk.html",
            said=door.said(),
            found=found,
            states=Counter(job["state"] for job in found.jobs),
            choices=choices(found.jobs),
            back=f"{url_for('console.jobs')}?{urlencode(found.asked)}",
        )

    @routes.post("/jobs/bulk/<action>")
    def do_all(action: str) -> ResponseReturnValue:
        if action not in ACTIONS:
            abort(404)
        if not request.form.get("sure"):
            return acts.tell(door, UNSURE, url_for("console.jobs"))
        body = {"accept_double_charge": True} if request.form.get("accept_double_charge") else None
        told = tell(ACTIONS[action][1], _outcomes(request.form.getlist("id")[:MOST], action, body))
        return acts.tell(door, told, url_for("console.jobs"))


def choices(jobs: Iterable[Mapping[str, Any]]) -> list[Choice]:
    """What could be done with which of them. Pure."""
    ids: dict[str, list[str]] = {name: [] for name in ACTIONS}
    for job in jobs:
        for name in {offer.name for offer in offers.offers(job)} & ids.keys():
            ids[name].append(job["id"])
    return [
        Choice(name, label, done, ABOUT[name], ids[name], FIELDS.get(name, ()))
        for name, (label, done) in ACTIONS.items()
        if ids[name]
    ]


def tell(done: str, outcomes: Counter[str | None]) -> dict[str, Any]:
    """What came of it: how many were done, and of the others how many for which reason. Pure."""
    count, refused = outcomes[None], [(why, n) for why, n in outcomes.most_common() if why is not None]
    text = f"{count} job{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} {done}."
    more = " ".join(f"{n} × {why}" for why, n in refused)
    return {"tone": "bad" if refused and not count else "good", "text": text, "more": f"Not: {more}" if more else ""}


def _outcomes(ids: Iterable[str], action: str, body: Mapping[str, Any] | None) -> Counter[str | None]:
    """How many were done (None), and refused, by the reason. Once the key has asked too often, nothing more is done."""
    found: Counter[str | None] = Counter()
    left = list(ids)
    while left:
        try:
            g.service.post(f"/v1/jobs/{left.pop(0)}/{action}", body)
        except Refused as refusal:
            found[refusal.title] += 1
            if refusal.status == TOO_MANY:
                found[refusal.title] += len(left)
                break
        else:
            found[None] += 1
    return found
