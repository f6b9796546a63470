"""Who is calling, and what they may do: `Authorization: Bearer rk_…`, checked before any body is read.

The pages for people also take the key as HTTP Basic, so that a browser can ask for it. Nothing else does: a browser
sends what it has kept by itself, whoever's page makes the request. The console, whose pages know a person by a session,
asks inside the process and names the session's key (`ASKED_FOR`): it is looked up like any other, and may the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from flask import Flask, g, request
from flask_smorest import abort

from jobs.environment.callers import Network
from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.intake.key_uses import KeyUses
from jobs.store.database import Database
from rushes.api.edge.limits import KeyLimits
from rushes.api.edge.wrong_keys import WrongKeys, source_of

# Blueprints that need no key: health; the receiver, whose paths hold a token; and the console, which asks for a session
# by itself, and whose every datum comes through this door. All that is added later needs one.
OPEN = frozenset({"health", "webhooks", "console"})
# Where the console puts the id of the key that it asks for: no header that is sent to us can be called so.
ASKED_FOR = "rushes.asked_for"
# Endpoints that a browser shows, by blueprint: the way to the reference, it, and the document that it reads.
FOR_BROWSERS = frozenset({"start", "docs", "api-docs"})
# What changes the service for everybody's jobs, and who may ask for any.
OF_OPERATORS = frozenset({"providers.rest", "providers.resume", "keys.list_", "keys.create", "keys.revoke"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
refuse: Callable[..., NoReturn] = abort  # which has no types
NO_KEY = "Send Authorization: Bearer rk_…; `rushes keys create NAME` makes a key."
ASK_BROWSER = {"WWW-Authenticate": 'Basic realm="Rushes: an API key as password", charset="UTF-8"'}


@dataclass(frozen=True)
class Door:
    """What is counted at the door. `trusted`: the proxies that are believed about where a request came from."""

    uses: KeyUses
    limits: KeyLimits
    wrong_keys: WrongKeys
    trusted: tuple[Network, ...]


def install(app: Flask, database: Database, door: Door) -> None:
    """Ask for a key on every route but the open ones, count its requests, and ask for the scope of the operation."""

    @app.before_request
    def check_key() -> None:
        if _is_open():
            return
        challenge = ASK_BROWSER if request.blueprint in FOR_BROWSERS else {}
        key_id: str | None = request.environ.get(ASKED_FOR)
        key = _basic_key() if challenge else None
        key = key or _bearer_key()
        if key_id is None and key is None:
            refuse(401, message=NO_KEY, headers=challenge)
        with database.read() as db:
            found = api_keys.find(db, key or "") if key_id is None else api_keys.find_by_id(db, key_id)
        if found is None and key_id is not None:  # nobody guessed it: it was live when its session began
            refuse(401, message="This key was revoked.")
        if found is None:
            door.wrong_keys.note(source_of(request.environ, door.trusted))
            refuse(401, message="This key is unknown or revoked.", headers=challenge)
        door.limits.take(found.id)
        needed = _needed_scope()
        if request.url_rule is not None and not found.scope.covers(needed):
            refuse(403, message=_forbidden(found.scope, needed), headers=_challenge(needed))
        g.api_key, g.api_key_id, g.may_order = found, found.id, found.scope.covers(Scope.WRITE)
        door.uses.note(found.id)


def _needed_scope() -> Scope:
    if request.endpoint in OF_OPERATORS:
        return Scope.ADMIN
    return Scope.READ if request.method in READING else Scope.WRITE


def _bearer_key() -> str | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _basic_key() -> str | None:
    """The key as password or as user name: browsers and curl differ in which of the two may be left empty."""
    sent = request.authorization
    if sent is None or sent.type != "basic":
        return None
    return next((text for text in (sent.password, sent.username) if text and text.startswith(api_keys.PREFIX)), None)


def _is_open() -> bool:
    if request.url_rule is None:  # nothing is served there; a gateway that calls back in a wrong way may know it
        return request.path.startswith("/webhooks/")
    return request.blueprint in OPEN or (request.blueprint == "start" and wants_pages())


def wants_pages() -> bool:
    """Whether it is a browser that asks, for a page: programs name no HTML."""
    return "text/html" in request.headers.get("Accept", "")


def _forbidden(has: Scope, needed: Scope) -> str:
    hint = f"`rushes keys create NAME --scope {needed}` makes one that may"
    return f"This needs a key of scope {needed}; this one has scope {has}. {hint}."


def _challenge(needed: Scope) -> dict[str, str]:
    return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}  # RFC 6750, section 3.1
