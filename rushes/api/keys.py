"""API keys over HTTP: the one that asks."""

from __future__ import annotations

from flask import g
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate

from jobs.intake.api_keys import LiveKey, Scope
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.schemas.base import Answer


class OwnKeySchema(Answer):
    id = fields.String(metadata={"description": "What histories name it by."})
    name = fields.String()
    scope = fields.String(validate=validate.OneOf([s.value for s in Scope]))


def blueprint() -> Blueprint:
    """`/v1/key`."""
    routes = StrictBlueprint("keys", __name__, url_prefix="/v1/key", description="The API key that asks")

    @routes.get("")
    @routes.response(200, OwnKeySchema)
    def show() -> ResponseReturnValue:
        """Whose key this is, and what it may do."""
        key: LiveKey = g.api_key
        return {"id": key.id, "name": key.name, "scope": key.scope.value}

    return routes
