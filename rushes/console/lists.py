"""A list of the API on a page: what the address asks of it, a page at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import g, request

from rushes.console.service import Refused

PAGE = "50"


@dataclass(frozen=True)
class Listed:
    """One page of it. `next` and `first`: the addresses' queries of other pages; `refused`: a filter means nothing."""

    rows: list[dict[str, Any]]
    next: str | None
    first: str | None
    is_filtered: bool
    refused: Refused | None

    @property
    def status(self) -> int:
        return 422 if self.refused else 200


def read(path: str, names: Collection[str]) -> Listed:
    """What the page's address asks for, by these parameters of the API. Raises Refused, but for what it asks."""
    asked = {name: value for name, value in request.args.items() if name in names and value}
    cursor = request.args.get("cursor")
    found: dict[str, Any] = {"data": [], "next_cursor": None}
    refused = None
    try:
        found = g.service.get(path, {**asked, "limit": PAGE, **({"cursor": cursor} if cursor else {})})
    except Refused as refusal:
        if refusal.status != 422:
            raise
        refused = refusal
    following = found["next_cursor"]
    return Listed(
        rows=found["data"],
        next=f"?{urlencode({**asked, 'cursor': following})}" if following else None,
        first=f"?{urlencode(asked)}" if cursor else None,
        is_filtered=bool(asked),
        refused=refused,
    )
