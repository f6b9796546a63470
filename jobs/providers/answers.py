"""The pieces of a gateway's JSON, read leniently: what is missing or odd is None, never an exception and never a guess.

Only what makes an answer unreadable (no JSON, no object, no status) raises BadReport. Every module of this room
reads with these functions, so that a hostile or careless gateway meets one set of limits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from marshmallow import INCLUDE, Schema, fields, validate

from jobs.errors import BadReport
from jobs.providers.base import ReportState

LONGEST_MESSAGE = 2000
LONGEST_TASK_ID = 200
LONGEST_LINK = 8192
LONGEST_WORD = 100
LONGEST_INTEGER = 20  # digits; more than any id, time or amount has

_QUERY = re.compile(r"(https?:[^\s\"'<>?#]*)\?[^\s\"'<>]*", re.IGNORECASE)
_KEY = re.compile(r"\b(sk-|afk_)[\w-]{6,}")  # a gateway that refuses a key likes to print it
_PERCENT = re.compile(r"\s*(\d{1,3})(?:\.\d{1,9})?\s*%?\s*", re.ASCII)
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # legal in JSON; no database takes them


class CallbackSchema(Schema):
    """The least a callback must hold to be readable; each gateway adds its name for the task id."""

    class Meta:
        unknown = INCLUDE

    status = fields.String(required=True, validate=validate.Length(min=1, max=LONGEST_WORD))


def json_body(body: bytes) -> Any:
    """Parse a body that is already capped in size.

    Raises BadReport for what is not UTF-8 JSON, is nested too deeply, or holds NaN, an infinity or an integer of
    more than 20 digits.
    """
    try:
        return json.loads(body.decode(), parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError) as e:
        raise BadReport(f"not JSON that can be read ({type(e).__name__}, {len(body)} bytes)") from e


def mapping(body: Any, what: str) -> Mapping[str, Any]:
    """`body` as an object. Raises BadReport."""
    if not isinstance(body, Mapping):
        raise BadReport(f"{what} is {type(body).__name__}, not an object")
    return body


def part(body: Any, *path: str | int) -> Any:
    """What lies at `path`, by names and positions; None where the way ends early."""
    for step in path:
        if isinstance(step, str):
            body = body.get(step) if isinstance(body, Mapping) else None
        else:
            body = body[step] if isinstance(body, list) and len(body) > step else None
    return body


def status(value: Any, table: Mapping[str, ReportState]) -> tuple[ReportState, str, bool]:
    """(state, the gateway's word, whether the table has it); case does not matter. Raises BadReport without a word."""
    if not isinstance(value, str) or not value.strip():
        raise BadReport(f"no status word: {str(value)[:LONGEST_WORD]!r}")
    word = _NOT_TEXT.sub("�", value)[:LONGEST_WORD]
    state = table.get(value.strip().lower())
    return state or ReportState.RUNNING, word, state is not None


def task_id(value: Any) -> str | None:
    """An id that a path and a column can hold: 1 to 200 printable characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TASK_ID or not value.isprintable():
        return None
    return value if value.strip(" .") else None  # `..` would climb in a path


def text(value: Any, longest: int = LONGEST_MESSAGE) -> str | None:
    """A gateway's words, cut, without what looks like a key or a signed query; None where there are none."""
    if not isinstance(value, str) or not value.strip():
        return None
    return mask(_NOT_TEXT.sub("�", value[:longest]))[:longest]


def mask(words: str) -> str:
    """Hide keys and the query strings of URLs. Cut `words` before: the time grows with the square of one long word."""
    return _KEY.sub(r"\1…", _QUERY.sub(r"\1?…", words))


def link(*candidates: Any) -> str | None:
    """The first candidate that is an http(s) URL with a host, untouched: signed links must not be re-encoded."""
    for value in candidates:
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_LINK:
            continue
        if any(c.isspace() or not c.isprintable() for c in value):
            continue
        try:
            parts = urlsplit(value)
            if parts.scheme in ("http", "https") and parts.hostname:
                return value
        except ValueError:
            continue
    return None


def number(value: Any) -> float | None:
    """An amount: finite, not negative, not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def progress(value: Any) -> int | None:
    """0..100 from 40, 40.5, "40%" or "40"; None for anything else."""
    if isinstance(value, str):
        found = _PERCENT.fullmatch(value[:LONGEST_WORD])
        value = int(found[1]) if found else None
    amount = number(value)
    return int(amount) if amount is not None and amount <= 100 else None


def unix_time(value: Any) -> datetime | None:
    """Seconds since 1970 as aware UTC. 0 stands for "not yet" at the gateways that send it."""
    seconds = number(value)
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def iso_time(value: Any) -> datetime | None:
    """An ISO 8601 time as aware UTC; one without a zone is read as UTC."""
    if not isinstance(value, str) or len(value) > LONGEST_WORD:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number beyond every float")
    return value


def _int(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError("an integer of too many digits")
    return int(digits)
