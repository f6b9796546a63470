"""API keys: the one that is signed in, and how others are made."""

from __future__ import annotations

from flask import Blueprint, g, render_template
from flask.typing import ResponseReturnValue

from rushes.console.door import Door

# What a key of each scope may, as `rushes keys create` says it.
SCOPES = {
    "read": "look at everything",
    "write": "also order, cancel, retry, settle and send again",
    "admin": "also let gateways rest, and resume them",
}


def add(routes: Blueprint, door: Door) -> None:
    """`/console/keys`."""

    @routes.get("/keys")
    def keys() -> ResponseReturnValue:
        own, scopes = g.service.get("/v1/key"), list(SCOPES)
        may = [SCOPES[scope] for scope in scopes[: scopes.index(own["scope"]) + 1]]  # each may what those before it may
        return render_template("console/keys.html", said=door.said(), own=own, may=may)
