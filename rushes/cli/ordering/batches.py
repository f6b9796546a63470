"""Many requests in one file, a batch: a JSON object a line, each with an idempotency key.

A line's key follows from the batch's name and from what the line itself says: the same file asks for the same jobs, and
one with lines added, mended or moved only for those that are new.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jobs.request import strict_json
from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure

KEY = "idempotency_key"
KEYS_LIKE = re.compile(r"[!-~]{1,255}")
MOST_FAULTS = 20  # that are told
WANTED = "should be 1 to 255 visible ASCII characters"


@dataclass(frozen=True)
class Line:
    """One request, and where it stands in its file, from 1."""

    number: int
    request: dict[str, Any]
    key: str


def fresh_key() -> str:
    """A key that nobody has used."""
    return f"cli-{secrets.token_hex(16)}"


def is_key(text: object) -> bool:
    """Whether a request may bear it. The service would take spaces inside; at the ends HTTP drops them."""
    return isinstance(text, str) and KEYS_LIKE.fullmatch(text) is not None


def name_of(file: str) -> str:
    """What the batch of a file is called where nobody says: like the file; a stream of its own, made up."""
    return f"stdin-{secrets.token_hex(4)}" if file == "-" else Path(file).name


def read(file: str, batch: str, defaults: Mapping[str, Any]) -> list[Line]:
    """The requests of a JSON Lines file; `-` is stdin, and empty lines count but say nothing.

    `defaults` stand for what a line leaves out. A line's own `idempotency_key` comes first. Raises Failure that tells
    the first bad lines, and how many more there are.
    """
    with click.open_file(file, "rb") as opened:
        raws = [raw.strip() for raw in opened.read().splitlines()]
    lines, faults = list[Line](), list[str]()
    numbers, seen = dict[str, int](), Counter[str]()
    for number, raw in enumerate(raws, 1):
        if not raw:
            continue
        try:
            request = _request(raw)
            own_key = request.pop(KEY, None)
            said = json.dumps(request, sort_keys=True, separators=(",", ":"))
            seen[said] += 1
            key = own_key or _key(batch, said, seen[said])
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        if (first := numbers.setdefault(key, number)) != number:
            faults.append(f"line {number}: its {KEY} is that of line {first}")
        lines.append(Line(number, {**defaults, "batch": batch, **request}, key))
    if faults:
        hint = 'nothing was sent; each line should be a JSON object such as {"prompt": "A red fox in snow"}'
        if (more := len(faults) - MOST_FAULTS) > 0:
            faults[MOST_FAULTS:] = [f"and {more:,} more bad lines"]
        raise Failure("\n".join(faults), failures.USAGE, hint=hint)
    if not lines:
        raise Failure(f"{file} has no requests", failures.USAGE, hint="write a JSON object on each line")
    return lines


def _request(raw: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    try:
        request = strict_json.loads(raw)
    except strict_json.BadJson as error:
        raise ValueError(error) from error
    if not isinstance(request, dict):
        raise ValueError(f"a request is a JSON object, not {raw[:40].decode(errors='replace')}")
    if "batch" in request:
        raise ValueError("its batch is that of the whole file; leave it out, and say --batch NAME")
    key = request.get(KEY)
    if key is not None and not is_key(key):
        raise ValueError(f"{KEY} {WANTED}")
    return request


def _key(batch: str, said: str, time: int) -> str:
    """`time`: how often this request has come so far; a file may ask for the same twice."""
    parts = (batch, str(time), said)
    return f"cli-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:32]}"
