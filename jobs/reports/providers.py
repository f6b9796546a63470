"""The gateways as people and programs look them up: what each one can do, by its tables, and how it stands just now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from jobs.machine.breaker import Lane, LaneName
from jobs.machine.times import iso
from jobs.providers.base import Provider
from jobs.providers.capabilities import Ability, Length, Text
from jobs.providers.client import Account
from jobs.providers.prices import cheapest_usd, price_list
from jobs.reports import callbacks
from jobs.reports.callbacks import Ends
from jobs.request.fields import FIELDS, Field, LengthField, NumberField, TextField
from jobs.request.generation import DEFAULT_MODEL, Kind
from jobs.settings import Settings
from jobs.store import availability, lanes, orders_out, spending, unknown_words, waiting_jobs
from jobs.store.lanes import LANES
from jobs.store.orders_out import Look


class Known(NamedTuple):
    """What was read of all gateways at once: lanes; and of one its unknown words, and how many jobs it holds up."""

    lane: Callable[[Account, LaneName], Lane]
    words: Mapping[str, int]
    held_up: int


def overview(
    db: Connection, providers: Mapping[str, Provider], settings: Settings, *, now: datetime
) -> list[dict[str, Any]]:
    """Every gateway there is; those that have a key with their status, and how ends were heard of in the last day."""
    statuses = statuses_of(db, providers, settings, now=now)
    heard = callbacks.of_last_day(db, keep_d=settings.keep_callbacks_d, now=now)
    found = []
    for name, provider in providers.items():
        told = describe(provider)
        if name not in statuses:
            found.append({**told, "configured": False, **_both_words(None)})
        else:
            stands = {**statuses[name], "last_day": heard.get(name, Ends()).as_json()}
            address = settings.accounts[name].base_url
            found.append({**told, "base_url": address, "configured": True, **_both_words(stands)})
    return found


def statuses_of(
    db: Connection, providers: Mapping[str, Provider], settings: Settings, *, now: datetime
) -> dict[str, dict[str, Any]]:
    """How each gateway that has a key stands just now, by its name."""
    words, held_up, lane = unknown_words.seen(db), waiting_jobs.held_up(db), lanes.every(db)
    return {
        name: status(
            db,
            provider,
            settings.accounts[name],
            settings,
            Known(lane, words.get(name, {}), held_up.get(name, 0)),
            now=now,
        )
        for name, provider in providers.items()
        if name in settings.accounts
    }


def describe(provider: Provider) -> dict[str, Any]:
    """What a gateway can do and what it costs, as JSON values. Pure.

    What the operator has turned on and priced shows, where `provider` is on its operator's terms.
    """
    calls = provider.callbacks
    return {
        "name": provider.name,
        "base_url": provider.base_url,
        "credit": provider.credit,
        "usd_per_credit": provider.usd_per_credit,
        "callbacks": calls
        and {
            "https_only": calls.https_only,
            "signed": calls.signed,
            "tries": calls.tries,
            "longest_url": calls.longest_url,
        },
        "idempotency": {"header": provider.idempotency_header, "life_s": provider.idempotency_life_s}
        if provider.idempotency_header
        else None,
        "polling": {
            "first_s": provider.polling.first_s,
            "then_s": provider.polling.then_s,
            "budget_per_s": provider.polling.budget_per_s,
        },
        "task_life_s": provider.task_life_s,
        "link_life_s": provider.link_life_s,
        "refunds_failures": provider.refunds_failures,
        "tells_balance": provider.balance_call and provider.balance_call.counts,
        "switches": {
            word: {"what": what, "on": word in provider.undocumented} for word, what in provider.switches.items()
        },
        "modes": _modes(DEFAULT_MODEL, provider),
        "models": {model: _modes(model, provider) for model in provider.models},
    }


def status(
    db: Connection,
    provider: Provider,
    account: Account,
    settings: Settings,
    known: Known,
    *,
    now: datetime,
) -> dict[str, Any]:
    """How a gateway's key stands just now. `obstacle`: what keeps even its cheapest order from going; None: nothing."""
    found = {name: known.lane(account, name) for name in LANES}
    previous = settings.previous_accounts.get(provider.name)
    previous_query = _pause(known.lane(previous, "query"), now) if previous else None
    out = orders_out.out(db, account, found["submit"], settings, now=now)
    looked = Look(found["submit"], out, now)
    hindered = availability.obstacle(db, account, cheapest_usd(provider), settings, looked)
    return {
        "obstacle": hindered and {"code": hindered.code, "reason": hindered.reason, "seconds": round(hindered.wait_s)},
        "paused": {name: _pause(lane, now) for name, lane in found.items()} | {"previous_query": previous_query},
        "in_flight": out.in_flight,
        "max_in_flight": settings.max_in_flight,
        "unanswered": out.unanswered,
        "max_unconfirmed": settings.max_unconfirmed,
        "holds_up": known.held_up,
        "budget": _budget(db, account, settings.terms[provider.name].daily_usd, now),
        "unknown_words": dict(known.words),
    }


def _both_words(found: dict[str, Any] | None) -> dict[str, Any]:
    """`standing`, the word of earlier answers, is going: elsewhere it is of money alone."""
    return {"status": found, "standing": found}


def _modes(model: str, provider: Provider) -> dict[str, Any]:
    return {mode.value: _ability((model, mode), provider) for mode in provider.modes(model)}


def _ability(kind: Kind, provider: Provider) -> dict[str, Any]:
    ability = provider.abilities[kind]
    return {
        "model": ability.model,
        "media": [
            {
                "needs": list(each.needs),
                "may": list(each.may),
                "undocumented": each.undocumented,
                "on": provider.offers(each),
            }
            for each in ability.media
        ],
        "counts": [{"types": list(c.types), "most": c.most, "beyond": c.beyond.value} for c in ability.counts],
        **{field.offered_as: _offer(field, ability) for field in FIELDS},
        "unasked_ratio": ability.unasked_ratio,
        "voices": ability.voices.value,
        "files": dict(ability.files),
        "price_per_s": {
            size: {"credits": second.credits, "usd": second.usd} for size, second in price_list(provider, kind).items()
        },
        "input_is_billed": ability.input_is_billed,
    }


def _offer(field: Field, ability: Ability) -> Any:
    offer = ability.offer(field)
    match field:
        case TextField():
            return _text(offer)
        case LengthField():
            return offer and _length(offer)
        case NumberField():
            least, most = offer
            return {"least": least, "most": most}
    return list(offer)


def _length(rule: Length) -> dict[str, Any]:
    return {
        "least": rule.least,
        "most": rule.most,
        "whole_input": rule.whole_input,
        "most_with": dict(rule.most_with),
    }


def _text(rule: Text) -> dict[str, Any]:
    unit = "UTF-16 code units" if rule.utf16 else "characters"
    return {"longest": rule.longest, "unit": unit, "required": rule.required, "beyond": rule.beyond.value}


def _pause(lane: Lane, now: datetime) -> dict[str, Any] | None:
    """A lane that is not well: it rests, or its rest is over (`seconds` 0) and one order or question is to try it."""
    if lane.is_well:
        return None
    return {
        "reason": lane.reason,
        "since": iso(lane.since),
        "until": iso(lane.until),
        "seconds": round(lane.rests_s(now)),
    }


def _budget(db: Connection, account: Account, daily_usd: float | None, now: datetime) -> dict[str, Any] | None:
    if daily_usd is None:
        return None
    day = spending.day_of(now)
    spent_usd, uncertain_usd = (
        told(db, account.provider, day) for told in (spending.spent_usd, spending.uncertain_usd)
    )
    return {"daily_usd": daily_usd, "spent_usd": spent_usd, "uncertain_usd": uncertain_usd, "day": day}
