"""A gateway's account held against ours: what both say was used between two askings, and what may explain a difference.

It is shown and settles nothing: others may use the key, and a gateway may charge at its own time.
"""

from __future__ import annotations

from typing import Any

from jobs.machine.times import iso
from jobs.providers.base import BalanceCall, CreditBalance, Provider
from jobs.store.credit_balances import Asked, Book, Orders

DIGITS = 6


def held_against(
    provider: Provider, call: BalanceCall, told: CreditBalance, book: Book, now: Asked, before: Asked | None
) -> dict[str, Any]:
    """The answer to whoever asks, as JSON: amounts in the gateway's unit, and in US dollars where known. Pure."""

    def amount(units: float) -> dict[str, float | None]:
        usd = provider.in_usd(abs(units) * call.worth)
        return {"amount": round(units, DIGITS), "usd": -usd if usd and units < 0 else usd}

    def orders(some: Orders) -> dict[str, Any]:
        return {"orders": some.orders, **amount(some.credits / call.worth)}

    shown = {
        "provider": provider.name,
        "asked_at": iso(now.asked_at),
        "unit": call.unit,
        "counts": call.counts,
        "left": amount(told.left),
        "used": amount(told.used),
        "under_way": orders(book.under_way),
        "uncertain": orders(book.uncertain),
    }
    if before is None:
        return {
            **shown,
            "since": None,
            "explained": ["Asked for the first time: the next asking is held against this one."],
        }
    took, booked = now.used - before.used, now.booked - before.booked
    difference = round(took - booked, DIGITS)
    since = {
        "asked_at": iso(before.asked_at),
        "took": amount(took),
        "booked": amount(booked),
        "difference": amount(difference),
    }
    return {**shown, "since": since, "explained": _explained(difference, call, book)}


def _explained(difference: float, call: BalanceCall, book: Book) -> list[str]:
    """What may be behind a difference, the likeliest first; nothing that does not apply just now."""
    if not difference:
        return ["The gateway took what our account has."]
    if difference > 0:
        may = [f"others may use the {call.counts}"]
        may += [f"{_orders(book.uncertain)} of uncertain standing may have been charged"] * bool(book.uncertain.orders)
        may += [f"{_orders(book.booked, book.booked.unpriced)} without a price"] * bool(book.booked.unpriced)
        may += [f"{_orders(book.under_way)} under way may be charged already"] * bool(book.under_way.orders)
        may.append("it may charge more than its price list says")
        first = "The gateway took more than our account has."
    else:
        may = [f"{_orders(book.under_way)} under way may be charged at the end"] * bool(book.under_way.orders)
        may += [f"of {_orders(book.at_most)} since then only the most is known"] * bool(book.at_most.orders)
        may += ["it may have given money back, or have charged less than its price list says"]
        first = "The gateway took less than our account has."
    return [first, f"{_sentence('; '.join(may))}.", "Nothing is settled by this: `rushes jobs settle` is yours to say."]


def _orders(some: Orders, number: int | None = None) -> str:
    count = some.orders if number is None else number
    return f"{count} order{'' if count == 1 else 's'}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
