"""What needs a person: each line with what they need for looking, and the button that answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from jobs.machine.error_codes import REASONS
from rushes.console import answers
from rushes.console.door import Door, Visitor
from rushes.console.offers import Offer

LISTED = "100"


@dataclass(frozen=True)
class Line:
    """One thing. `offer`: the form that answers it, for who may; `command`: what does so on a command line."""

    item: Mapping[str, Any]
    offer: Offer | None
    command: str | None


@dataclass(frozen=True)
class Group:
    """What has the same reason, the oldest first, with what it means and what can be done."""

    reason: str
    said: str
    then: str
    lines: list[Line]


def add(routes: Blueprint, door: Door) -> None:
    """`/console/attention`."""

    @routes.get("/attention")
    def attention() -> ResponseReturnValue:
        reason = request.args.get("reason")
        found = g.service.get("/v1/attention", {"limit": LISTED} | ({"reason": reason} if reason else {}))
        return render_template(
            "console/attention.html",
            said=door.said(),
            groups=groups(found["data"], _may(g.visitor)),
            shown=len(found["data"]),
            counts=found["counts"],
            has_more=found["has_more"],
            reason=reason,
        )


def groups(items: Iterable[Mapping[str, Any]], may: Callable[[Offer], bool]) -> list[Group]:
    """By reason, in the order in which the API tells them: what is most urgent first. Pure."""
    by_reason: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        by_reason.setdefault(item["reason"], []).append(item)
    return [
        Group(reason, *REASONS[reason], [_line(item, may) for item in sorted(those, key=_age)])
        for reason, those in by_reason.items()
    ]


def _line(item: Mapping[str, Any], may: Callable[[Offer], bool]) -> Line:
    offer = answers.answer(item)
    return Line(item, offer if offer and may(offer) else None, answers.command(item))


def _age(item: Mapping[str, Any]) -> tuple[bool, str]:
    return item["since"] is None, item["since"] or ""


def _may(visitor: Visitor) -> Callable[[Offer], bool]:
    return lambda offer: visitor.is_operator if offer.name == "resume" else visitor.may_order
