"""Cursors of lists: where a page ended, and under which filters it was asked for."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from jobs.errors import BadRequest

DIGEST_CHARS = 8
PAGING = ("cursor", "limit")  # these choose the page, not what the list holds


def write(*parts: str, of: Mapping[str, Any]) -> str:
    """The cursor after a row that sorts by `parts`. `of`: the list's query, filters and all."""
    return base64.urlsafe_b64encode(json.dumps([_digest(of), *parts]).encode()).rstrip(b"=").decode()


def read(cursor: str, of: Mapping[str, Any]) -> list[str]:
    """The parts that were written, at least one. Raises BadRequest: not ours, or made under other filters."""
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):  # base64's and UnicodeDecodeError are ValueErrors
        raise wrong() from None
    if not isinstance(told, list) or len(told) < 2 or not all(isinstance(part, str) for part in told):
        raise wrong()
    digest, *parts = told
    if digest != _digest(of):
        raise BadRequest({"cursor": ["It belongs to other filters; send those of the page before, or no cursor."]})
    return parts


def wrong() -> BadRequest:
    """What to raise for a cursor whose parts cannot be ours."""
    return BadRequest({"cursor": ["Not one of ours; send the `next_cursor` of the page before."]})


def _digest(of: Mapping[str, Any]) -> str:
    filters = {name: value for name, value in of.items() if name not in PAGING and value is not None}
    told = json.dumps(filters, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:DIGEST_CHARS]
