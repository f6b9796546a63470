"""Members of a request's body: what was not asked for is left out, never sent as null or as an empty list."""

from __future__ import annotations

from typing import Any


def values(**members: Any) -> dict[str, Any]:
    """The members that are there."""
    return {name: value for name, value in members.items() if value is not None}


def lists(**members: list[str]) -> dict[str, Any]:
    """The lists that hold something."""
    return {name: items for name, items in members.items() if items}
