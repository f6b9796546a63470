"""The gateways there are. A new one is a module, a line here and a folder of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.apiframe import APIFRAME
from jobs.providers.base import Provider
from jobs.providers.easyrouter import EASYROUTER
from jobs.providers.evolink import EVOLINK
from jobs.providers.gravitex import GRAVITEX
from jobs.providers.prices import operator_prices

PROVIDERS: dict[str, Provider] = {p.name: p for p in (AIVIDEOAPI, APIFRAME, EASYROUTER, GRAVITEX, EVOLINK)}


@dataclass(frozen=True)
class Terms:
    """On which terms an operator uses a gateway: what its pages do not say, or say otherwise.

    `usd_per_s` is keyed as `prices.operator_prices` reads it.
    """

    undocumented: frozenset[str] = frozenset()
    usd_per_s: Mapping[str, float] = field(default_factory=dict)
    usd_per_credit: float | None = None
    daily_usd: float | None = None  # None: no budget
    queries_per_s: float | None = None  # per key; None: the gateway's own pace


def on_terms(terms: Mapping[str, Terms]) -> dict[str, Provider]:
    """The gateways as this installation's operator uses them."""
    return {name: _on(provider, terms.get(name, Terms())) for name, provider in PROVIDERS.items()}


def _on(provider: Provider, terms: Terms) -> Provider:
    rate = provider.usd_per_credit if terms.usd_per_credit is None else terms.usd_per_credit
    prices = operator_prices(terms.usd_per_s, provider)
    pace = provider.polling.budget_per_s if terms.queries_per_s is None else terms.queries_per_s
    return replace(
        provider,
        undocumented=terms.undocumented,
        usd_per_s=prices,
        usd_per_credit=rate,
        polling=replace(provider.polling, budget_per_s=pace),
    )
