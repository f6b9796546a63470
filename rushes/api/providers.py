"""The gateways over HTTP: what each can do, what it costs, and how it stands just now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from jobs.providers.base import Provider
from jobs.reports.providers import overview
from jobs.settings import Settings
from jobs.store.database import Database
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema, UnknownProvider
from rushes.api.schemas.providers import ProviderListSchema, ProviderSchema


@dataclass(frozen=True)
class ProvidersApi:
    """What these views work with."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database


def blueprint(api: ProvidersApi) -> Blueprint:
    """`/v1/providers`."""
    about = "The gateways: what each can do, what it costs, how it stands"
    routes = StrictBlueprint("providers", __name__, url_prefix="/v1/providers", description=about)
    unknown = {"schema": ProblemSchema, "content_type": MEDIA_TYPE, "description": "unknown_provider"}

    @routes.get("")
    @routes.response(200, ProviderListSchema)
    def list_() -> ResponseReturnValue:
        """Every gateway, those without an API key included."""
        return {"data": _shown(api, api.providers)}

    @routes.get("/<name>")
    @routes.response(200, ProviderSchema)
    @routes.alt_response(404, **unknown)
    def show(name: str) -> ResponseReturnValue:
        """One gateway."""
        if name not in api.providers:
            raise UnknownProvider(f"No gateway {name[:40]!r}; there are {', '.join(sorted(api.providers))}.")
        return _shown(api, {name: api.providers[name]})[0]

    return routes


def _shown(api: ProvidersApi, providers: Mapping[str, Provider]) -> list[dict[str, Any]]:
    with api.database.read() as db:
        return overview(db, providers, api.settings, now=api.database.clock(db))
