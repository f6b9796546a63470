"""The `Idempotency-Key` of a request: `x`, or `"x"` as the IETF's draft-ietf-httpapi-idempotency-key-header spells it.

Both are one key. Keys that were kept with their quotes are still found.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jobs.errors import BadRequest

NAME = "Idempotency-Key"
STRING = re.compile(r'"(?:[^"\\]|\\["\\])*"')  # RFC 8941, section 3.3.3
ESCAPED = re.compile(r'\\(["\\])')


class SentKey(NamedTuple):
    """A key as it is kept, and as it was kept while quotes counted as part of it."""

    key: str
    quoted: str


def read(value: str) -> SentKey:
    """Raises BadRequest for one that begins as a quoted string, and is none."""
    text = value.strip()
    if not text.startswith('"'):
        return SentKey(text, '"' + re.sub(r'(["\\])', r"\\\1", text) + '"')
    if not STRING.fullmatch(text):
        raise BadRequest({NAME: ['Send it plain, or between one pair of quotes: scene-12 or "scene-12".']})
    return SentKey(ESCAPED.sub(r"\1", text[1:-1]), text)
