"""A dry run as a page tells it: where an order would go, at what price, and what speaks against each gateway. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rushes import provider_words
from rushes.console.words import amount, lasting

Json = Mapping[str, Any]
UNKNOWN = "a price that is not known"


@dataclass(frozen=True)
class Line:
    """A gateway. `verdict` is in words; `tone` and `icon` as of states."""

    name: str
    price: str
    verdict: Sequence[str]
    icon: str
    tone: str


@dataclass(frozen=True)
class Quote:
    """What would become of an order. `price`: what whoever orders agrees to; `made`: the job that is there already."""

    answer: str
    price: str
    lines: Sequence[Line]
    made: str | None


def read(told: Json) -> Quote:
    """The API's answer, for people."""
    waits, considered = told["waits"], {each["provider"]: each for each in told["considered"]}
    name = told["provider"] or (waits and waits["provider"])
    price = _price(told["price"] or considered.get(name, {}))
    if told["provider"]:
        answer = f"{name} makes it for {price}."
    elif waits:
        again = lasting(waits["seconds"])
        answer = f"It would wait for {name}, there at {price}: {waits['reason']}. It is looked at again in {again}."
    else:
        answer = f"It would wait; no gateway is free. It costs {price}."
    return Quote(answer, price, [_line(each, told["provider"]) for each in told["considered"]], told["made"])


def _price(each: Json) -> str:
    usd, credits = each.get("usd"), each.get("credits")
    if usd is None and credits is None:
        return UNKNOWN
    return f"{'' if each['exact'] else 'at most '}{amount(usd, credits)}"


def _line(each: Json, chosen: str | None) -> Line:
    name = each["provider"]
    if misfits := each.get("misfits"):
        return Line(name, "", [provider_words.misfit(each) for each in misfits], "cross", "bad")
    if hindered := each.get("obstacle"):
        return Line(name, _price(each), [f"not now: {hindered['reason']}"], "rest", "warn")
    verdict = "it goes here" if name == chosen else "fits; comes after it"
    return Line(name, _price(each), [verdict], "check", "good" if name == chosen else "quiet")
