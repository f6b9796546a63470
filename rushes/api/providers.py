"""The gateways over HTTP: what each can do, what it costs, and how it stands just now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from jobs.machine import breaker
from jobs.providers.base import Provider
from jobs.providers.client import Account
from jobs.reports.providers import overview
from jobs.ringer import Ringer
from jobs.settings import Settings
from jobs.store import lanes, waiting_jobs
from jobs.store.database import Database
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, NoApiKey, ProblemSchema, UnknownProvider
from rushes.api.schemas.providers import ProviderListSchema, ProviderSchema, RestSchema


@dataclass(frozen=True)
class ProvidersApi:
    """What these views work with."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database
    ringer: Ringer


def blueprint(api: ProvidersApi) -> Blueprint:
    """`/v1/providers`."""
    about = "The gateways: what each can do, what it costs, how it stands"
    routes = StrictBlueprint("providers", __name__, url_prefix="/v1/providers", description=about)
    unknown = {"schema": ProblemSchema, "content_type": MEDIA_TYPE, "description": "unknown_provider"}
    unconfigured = {**unknown, "description": "no_api_key"}

    @routes.get("")
    @routes.response(200, ProviderListSchema)
    def list_() -> ResponseReturnValue:
        """Every gateway, those without an API key included."""
        return answer({"data": _shown(api, api.providers)})

    @routes.get("/<name>")
    @routes.response(200, ProviderSchema)
    @routes.alt_response(404, **unknown)
    def show(name: str) -> ResponseReturnValue:
        """One gateway."""
        _known(api, name)
        return answer(_shown(api, {name: api.providers[name]})[0])

    @routes.post("/<name>/rest")
    @routes.arguments(RestSchema, location="json", as_kwargs=False, required=False, error_status_code=422)
    @routes.response(200, ProviderSchema)
    @routes.alt_response(404, **unknown)
    @routes.alt_response(409, **unconfigured)
    def rest(body: Mapping[str, Any], name: str) -> ResponseReturnValue:
        """Send no orders to a gateway for a while. What it has is asked about and fetched as before."""
        account = account_at(api, name)
        with api.database.write() as db:
            now = api.database.clock(db)
            lanes.rest(db, account, "submit", breaker.BY_HAND, body["seconds"], now=now)
        return answer(_shown(api, {name: api.providers[name]})[0])

    @routes.post("/<name>/resume")
    @routes.response(200, ProviderSchema)
    @routes.alt_response(404, **unknown)
    @routes.alt_response(409, **unconfigured)
    def resume(name: str) -> ResponseReturnValue:
        """End a gateway's rests: credit was bought, its address was mended. One order tries it first."""
        keys = [account_at(api, name), api.settings.previous_accounts.get(name)]
        with api.database.write() as db:
            for account in filter(None, keys):
                lanes.resume(db, account)
        with api.database.write() as db:
            waiting_jobs.wake_waiting(db, name, now=api.database.clock(db))
        api.ringer.sweep()
        return answer(_shown(api, {name: api.providers[name]})[0])

    return routes


def account_at(api: ProvidersApi, name: str) -> Account:
    """The key that a gateway is used with. Raises UnknownProvider, NoApiKey."""
    _known(api, name)
    account = api.settings.accounts.get(name)
    if account is None:
        raise NoApiKey(f"{name} has no API key here, so nothing is ordered there; set RUSHES_{name.upper()}_API_KEY.")
    return account


def _known(api: ProvidersApi, name: str) -> None:
    if name not in api.providers:
        raise UnknownProvider(f"No gateway {name[:40]!r}; there are {', '.join(sorted(api.providers))}.")


def _shown(api: ProvidersApi, providers: Mapping[str, Provider]) -> list[dict[str, Any]]:
    with api.database.read() as db:
        return overview(db, providers, api.settings, now=api.database.clock(db))
