"""A gateway's view (jobs/reports/providers.py) in words, for terminals and for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.request.fields import FIELDS, ChoiceField, Field, LengthField, NumberField, TextField
from jobs.request.generation import DEFAULT_MODEL, Mode

View = Mapping[str, Any]

_VOICES = {
    "none": "–",
    "one": "one, the main character's",
    "in_order": "of the first references, in their order",
    "each": "one inside each reference",
}


def dollars(usd: float | None) -> str | None:
    """An amount with cents, and with as many more digits as it has; None stays None."""
    if usd is None:
        return None
    whole, _, part = f"{usd:,.6f}".partition(".")
    return f"${whole}.{part[:2]}{part[2:].rstrip('0')}"


def credits(amount: float, unit: str) -> str:
    """An amount in a gateway's own unit."""
    return f"{amount:,.10g} {unit}{'s' if unit.isalpha() or ' ' in unit else ''}"


def facts(gateway: View) -> dict[str, str]:
    """What holds of a gateway in every mode."""
    calls, idempotency, polling = gateway["callbacks"], gateway["idempotency"], gateway["polling"]
    return {
        "callbacks": "none" if calls is None else _callbacks(calls),
        "idempotency key": "none"
        if idempotency is None
        else f"{idempotency['header']}, used for {_hours(idempotency['life_s'])}",
        "queries": f"first after {polling['first_s']:g} s, then every {polling['then_s']:g} s;"
        f" at most {polling['budget_per_s']:g} a second and key",
        "a task lives": _hours(gateway["task_life_s"]),
        "a link lives": _hours(gateway["link_life_s"]),
        "unit of money": _unit(gateway),
        "balance": f"told, with the use of the {gateway['tells_balance']}"
        if gateway.get("tells_balance")
        else "not told",
        "money of a failed task": "comes back" if gateway["refunds_failures"] else "uncertain",
    }


def modes(gateway: View) -> str:
    """The modes it serves, in few words."""
    lacking = [mode for mode in Mode if mode.value not in gateway["modes"]]
    if not lacking:
        return "all"
    if len(lacking) == 1:
        return f"all but {_short(lacking[0])}"
    return ", ".join(_short(mode) for mode in Mode if mode not in lacking)


def price_span(gateway: View, size: str) -> str | None:
    """What a second costs, over all modes: in US dollars where known, else in credits; None: not published."""
    prices = [mode["price_per_s"].get(size, {}) for mode in gateway["modes"].values()]
    usd = sorted({price["usd"] for price in prices if price.get("usd") is not None})
    if usd:
        return "–".join(str(dollars(amount)) for amount in dict.fromkeys((usd[0], usd[-1])))
    units = sorted({price["credits"] for price in prices if price.get("credits") is not None})
    if not units:
        return None
    least = f"{units[0]:,.10g}–" if len(units) > 1 else ""
    return least + credits(units[-1], gateway["credit"])


def kinds(gateway: View) -> dict[str, View]:
    """What it makes, by a title: the mode, and before it the model, where that is not the default one."""
    return {
        mode if model == DEFAULT_MODEL else f"{model} {mode}": about
        for model, modes in gateway["models"].items()
        for mode, about in modes.items()
    }


def ability(mode: View, gateway: View) -> dict[str, str]:
    """What a gateway takes and makes in one mode."""
    return {
        "model": mode["model"],
        "media": "; or ".join(map(_media, mode["media"])),
        "at most": "; ".join(map(_count, mode["counts"])) or "–",
        "voices": _VOICES[mode["voices"]],
        **{field.name: _offer(field, mode) for field in FIELDS if not _is_priced(field)},
        **{f"{size}, per second": _price(price, gateway) for size, price in mode["price_per_s"].items()},
        "input videos are billed": "yes" if mode["input_is_billed"] else "no",
        "files": "; ".join(f"{kind}: {what.replace('; ', ', ')}" for kind, what in mode["files"].items()) or "–",
    }


def misfit(fault: View) -> str:
    """Why a gateway cannot make a video, as a dry run tells it."""
    if fault["given"] is None:
        return f"{fault['field']} is missing: it wants {fault['allowed']}"
    given = str(fault["given"]).lower() if isinstance(fault["given"], bool) else fault["given"]
    return f"{fault['field']} {given}: it allows {fault['allowed']}"


def _short(mode: Mode) -> str:
    return mode.value.removesuffix("-to-video").removeprefix("video-")


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h"


def _unit(gateway: View) -> str:
    if gateway["usd_per_credit"] == 1:
        return "the US dollar"
    worth = dollars(gateway["usd_per_credit"])
    return f"{gateway['credit']}, {f'worth {worth}' if worth else 'its worth is not published'}"


def _callbacks(calls: View) -> str:
    kind = "https only" if calls["https_only"] else "http or https"
    return f"{kind}, {'signed' if calls['signed'] else 'not signed'}; tries: {calls['tries'].replace(': ', ', ', 1)}"


def _media(each: View) -> str:
    needs, may = " with ".join(each["needs"]), ", ".join(each["may"])
    if needs:
        words = f"{needs}, if wanted with {may}" if may else needs
    else:
        words = "none" if not may else f"any of {may}" if len(each["may"]) > 1 else f"{may} if wanted"
    if each["undocumented"]:
        words += f" (switch {each['undocumented']}: {'on' if each['on'] else 'off'})"
    return words


def _count(count: View) -> str:
    more = "; more would be dropped in silence" if count["beyond"] == "altered" else ""
    return f"{count['most']} {' and '.join(count['types'])}{more}"


def _is_priced(field: Field) -> bool:
    return isinstance(field, ChoiceField) and field.priced


def _offer(field: Field, mode: View) -> str:
    """What can be said in a field of the request."""
    offer = mode[field.offered_as]
    match field:
        case TextField():
            return _text(offer) + ("" if field.optional or offer["required"] else "; may be left out")
        case LengthField():
            return "as the input" if offer is None else _length(offer)
        case NumberField():
            return f"{offer['least']} to {offer['most']}"
        case ChoiceField():
            return _choice(field, mode)
    raise TypeError(f"no words for a {type(field).__name__}")


def _text(rule: View) -> str:
    cut = "; more would be cut in silence" if rule["beyond"] == "altered" else ""
    return f"{rule['longest']} {rule['unit']}{cut}"


def _length(rule: View) -> str:
    words = f"{'0 or ' if rule['whole_input'] else ''}{rule['least']} to {rule['most']} s"
    narrower = [f"to {most} s with a {kind}" for kind, most in rule["most_with"].items()]
    return "; ".join([words, *narrower])


def _choice(field: ChoiceField, mode: View) -> str:
    values = mode[field.offered_as]
    listed = field.in_words.get(tuple(values)) or ", ".join(map(str, values)) or "–"
    return f"{listed}; unasked: {mode[field.unasked]}" if field.unasked and values else listed


def _price(price: View, gateway: View) -> str:
    if price["credits"] is None and price["usd"] is None:
        return "not published"
    own = None if price["credits"] is None else credits(price["credits"], gateway["credit"])
    if price["usd"] is None:
        return str(own)
    plain = own is None or gateway["usd_per_credit"] == 1
    return str(dollars(price["usd"])) if plain else f"{dollars(price['usd'])} ({own})"
