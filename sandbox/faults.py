"""The faults that can be asked for, in a table with their parameters; and how JSON and headers name them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANY = "any"
HEADER = "X-Sandbox-Fault"
# The requests a header can stand on.
SUBMIT, QUERY, FILM, PAGE = "submit", "query", "film", "page"
USUAL = "usual"

Read = Callable[[Any], Any]
Refusals = Mapping[str, Sequence[tuple[int, str | int | None]]]


class UnknownFault(Exception):
    """No such fault, or no such parameter or value of it; the message says what there is."""


@dataclass(frozen=True)
class Words:
    """Reads one of `words`."""

    words: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        """The word. Raises ValueError with the words there are."""
        if str(value) not in self.words:
            raise ValueError(f"one of {', '.join(self.words)}")
        return str(value)


def _words(*words: str) -> Words:
    return Words(words)


def _number(value: Any) -> float:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if not fine:
        raise ValueError("a number from 0")
    return value  # type: ignore[no-any-return]  # as it was written: 7, not 7.0, in a Retry-After


def _whole(least: int, most: float = math.inf) -> Read:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"a whole number from {least}" + (f" to {most}" if most < math.inf else ""))
        return value

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a text")
    return str(value)


def _code(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("a word or a whole number")
    return value


def _anything(value: Any) -> Any:
    return value


def _retry_after(value: Any) -> Any:
    """None for no header at all, a number of seconds, or `date:` and seconds from now for an HTTP-date."""
    if value is None or value == USUAL:
        return value
    kind, _, seconds = str(value).partition(":")
    if kind == "date" and seconds.isdecimal():
        return value
    try:
        return _number(value)
    except ValueError:
        raise ValueError("null, a number of seconds, date:<seconds>, or usual") from None


@dataclass(frozen=True)
class Parameter:
    """A parameter: what it is when not given, and how it is read. Where the default is None, null is allowed."""

    default: Any
    read: Read


@dataclass(frozen=True)
class Kind:
    """A fault: what it does, in a line; the requests whose header may name it; its parameters.

    `late`: it can also be given to a task that was accepted before.
    """

    does: str
    on: tuple[str, ...]
    params: Mapping[str, Parameter]
    late: bool = False


def _kind(does: str, *on: str, late: bool = False, **params: tuple[Any, Read]) -> Kind:
    return Kind(does, on, {name: Parameter(*each) for name, each in params.items()}, late)


# In the order in which they befall a job. Seconds are real ones, whatever the speed.
FAULTS: dict[str, Kind] = {
    "refuse": _kind(
        "turn the request down",
        SUBMIT,
        QUERY,
        status=(None, _whole(100, 599)),
        code=(None, _code),
        message=(None, _text),
        body=(None, _anything),
        retry_after=(USUAL, _retry_after),
        on=(SUBMIT, _words(SUBMIT, QUERY)),
    ),
    "slow_submit": _kind("wait before accepting", SUBMIT, seconds=(5, _number)),
    "late_answer": _kind("accept, then wait before answering", SUBMIT, seconds=(5, _number)),
    "lose_answer": _kind(
        "accept, then lose the answer",
        SUBMIT,
        how=("reset", _words("reset", "close", "tls", "502", "hang", "drip")),
        seconds=(30, _number),
    ),
    "slow_query": _kind("look, then wait before answering", QUERY, seconds=(5, _number)),
    "garbage_query": _kind("answer a query with no JSON", QUERY, what=("html", _words("html", "json"))),
    "unknown_word": _kind("answer a query with a state nobody documents", QUERY, word=("moderating", _text)),
    "stall": _kind("never finish, until the faults are cleared", SUBMIT),
    "fail": _kind(
        "fail the task, for good or retryably",
        SUBMIT,
        retryable=(False, _flag),
        code=(None, _code),
        message=(None, _text),
        word=(None, _text),
    ),
    "callback_before_answer": _kind("finish and call back before the submit is answered", SUBMIT),
    "lose_callback": _kind("never call back", SUBMIT, late=True),
    "double_callbacks": _kind("call back several times at once", SUBMIT, late=True, count=(4, _whole(0))),
    "delay_callback": _kind("call back later", SUBMIT, late=True, seconds=(5, _number)),
    "reorder_callbacks": _kind(
        "progress after completion (Apiframe), or only after the next task's", SUBMIT, late=True
    ),
    "forge_callback": _kind("a stranger calls back with the wrong verdict right after acceptance", SUBMIT),
    "expire_link": _kind("report a link that is dead already", SUBMIT, QUERY, late=True, reports=(1, _whole(0))),
    "hide_link": _kind("report a finished task without its link", SUBMIT, late=True, reports=(1, _whole(0))),
    "link_life": _kind("let the link live only so long", SUBMIT, late=True, seconds=(5, _number)),
    "serve": _kind(
        "serve the film wrongly",
        SUBMIT,
        FILM,
        late=True,
        what=(
            "html",
            _words("html", "truncated", "truncated_clean", "empty", "endless", "slow", "audio_only", "garbage"),
        ),
        hits=(1, _whole(0)),
        bytes_per_s=(None, _whole(1)),
    ),
}


@dataclass
class Fault:
    """One fault asked for: `left` more times for `provider` (or any)."""

    provider: str
    name: str
    left: int
    params: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As POST /control/faults takes it, with `left` for `times`."""
        return {"provider": self.provider, "fault": self.name, "left": self.left, **self.params}


def read(refusals: Refusals, provider: str, name: str, times: int, given: Mapping[str, Any]) -> Fault:
    """A fault from its parts, with defaults for the parameters not given. Raises UnknownFault."""
    if name not in FAULTS:
        raise UnknownFault(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    known = FAULTS[name].params
    unknown = given.keys() - known.keys()
    if unknown:
        raise UnknownFault(f"{name} has no parameter {min(unknown)!r}; it has {', '.join(known) or 'none'}")
    params = {key: _read(name, key, given[key]) if key in given else each.default for key, each in known.items()}
    if name == "refuse" and params["status"] is None:
        params["status"] = 429 if params["code"] is None else _status_of(refusals, provider, params["code"])
    return Fault(provider, name, times, params)


def read_header(refusals: Refusals, provider: str, on: str, lines: Sequence[str]) -> list[Fault]:
    """The faults that the header of one `on` request names: `name; key=value; key=value`, several with commas between.

    A value is read as JSON, and is a word where it is none. Raises UnknownFault.
    """
    there = [name for name, kind in FAULTS.items() if on in kind.on]
    found = []
    for part in ",".join(lines).split(","):
        name, *pairs = (each.strip() for each in part.split(";"))
        if not name and not pairs:
            continue
        if name not in there:
            raise UnknownFault(f"no fault {name!r} for a {on}; there are {', '.join(there) or 'none'}")
        given = {
            key.strip(): _value(value.strip()) for key, _, value in (pair.partition("=") for pair in pairs if pair)
        }
        if "on" in FAULTS[name].params and given.setdefault("on", on) != on:
            raise UnknownFault(f"on of {name} must be {on} in the header of a {on}, not {given['on']!r}")
        found.append(read(refusals, provider, name, 1, given))
    return found


def _read(name: str, key: str, value: Any) -> Any:
    parameter = FAULTS[name].params[key]
    if value is None and parameter.default is None:
        return None
    try:
        return parameter.read(value)
    except ValueError as wanted:
        raise UnknownFault(f"{key} of {name} must be {wanted}, not {value!r}") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _status_of(refusals: Refusals, provider: str, code: str | int) -> int:
    """The status that a documented code goes with. Raises UnknownFault."""
    pairs = [pair for name, each in refusals.items() if provider in (name, ANY) for pair in each]
    for status, known in pairs:
        if str(known) == str(code):
            return status
    codes = ", ".join(dict.fromkeys(str(known) for _, known in pairs if known is not None))
    raise UnknownFault(f"{provider} documents no code {code!r}; it has {codes or 'none: give a status'}")
