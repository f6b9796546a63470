"""How a dry run reads: where the order would go, at what price, and why the others not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rushes.cli.terminal import output
from rushes.cli.terminal.output import Colored
from rushes.provider_words import dollars, misfit


def show(quote: dict[str, Any]) -> None:
    """The answer in a line, and a row for every gateway that was considered."""
    if sys.stdout.isatty():
        output.plain(_answer(quote))
    else:  # rows alone are data
        output.note(_answer(quote))
    rows = [[each["provider"], _price(each), _verdict(each, quote)] for each in quote["considered"]]
    output.table(["gateway", "price", "why"], rows, right=("price",))


def show_all(quotes: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """A row for each line of a file, by its number, and the sum."""
    rows = [[number, quote["provider"], _price(quote["price"] or {}), _waits(quote)] for number, quote in quotes]
    output.table(["line", "gateway", "price", "waits for"], rows, right=("line", "price"))
    made = sum(quote.get("made") is not None for _, quote in quotes)
    there = f"; {made} of them are made already, and would not be bought again" if made else ""
    output.note(f"{output.counted(len(quotes), 'request')}, {total([quote for _, quote in quotes])}{there}")


def total(quotes: Sequence[dict[str, Any]]) -> str:
    """What these would cost together."""
    prices = [quote["price"] or {} for quote in quotes]
    known = [price for price in prices if price.get("usd") is not None]
    about = "" if all(price["exact"] for price in known) else "at most "
    unknown = len(prices) - len(known)
    rest = f", and {unknown} without a price in US$" if unknown else ""
    return f"{about}{dollars(sum(price['usd'] for price in known))}{rest}"


def _waits(quote: dict[str, Any]) -> str | None:
    return quote["waits"]["reason"] if quote["waits"] else None


def _answer(quote: dict[str, Any]) -> str:
    chosen, price, waits = quote["provider"], quote["price"], quote["waits"]
    if chosen is None:
        reason = f"{waits['reason']}; looked at again in {waits['seconds']:.0f} s" if waits else "no gateway is free"
        return f"it would wait: {reason}"
    if not price or _price(price) is None:
        return f"it would go to {chosen}, at a price that is not known"
    about = "" if price["exact"] else "at most "
    return f"it would go to {chosen}, for {about}{_price(price)} ({price['seconds']:g} s)"


def _price(each: dict[str, Any]) -> str | None:
    if each.get("usd") is None and each.get("credits") is not None:
        return f"{each['credits']:,.10g} credits"
    return dollars(each.get("usd"))


def _verdict(each: dict[str, Any], quote: dict[str, Any]) -> Colored:
    if misfits := each.get("misfits"):
        return Colored("; ".join(map(misfit, misfits)), "dim")
    if found := each.get("obstacle"):
        waiting = found.get("holds_up")  # an older service does not tell
        whom = f"; it holds up {output.counted(waiting, 'job')}" if waiting else ""
        return Colored(f"{found['reason']}{whom}", "yellow")
    if each["provider"] == quote["provider"]:
        return Colored("chosen", "green")
    return Colored("fits; comes after it" if quote["provider"] else "fits", "")
