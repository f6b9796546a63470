"""Who is calling, and what they may do: `Authorization: Bearer rk_…`, checked before any body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from flask import Flask, g, request
from flask_smorest import abort

from jobs import api_keys
from jobs.api_keys import Scope
from jobs.database import Database
from jobs.key_uses import KeyUses

# Blueprints that need no key: health, and the receiver, whose paths hold a token. All that is added later needs one.
OPEN = frozenset({"health", "webhooks"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
refuse: Callable[..., NoReturn] = abort  # which has no types
NO_KEY = "Send Authorization: Bearer rk_…; `rushes keys create NAME` makes a key."


def install(app: Flask, database: Database, uses: KeyUses) -> None:
    """Ask for a key on every route but the open ones, and for the scope that the method needs."""

    @app.before_request
    def check_key() -> None:
        if _is_open():
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            refuse(401, message=NO_KEY)
        with database.read() as db:
            found = api_keys.find(db, key.strip())
        if found is None:
            refuse(401, message="This key is unknown or revoked.")
        needed = Scope.READ if request.method in READING else Scope.WRITE
        if request.url_rule is not None and not found.scope.covers(needed):
            refuse(403, message=_forbidden(found.scope, needed), headers=_challenge(needed))
        g.api_key_id = found.id
        uses.note(found.id)


def _is_open() -> bool:
    if request.url_rule is None:  # nothing is served there; a gateway that calls back in a wrong way may know it
        return request.path.startswith("/webhooks/")
    return request.blueprint in OPEN


def _forbidden(has: Scope, needed: Scope) -> str:
    hint = f"`rushes keys create NAME --scope {needed}` makes one that may"
    return f"This needs a key of scope {needed}; this one has scope {has}. {hint}."


def _challenge(needed: Scope) -> dict[str, str]:
    return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}  # RFC 6750, section 3.1
