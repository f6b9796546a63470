"""Reads requests strictly: webargs itself lets NaN and repeated names pass, and fails on deep nesting."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Request, request
from flask_smorest import Blueprint, abort
from marshmallow import Schema, ValidationError, fields
from webargs import core
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from jobs.errors import BadRequest
from jobs.request import strict_json

LARGEST_BODY_BYTES = 256 * 1024


class StrictParser(FlaskParser):
    """JSON bodies by jobs.strict_json; another content type is refused, not taken for an empty body."""

    def _raw_load_json(self, req: Any) -> Any:
        return core.missing if (body := read_json(req)) is None else body

    def load_querystring(self, req: Any, schema: Schema) -> dict[str, Any]:
        """By name: a list for a field that takes several values, else the value."""
        several = {name for name, field in schema.fields.items() if isinstance(field, fields.List)}
        given: dict[str, Any] = {}
        twice: dict[str, list[str]] = {}
        for name, values in req.args.lists():
            given[name] = values if name in several else values[0]
            if name not in several and len(values) > 1:
                twice[name] = ["Given more than once; send it once."]
        if twice:  # which of them was meant, nobody knows
            raise ValidationError(twice)
        return given


class StrictBlueprint(Blueprint):
    """Views whose arguments are read strictly."""

    ARGUMENTS_PARSER = StrictParser()

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **options: Any
    ) -> None:
        """As flask-smorest's; a view that names no parameters takes none."""
        told = getattr(view_func, "_apidoc", {}).get("arguments", {}).get("parameters", [])
        if not any(each["in"] == "query" for each in told):
            view_func = _without_parameters(view_func)
        super().add_url_rule(rule, endpoint, view_func, *args, **options)

    def arguments(self, schema: type[Schema], **kwargs: Any) -> Any:
        """As flask-smorest's, with one schema for all requests: it would make a new one for each."""
        return super().arguments(schema(), **kwargs)


def _without_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if request.args:
            raise BadRequest({name: ["Unknown field; this takes no parameters."] for name in request.args})
        return view(*args, **kwargs)

    return checked


def read_json(request: Request) -> Any:
    """The body; None for an empty one. Ends the request with 400, 413 or 415 for what cannot be read."""
    # Holds while reading, too: a body in chunks declares no length. Werkzeug cuts such a one off in silence, and
    # only the byte beyond tells.
    request.max_content_length = LARGEST_BODY_BYTES + 1
    try:
        raw = request.get_data(cache=True)
    except RequestEntityTooLarge:
        raw = None
    if raw is None or len(raw) > LARGEST_BODY_BYTES:
        abort(413, message=f"At most {LARGEST_BODY_BYTES} bytes.")
    if not raw:
        return None
    if not request.is_json:
        abort(415, message="Send Content-Type: application/json.")
    try:
        return strict_json.loads(raw)
    except strict_json.BadJson as e:
        abort(400, message=str(e))
