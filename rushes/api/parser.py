"""Reads requests strictly: webargs itself lets NaN and repeated names pass, and fails on deep nesting."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint, abort
from webargs import core
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from jobs import strict_json

LARGEST_BODY_BYTES = 256 * 1024


class StrictParser(FlaskParser):
    """JSON bodies by jobs.strict_json; another content type is refused, not taken for an empty body."""

    def _raw_load_json(self, req: Any) -> Any:
        # Holds while reading, too: a body in chunks declares no length. Werkzeug cuts such a one off in silence, and
        # only the byte beyond tells.
        req.max_content_length = LARGEST_BODY_BYTES + 1
        try:
            raw = req.get_data(cache=True)
        except RequestEntityTooLarge:
            raw = None
        if raw is None or len(raw) > LARGEST_BODY_BYTES:
            abort(413, message=f"At most {LARGEST_BODY_BYTES} bytes.")
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
