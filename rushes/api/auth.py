"""Who is calling: `Authorization: Bearer rk_…`, checked before any body is read."""

from __future__ import annotations

from flask import Flask, g, request
from flask_smorest import abort

from jobs import api_keys
from jobs.database import Database


def install(app: Flask, database: Database) -> None:
    """Ask for a key on everything below /v1."""

    @app.before_request
    def check_key() -> None:
        if not request.path.startswith("/v1/"):
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            abort(401, message="Send Authorization: Bearer rk_…; `rushes keys create NAME` makes a key.")
        with database.read() as db:
            key_id = api_keys.find(db, key.strip())
        if key_id is None:
            abort(401, message="This key is unknown or revoked.")
        g.api_key_id = key_id
