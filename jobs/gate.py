"""The gate: what texts, numbers and names from outside must be before they are kept, alike on both databases. Pure.

PostgreSQL refuses a NUL, a lone surrogate, a text longer than its column and a NaN in JSON; SQLite takes some of these
and fails at others. Words for people are cleaned and cut here. What names something, an id for one, is never altered:
it is kept as it came, or it is None, and whoever reads it tells so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST_WORDS = 2000
LONGEST_NAME = 200
LONGEST_NAME_BYTES = 512  # percent-encoded it must fit into the 2 KiB of an object's metadata
ODD = "�"  # stands for what is not kept; what holds it was altered on the way

_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")  # legal in JSON


def words(said: str, longest: int = LONGEST_WORDS) -> str:
    """Words for people: cut, and without what no database takes."""
    return _UNKEEPABLE.sub(ODD, said[:longest])


def json_value(value: Any) -> Any:
    """A value for people as JSON that both databases take: its texts cleaned, numbers that JSON lacks as text."""
    if isinstance(value, str):
        return _UNKEEPABLE.sub(ODD, value)
    if isinstance(value, Mapping):
        return {json_value(str(name)): json_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def name(value: Any) -> str | None:
    """What names something, as it came: 1 to 200 printable characters, or a whole number. None: it cannot be kept."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME or not value.isprintable() or ODD in value:
        return None
    return value if len(value.encode()) <= LONGEST_NAME_BYTES else None


def amount(value: Any) -> float | None:
    """A number that is finite, not negative and not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and found >= 0 else None
