"""API keys: the one that is signed in; for one that administers, all of them, to make more and to revoke."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rushes.console import acts
from rushes.console.door import Door

# What a key of each scope may, as `rushes keys create` says it.
SCOPES = {
    "read": "look at everything",
    "write": "also order, cancel, retry, settle and send again",
    "admin": "also let gateways rest and resume them, make keys and revoke them",
}


def add(routes: Blueprint, door: Door) -> None:
    """`/console/keys`, and its forms."""

    def page(said: dict[str, Any] | None, made: dict[str, Any] | None = None) -> str:
        own, scopes = g.service.get("/v1/key"), list(SCOPES)
        may = [SCOPES[scope] for scope in scopes[: scopes.index(own["scope"]) + 1]]  # each may what those before it may
        every = g.service.get("/v1/keys")["data"] if g.visitor.is_operator else None
        return render_template(
            "console/keys.html", said=said, own=own, may=may, every=every, made=made, scopes=SCOPES, asked=request.form
        )

    @routes.get("/keys")
    def keys() -> ResponseReturnValue:
        return page(door.said())

    @routes.post("/keys")
    def make_key() -> ResponseReturnValue:
        """The answer itself shows the key: nothing keeps it for another page."""
        wanted = {"name": request.form.get("name", ""), "scope": request.form.get("scope", "")}
        if notify_url := request.form.get("notify_url", "").strip():
            wanted["notify_url"] = notify_url
        told, reply = acts.attempt(lambda: g.service.post("/v1/keys", wanted), lambda _: "The key is made.")
        return page(told, reply.data if reply else None), reply.status if reply else 422

    @routes.post("/keys/<key_id>/revoke")
    def revoke_key(key_id: str) -> ResponseReturnValue:
        return acts.done(
            door,
            lambda: g.service.post(f"/v1/keys/{key_id}/revoke"),
            lambda reply: f"{reply.data['name']}'s key is revoked.",
            url_for("console.keys"),
        )
