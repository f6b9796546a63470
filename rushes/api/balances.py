"""A gateway's account over HTTP: asked when somebody wants to know, and held against ours."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from jobs.providers import credit_balance
from jobs.providers.base import BalanceCall, CreditBalance, Provider
from jobs.providers.client import Account, ProviderClient
from jobs.reports.credit_balance import held_against
from jobs.store import credit_balances
from jobs.store.credit_balances import Asked
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, AskedLately, NoBalance, ProblemSchema
from rushes.api.providers import ProvidersApi, account_at
from rushes.api.schemas.providers import BalanceSchema

ASK_EVERY_S = 5  # a gateway, by this process: far below what its queries may


class Turns:
    """Lets a gateway be asked by one at a time, and not at once again. Safe for threads."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._lock = monotonic, threading.Lock()
        self._free_at: dict[str, float] = {}  # never, while it is being asked

    @contextmanager
    def take(self, name: str) -> Iterator[None]:
        """Raises AskedLately."""
        with self._lock:
            wait_s = self._free_at.get(name, -math.inf) - self._monotonic()
            if wait_s > 0:
                soon = ASK_EVERY_S if wait_s == math.inf else math.ceil(wait_s)
                raise AskedLately(f"{name} was asked a moment ago; ask again in {soon} s.", soon)
            self._free_at[name] = math.inf
        try:
            yield
        finally:
            self._free_at[name] = self._monotonic() + ASK_EVERY_S


def blueprint(api: ProvidersApi) -> Blueprint:
    """`/v1/providers/<name>/balance`."""
    about = "The gateways' accounts, held against ours"
    routes = StrictBlueprint("balances", __name__, url_prefix="/v1/providers", description=about)
    problem = {"schema": ProblemSchema, "content_type": MEDIA_TYPE}
    turns = Turns()

    @routes.post("/<name>/balance")
    @routes.response(200, BalanceSchema)
    @routes.alt_response(404, **problem, description="unknown_provider")
    @routes.alt_response(409, **problem, description="no_api_key, or no_balance: its pages name no such call")
    @routes.alt_response(429, **problem, description="asked_lately, or rate_limited")
    @routes.alt_response(502, **problem, description="balance_unknown: it did not tell; the detail says what to do")
    def ask(name: str) -> ResponseReturnValue:
        """Ask a gateway what is left, and hold what was used since the last asking against our account.

        The difference is shown, with what may explain it. It settles nothing: others may use the key.
        """
        account = account_at(api, name)
        provider, call = _telling(api, name)
        with turns.take(name):
            told = _ask(api, provider, account, call)
            return answer(_held(api, provider, account, call, told))

    return routes


def _telling(api: ProvidersApi, name: str) -> tuple[Provider, BalanceCall]:
    """Raises NoBalance."""
    provider = api.providers[name]
    if provider.balance_call is None:
        tell = " and ".join(sorted(each.name for each in api.providers.values() if each.balance_call))
        raise NoBalance(f"{name} documents no call that tells its balance; look in its console. {tell} tell theirs.")
    return provider, provider.balance_call


def _ask(api: ProvidersApi, provider: Provider, account: Account, call: BalanceCall) -> CreditBalance:
    client = ProviderClient(allow_private=api.settings.allow_private_addresses)
    try:
        return credit_balance.ask(client, provider, account, call, deadline_s=api.settings.query_deadline_s)
    finally:
        client.close()


def _held(
    api: ProvidersApi, provider: Provider, account: Account, call: BalanceCall, told: CreditBalance
) -> dict[str, object]:
    """The answer; what was told now is the base of the next asking."""
    whose = (provider.name, account.fingerprint)
    with api.database.write() as db:
        before = credit_balances.last(db, *whose)
        since = None if before is None else before.asked_at
        of_key = account.fingerprint if call.counts == "key" else None
        book = credit_balances.book(db, provider.name, of_key, since=since)
        now = Asked(api.database.clock(db), told.used, book.booked.credits / call.worth)
        credit_balances.keep(db, *whose, now)
    return held_against(provider, call, told, book, now, before)
