"""Answers as they are sent. Views give JSON values; dumping them through a schema would cost more than a read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # built once


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON values, as they are."""
    return Response(_encode(body), status, headers, mimetype="application/json")


def page(data: list[Any], next_cursor: str | None) -> Response:
    """One page of a list, with the way to the next one in its Link header (RFC 8288)."""
    headers = {}
    if next_cursor is not None:
        kept = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
        query = urlencode([*kept, ("cursor", next_cursor)])
        headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return answer({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor}, headers=headers)
