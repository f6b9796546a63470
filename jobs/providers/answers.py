"""The pieces of a gateway's JSON, read leniently: what is missing or odd is None, never an exception and never a guess.

Only what makes an answer unreadable (no JSON, no object, no status) raises BadReport. Every module of this room
reads with these functions, so that a hostile or careless gateway meets one set of limits. What an odd value was and why
it is of no use is told where that costs money or a video: of links, costs and the ids of tasks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict
from urllib.parse import quote, urlsplit

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from jobs import gate
from jobs.errors import BadReport, NoStatus
from jobs.providers.base import Acceptance, Provider, ReportState, Unusable
from jobs.providers.encodings import AROUND, text_of

LONGEST_MESSAGE = gate.LONGEST_WORDS
LONGEST_LINK = 8192
LONGEST_WORD = 100
LONGEST_TOLD = 500  # of an odd value
LINK_NAMES = ("url", "video_url", "videoUrl")  # of an object that stands where a link is expected

_QUERY = re.compile(r"(https?:[^\s\"'<>?#]*)\?[^\s\"'<>]*", re.IGNORECASE)
_KEY = re.compile(r"\b(sk-|afk_)[\w-]{6,}")  # a gateway that refuses a key likes to print it
_TOKEN = re.compile(r"(/webhooks(?:\\?/[^/\\\s\"']+){3}\\?/)[^/\\\s\"'<>?]+")  # one that takes an order may quote it
_PERCENT = re.compile(r"\s*(\d{1,3})(?:\.\d{1,9})?\s*%?\s*", re.ASCII)
_BLANK = re.compile(r"[^\S\x00-\x1f\x85\u2028\u2029]")  # not what ends a line or controls a terminal
_WHOLE = re.compile(r"(-?\d{1,15})\.0+", re.ASCII)
_MAY_BE_JSON = re.compile(r"[{\[]")
_USER = re.compile(r"//[^/?#]*@")
_TAIL = re.compile(r"[?#].*", re.DOTALL)


class TaskId(fields.Field[str]):
    """A task's id in a callback: a text, or a whole number."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> str:
        known = task_id(value)
        if known is None:
            raise ValidationError("no id that can be kept")
        return known


class CallbackSchema(Schema):
    """The least a callback must hold to be readable; each gateway adds its name for the task id."""

    class Meta:
        unknown = INCLUDE

    # A word with a byte that no encoding explains is none.
    status = fields.String(
        required=True, validate=[validate.Length(min=1), validate.ContainsNoneOf("\N{REPLACEMENT CHARACTER}")]
    )


class LinkFields(TypedDict):
    """What a report says of a finished task's link."""

    link: str | None
    bad_link: Unusable | None


class CostFields(TypedDict):
    """What a report says of a task's cost."""

    cost: float | None
    bad_cost: Unusable | None


def json_body(body: bytes) -> Any:
    """Parse a body that is already capped in size, as leniently as JSON can be: one odd value spoils no other.

    It is read in whatever encoding it came, and once more where it is a text that holds an object. Behind an object may
    stand what edges and fronts print there; where that could be a second value, nobody can say which one counts. A
    byte that no encoding explains becomes �, which no id and no link may hold; a number beyond every float becomes an
    infinity, which is no amount. Raises BadReport for what is no JSON, or nests too deeply.
    """
    try:
        value = _json(text_of(body))
        return _json(value.strip()) if isinstance(value, str) and value.lstrip().startswith("{") else value
    except (ValueError, RecursionError) as e:
        raise BadReport(f"not JSON that can be read ({type(e).__name__}, {len(body)} bytes)") from e


def is_own(provider: Provider, asked: str, status: int, body: bytes) -> bool:
    """Whether an answer to a query is the gateway's own: a report of the task `asked`, or an error in its own shape.

    What stands between, a proxy or a maintenance page, speaks JSON as well, and may have a status; but it does not know
    which task was asked about. A gateway's documented "not found" names none either, and stays an answer.
    """
    try:
        said = json_body(body)
        return provider.is_error(said) if status >= 300 else provider.read_report(said).task_id == asked
    except BadReport:
        return False


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
    """(state, the gateway's word, whether the table has it); case does not matter. Raises NoStatus without a word."""
    if not isinstance(value, str) or not value.strip():
        raise NoStatus(f"no status word: {str(value)[:LONGEST_WORD]!r}")
    word = gate.words(value, LONGEST_WORD)
    state = table.get(value.strip().lower())
    return state or ReportState.RUNNING, word, state is not None


def task_id(value: Any) -> str | None:
    """An id that a path and a column can hold, as it came."""
    named = gate.name(value)
    return named if named and named.strip(" .") else None  # `..` would climb in a path


def acceptance(http_status: int, *ids: Any) -> Acceptance:
    """An acceptance under a 2xx by the first id that can be kept. Raises BadReport, which says why there is none."""
    known = next(filter(None, map(task_id, ids)), None)
    if 200 <= http_status < 300 and known is not None:
        return Acceptance(known)
    odd = next((value for value in ids if value is not None), None)
    if 200 <= http_status < 300 and odd is not None:
        raise BadReport(f"the task's id cannot be kept: {_told(odd)}")
    raise BadReport(f"no acceptance (HTTP {http_status})")


def text(value: Any, longest: int = LONGEST_MESSAGE) -> str | None:
    """A gateway's words, cut, without what looks like a key or a signed query; None where there are none."""
    if not isinstance(value, str) or not value.strip():
        return None
    return mask(gate.words(value, longest))[:longest]


def mask(words: str) -> str:
    """Hide keys, the tokens of our callback URLs and the query strings of URLs.

    Cut `words` before: the time grows with the square of one long word.
    """
    return _KEY.sub(r"\1…", _TOKEN.sub(r"\1…", _QUERY.sub(r"\1?…", words)))


def link(*candidates: Any) -> str | None:
    """The first candidate that can be used as a link: an http(s) URL with a host, alone, in an object or in a list.

    Line ends and blanks around it are cut, and blanks inside are quoted. All else stays as it came: a signature covers
    it.
    """
    return next((found for found in map(_link, filter(None, map(_given, candidates))) if _why_not(found) is None), None)


def link_fields(state: ReportState, *candidates: Any) -> LinkFields:
    """What is said of a task's link: only a finished one's counts; where none can be used, why the first cannot."""
    if state is not ReportState.FINISHED:
        return {"link": None, "bad_link": None}
    if found := link(*candidates):
        return {"link": found, "bad_link": None}
    given = next(filter(None, map(_given, candidates)), None)
    if given is None:
        return {"link": None, "bad_link": None}
    return {"link": None, "bad_link": Unusable(_told(_closed(given)), _why_not(_link(given)) or "")}


def told_amount(value: Any, where: str) -> float:
    """An amount that a gateway tells of its account. Raises BadReport."""
    found = gate.amount(value)
    if found is None:
        raise BadReport(f"{where} is no amount: {_told(value)}")
    return found


def cost_fields(value: Any) -> CostFields:
    """What is said of a task's cost; nothing where there is none."""
    cost = gate.amount(value)
    if cost is not None or value is None:
        return {"cost": cost, "bad_cost": None}
    return {"cost": None, "bad_cost": Unusable(_told(value), "it is no amount of money")}


def progress(value: Any) -> int | None:
    """0..100 from 40, 40.5, "40%" or "40"; None for anything else."""
    if isinstance(value, str):
        found = _PERCENT.fullmatch(value[:LONGEST_WORD])
        value = int(found[1]) if found else None
    amount = gate.amount(value)
    return int(amount) if amount is not None and amount <= 100 else None


def unix_time(value: Any) -> datetime | None:
    """Seconds since 1970 as aware UTC. 0 stands for "not yet" at the gateways that send it."""
    seconds = gate.amount(value)
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


def _json(said: str) -> Any:
    if not said.startswith("{"):
        return _DECODER.decode(said)
    value, end = _DECODER.raw_decode(said)
    if _MAY_BE_JSON.search(said, end):
        raise ValueError("more than one value")
    return value


def _int(digits: str) -> int | float:
    """Longer ones name nothing and count nothing, and reading them exactly takes time in the square of their length."""
    return int(digits) if len(digits) <= gate.LONGEST_NAME else float(digits)


def _float(said: str) -> int | float:
    """A whole number may be an id. One with an exponent, or of more digits than a float has, may have been rounded."""
    whole = _WHOLE.fullmatch(said)
    return int(whole[1]) if whole else float(said)


_DECODER = json.JSONDecoder(strict=False, parse_int=_int, parse_float=_float)


def _given(candidate: Any) -> str | None:
    """What stands where a link is expected, if it is text, bare, in an object, or first in a list."""
    if isinstance(candidate, list):
        candidate = next(iter(candidate), None)
    if isinstance(candidate, Mapping):
        candidate = next((candidate[name] for name in LINK_NAMES if candidate.get(name)), None)
    return candidate if isinstance(candidate, str) and candidate.strip(AROUND) else None


def _link(given: str) -> str:
    return _BLANK.sub(lambda blank: quote(blank[0]), given.strip(AROUND)[: LONGEST_LINK + 1])


def _why_not(link: str) -> str | None:
    """Why this cannot be used as a link; None if it can."""
    if len(link) > LONGEST_LINK:
        return f"it is longer than {LONGEST_LINK} characters"
    if not link.isprintable() or gate.ODD in link:
        return "it holds a character that no link has"
    try:
        parts = urlsplit(link)
        usable = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        return "it is no address that can be read"
    return None if usable else "it is no http or https address with a host"


def _closed(link: str) -> str:
    """An odd link without what might open it: a user name, a query."""
    return _USER.sub("//…@", _TAIL.sub("?…", link))


def _told(value: Any) -> str:
    """An odd value for people."""
    said = value if isinstance(value, str) else repr(value)
    return mask(gate.words(said, LONGEST_TOLD))[:LONGEST_TOLD]
