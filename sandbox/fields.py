"""What a request body may hold, as tables; and the check of a body against its table.

A gateway's table names every field its page documents. A field no table names is refused at every gateway: only
Apiframe documents that (`additionalProperties: false`), but a stand-in that swallowed a misspelt field would hide the
misspelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sandbox.tasks import Media

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
SEED_MOST = 2_147_483_647


class Invalid(Exception):
    """The body is not what the page asks for.

    `faults` pairs a dotted path with what is wrong there, in the order found.
    """

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in faults))
        self.faults = faults


@dataclass(frozen=True)
class Field:
    """One field: `read` turns a given value into the value kept, or raises ValueError with what is wrong."""

    read: Callable[[Any, str], Any]
    required: bool = False
    default: Any = None


def text(
    *, required: bool = False, most: int | None = None, cut: bool = False, length: Callable[[str], int] = len
) -> Field:
    """Text of 1 to `most` characters when required, 0 to `most` when not, counted by `length`: code points unless told.

    `cut`: too long is shortened to `most` code points, not refused.
    """

    def read(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a string")
        if required and not value.strip():
            raise ValueError("is required")
        if most is not None and length(value) > most and not cut:
            raise ValueError(f"must be at most {most} characters, got {length(value)}")
        return value[:most]

    return Field(read, required)


def utf16_units(value: str) -> int:
    """The length of a text as JavaScript counts it: a character beyond U+FFFF is two."""
    return sum(2 if ord(character) > 0xFFFF else 1 for character in value)


def integer(least: int | None = None, most: int | None = None, default: int | None = None) -> Field:
    """A whole JSON number between `least` and `most`, both allowed; neither true, nor "5", nor 5.5."""

    def read(value: Any, path: str) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise ValueError("must be an integer")
        if (least is not None and value < least) or (most is not None and value > most):
            raise ValueError(f"must be between {least} and {most}, got {value}")
        return int(value)

    return Field(read, default=default)


def clip_length() -> Field:
    """The seconds of an edited video: 2 to 10, or 0 for all of the input, which is the default."""

    def read(value: Any, path: str) -> int:
        seconds: int = integer(0, 10).read(value, path)
        if seconds == 1:
            raise ValueError("must be 0 or between 2 and 10, got 1")
        return seconds

    return Field(read, default=0)


def choice(*words: str, default: str | None = None, required: bool = False) -> Field:
    """One of `words`, to the letter: 720P is not 720p."""

    def read(value: Any, path: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}, got {value!r}")
        return str(value)

    return Field(read, required, default)


def flag(default: bool | None = None) -> Field:
    """true or false."""

    def read(value: Any, path: str) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be a boolean")
        return value

    return Field(read, default=default)


def url(*, required: bool = False, most: int | None = None) -> Field:
    """An absolute http or https address."""

    def read(value: Any, path: str) -> str:
        if (
            not isinstance(value, str)
            or urlsplit(value).scheme not in ("http", "https")
            or not urlsplit(value).hostname
        ):
            raise ValueError("must be an http(s) URL")
        if most is not None and len(value) > most:
            raise ValueError(f"must be at most {most} characters, got {len(value)}")
        return value

    return Field(read, required)


def array(of: Field, least: int = 0, most: int | None = None, *, required: bool = False) -> Field:
    """A list of `least` to `most` items, each read by `of`."""

    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError("must be an array")
        if len(value) < least or (most is not None and len(value) > most):
            raise ValueError(
                f"must have {least} to {'any number of' if most is None else most} items, got {len(value)}"
            )
        return [of.read(item, f"{path}[{place}]") for place, item in enumerate(value)]

    return Field(read, required)


def forbidden(why: str) -> Field:
    """A field that other models of the gateway have: `why` tells that it has no place here."""

    def read(value: Any, path: str) -> Any:
        raise ValueError(why)

    return Field(read)


def opaque() -> Field:
    """Whatever it holds: for what a page names and does not describe."""
    return Field(lambda value, path: value)


def table(fields: Mapping[str, Field], *, required: bool = False, extra: bool = False) -> Field:
    """An object whose members `fields` names. `extra`: members it does not name are kept as they come."""
    return Field(lambda value, path: check(value, fields, path, extra=extra), required, None)


def check(body: Any, fields: Mapping[str, Field], where: str = "", *, extra: bool = False) -> dict[str, Any]:
    """`body` with its defaults filled in (None where there is none).

    Raises Invalid with every fault, not the first alone.
    """
    if not isinstance(body, dict):
        raise Invalid([(where, "must be an object")])
    faults: list[tuple[str, str]] = []
    kept: dict[str, Any] = {}
    for name, rule in fields.items():
        path = f"{where}.{name}" if where else name
        if name not in body:
            kept[name] = rule.default
            if rule.required:
                faults.append((path, "is required"))
            continue
        try:
            kept[name] = rule.read(body[name], path)
        except Invalid as inner:
            faults += inner.faults
        except ValueError as wrong:
            faults.append((path, str(wrong)))
    for name in body.keys() - fields.keys():
        if extra:
            kept[name] = body[name]
        else:
            faults.append((f"{where}.{name}" if where else name, "is not a known field"))
    if faults:
        raise Invalid(faults)
    return kept


@dataclass(frozen=True)
class Model:
    """One model of a gateway: the mode it serves, the table of its body, the media it uses of a body read, and what the
    table cannot say about fields together.
    """

    mode: str
    fields: Mapping[str, Field]
    media: Callable[[dict[str, Any]], Media]
    together: Callable[[dict[str, Any]], list[tuple[str, str]]] = field(default=lambda kept: [])

    def read(self, body: Any, where: str = "") -> dict[str, Any]:
        """The body with defaults. Raises Invalid."""
        kept = check(body, self.fields, where)
        faults = self.together(kept)
        if faults:
            raise Invalid([(f"{where}.{path}" if where else path, message) for path, message in faults])
        return kept


def media(*given: tuple[str, str | list[str] | None]) -> Media:
    """Media by kind, from each kind's one address, or several, or none."""
    return tuple(
        (kind, address)
        for kind, addresses in given
        for address in ([addresses] if isinstance(addresses, str) else addresses or [])
    )


def named(body: Any, models: Mapping[str, object]) -> str:
    """The model that a body names. Raises Invalid when it is none of `models`."""
    name = body.get("model") if isinstance(body, dict) else None
    if not isinstance(name, str) or name not in models:
        raise Invalid([("model", f"must be one of {', '.join(models)}, got {name!r}")])
    return name
