"""JSON from strangers: only what every database and gateway can hold, and every parser reads alike."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class BadJson(ValueError):
    """Not JSON as RFC 8259 and RFC 7493 (I-JSON) have it; the message says why."""


def loads(raw: bytes) -> Any:
    """The value of a body in UTF-8. Refuses NaN, infinities, repeated names, NUL, lone surrogates, great depth."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        _check_text(value)
    except BadJson:
        raise
    except RecursionError:
        raise BadJson("The body nests too deeply.") from None
    except ValueError as e:
        raise BadJson(f"The body is not valid JSON in UTF-8 ({type(e).__name__}).") from None
    return value


def _check_text(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise BadJson("A string holds NUL.")
        value.encode()
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_text(name)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadJson("A name occurs twice in one object.")
    return value


def _refuse(constant: str) -> NoReturn:
    raise BadJson(f"{constant} is not JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise BadJson("A number is too large.")
    return number
