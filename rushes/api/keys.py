"""API keys over HTTP: the one that asks; and, for one that administers, all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate
from sqlalchemy import RowMapping

from jobs.errors import BadRequest, UnknownKey
from jobs.intake import api_keys, new_jobs
from jobs.intake.api_keys import LiveKey, Scope
from jobs.machine.times import iso
from jobs.request.schema import Strict, Text, Url
from jobs.settings import Settings
from jobs.store.database import Database
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema
from rushes.api.schemas.base import Answer
from storage.outbound.guard import masked

SCOPES = [scope.value for scope in Scope]
WHERE_NOTICES_GO = "Where notices of its jobs go that name no other place"
TIMES = ("created_at", "last_used_at", "revoked_at")


class OwnKeySchema(Answer):
    id = fields.String(metadata={"description": "What histories name it by."})
    name = fields.String()
    scope = fields.String(validate=validate.OneOf(SCOPES))


class KeySchema(OwnKeySchema):
    notify_url = fields.String(
        allow_none=True, metadata={"description": f"{WHERE_NOTICES_GO}, without what opens it; null: none."}
    )
    created_at = fields.String()
    last_used_at = fields.String(allow_none=True, metadata={"description": "To the minute; null: it never was."})
    revoked_at = fields.String(allow_none=True, metadata={"description": "null: it is live."})


class KeyListSchema(Answer):
    data = fields.List(fields.Nested(KeySchema))


class NewKeySchema(KeySchema):
    key = fields.String(metadata={"description": "The key itself. It is shown this once, and kept as a digest only."})


class KeyRequestSchema(Strict):
    """A key that is asked for."""

    name = Text(required=True, metadata={"description": "Whose it is. Several keys may have the same name."})
    scope = fields.String(
        load_default=Scope.WRITE.value,
        validate=validate.OneOf(SCOPES, error="Knows no {input}; choose from {choices}."),
        metadata={"description": "read: look at everything. write: also order, cancel, retry. admin: also administer."},
    )
    notify_url = Url(metadata={"description": f"{WHERE_NOTICES_GO}."})


def blueprint(database: Database, settings: Settings) -> Blueprint:
    """`/v1/key` and `/v1/keys`."""
    routes = StrictBlueprint("keys", __name__, url_prefix="/v1", description="API keys, by which callers are known")
    unknown = {"schema": ProblemSchema, "content_type": MEDIA_TYPE, "description": "unknown_key"}

    @routes.get("/key")
    @routes.response(200, OwnKeySchema)
    def show() -> ResponseReturnValue:
        """Whose key this is, and what it may do."""
        key: LiveKey = g.api_key
        return {"id": key.id, "name": key.name, "scope": key.scope.value}

    @routes.get("/keys")
    @routes.response(200, KeyListSchema)
    def list_() -> ResponseReturnValue:
        """All keys, revoked ones too, the oldest first; what is kept of them tells none."""
        with database.read() as db:
            return {"data": [_shown(row) for row in api_keys.every(db)]}

    @routes.post("/keys")
    @routes.arguments(KeyRequestSchema, as_kwargs=False)
    @routes.response(201, NewKeySchema, description="The key is in the answer, and never shown again.")
    def create(body: Mapping[str, Any]) -> ResponseReturnValue:
        """Make a key."""
        name, notify_url = body["name"].strip(), body.get("notify_url")
        if not api_keys.is_name(name):
            raise BadRequest({"name": [f"{api_keys.NAMES.capitalize()}."]})
        if notify_url is not None:
            new_jobs.check_notify_url(notify_url, settings)
        key_id, key = api_keys.create(database, name, Scope(body["scope"]), notify_url=notify_url)
        return {**_find(key_id), "key": key}

    @routes.post("/keys/<key_id>/revoke")
    @routes.response(200, KeySchema, description="It is refused from now on. Jobs that were ordered with it go on.")
    @routes.alt_response(404, **unknown)
    def revoke(key_id: str) -> ResponseReturnValue:
        """Take a key back, at once and for good; that the one that asks is its own is no hindrance."""
        if not api_keys.revoke(database, key_id):
            raise UnknownKey(f"No live key {key_id!r}; ids look like key_01K8Z3V0QWERTYUIOPASDFGHJK.")
        return _find(key_id)

    def _find(key_id: str) -> dict[str, Any]:
        with database.read() as db:
            return next(_shown(row) for row in api_keys.every(db) if row["id"] == key_id)

    return routes


def _shown(row: RowMapping) -> dict[str, Any]:
    times = {name: row[name] and iso(row[name]) for name in TIMES}
    return {**row, **times, "notify_url": row["notify_url"] and masked(row["notify_url"])}
