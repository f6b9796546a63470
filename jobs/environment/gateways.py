"""The gateways' keys and terms, and which of them are stand-ins."""

from __future__ import annotations

from collections.abc import Collection

from jobs.environment.reader import Reader
from jobs.providers.client import Account
from jobs.providers.prices import price_names
from jobs.providers.registry import PROVIDERS, Terms


def stand_ins(read: Reader) -> frozenset[str]:
    """The gateways whose base URL leads to a stand-in."""
    names = frozenset(w.strip() for w in (read.text("RUSHES_STAND_INS") or "").split(",") if w.strip())
    if strange := sorted(names - set(PROVIDERS)):
        read.fault(f"RUSHES_STAND_INS names {', '.join(strange)}; there are {', '.join(PROVIDERS)}.")
    for name in sorted(names & set(PROVIDERS)):
        if read.text(f"RUSHES_{name.upper()}_BASE_URL") is None:
            read.fault(f"RUSHES_STAND_INS names {name}; RUSHES_{name.upper()}_BASE_URL must say where its stand-in is.")
    return names


def accounts(read: Reader, suffix: str, stand_ins: Collection[str]) -> dict[str, Account]:
    found = {}
    for name, provider in PROVIDERS.items():
        key = read.text(f"RUSHES_{name.upper()}_{suffix}")
        base = read.url(f"RUSHES_{name.upper()}_BASE_URL", ("https", "http"), provider.base_url)
        if key is not None and (not key.isascii() or not key.isprintable() or " " in key):
            read.fault(f"RUSHES_{name.upper()}_{suffix} holds characters that no key has.")
        elif key is not None:
            found[name] = Account(name, (base or provider.base_url).rstrip("/"), key, name in stand_ins)
    return found


def terms(read: Reader, name: str) -> Terms:
    """What the operator says of one gateway beside its key."""
    prefix, provider = f"RUSHES_{name.upper()}", PROVIDERS[name]
    words = frozenset(w.strip() for w in (read.text(f"{prefix}_UNDOCUMENTED") or "").split(",") if w.strip())
    if strange := sorted(words - set(provider.switches)):
        known = ", ".join(provider.switches) or "nothing"
        read.fault(f"{prefix}_UNDOCUMENTED names {', '.join(strange)}; for {name} there is {known}.")
    return Terms(
        undocumented=words,
        usd_per_s=_prices(read, f"{prefix}_USD_PER_S", price_names(provider)),
        usd_per_credit=read.amount(f"{prefix}_USD_PER_CREDIT", "0.005"),
        daily_usd=read.amount(f"{prefix}_DAILY_USD", "50"),
        queries_per_s=read.pace(f"{prefix}_QUERIES_PER_S", f"{provider.polling.budget_per_s:g}"),
    )


def _prices(read: Reader, variable: str, names: Collection[str]) -> dict[str, float]:
    prices: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in (read.text(variable) or "").split(","))):
        name, _, price = part.partition("=")
        try:
            prices[name.strip()] = float(price)
            if name.strip() not in names or not 0 <= prices[name.strip()] < 1e6:
                raise ValueError
        except ValueError:
            read.fault(f"{variable} has {part!r}; example: {variable}=720p=0.10,1080p=0.15,video-edit/1080p=0.30")
    return prices
