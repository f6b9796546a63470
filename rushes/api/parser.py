"""Reads requests strictly: webargs itself lets NaN and repeated names pass, and fails on deep nesting."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint, abort
from webargs import core
from webargs.flaskparser import FlaskParser

from jobs import strict_json

LARGEST_BODY_BYTES = 256 * 1024


class StrictParser(FlaskParser):
    """JSON bodies by jobs.strict_json; another content type is refused, not taken for an empty body."""

    def _raw_load_json(self, req: Any) -> Any:
        if (req.content_length or 0) > LARGEST_BODY_BYTES:
            abort(413, message=f"At most {LARGEST_BODY_BYTES} bytes.")
        raw = req.get_data(cache=True)
        if raw and not req.is_json:
            abort(415, message="Send Content-Type: application/json.")
        if not raw:
            return core.missing
        try:
            return strict_json.loads(raw)
        except strict_json.BadJson as e:
            abort(400, message=str(e))


class StrictBlueprint(Blueprint):
    """Views whose arguments are read strictly."""

    ARGUMENTS_PARSER = StrictParser()
