"""Markdown that a generator writes: tables, and text that must not be read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

CODE = re.compile(r"(`[^`]+`)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`"


def prose(text: str) -> str:
    """Words from elsewhere on one line; what stands between backticks stays code."""
    parts = CODE.split(" ".join(text.split()))
    return "".join(part if CODE.fullmatch(part) else re.sub(r"[<>*|\[\]]", r"\\\g<0>", part) for part in parts)


def cell(text: str) -> str:
    """The same for a cell: a bar would end it, even within code."""
    return re.sub(r"(?<!\\)\|", r"\|", prose(text))
