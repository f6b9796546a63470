"""What a benchmark found: told on the screen, and handed to `run.py`, which writes docs/benchmarks.md with it."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

FILE = "BENCHMARK_FIGURES"  # where `run.py` wants them


class Figure(NamedTuple):
    """`wanted`: what it is held against; empty where there is nothing. `is_held`: whether it is as good as that."""

    what: str
    found: str
    wanted: str
    is_held: bool


def tell(what: str, found: str, wanted: str = "", *, is_held: bool = True) -> bool:
    """One figure; a benchmark that loses tells it as well. Returns `is_held`."""
    against = "" if not wanted else f" (wanted: {wanted})" if is_held else f" (wanted: {wanted}; NOT REACHED)"
    print(f"{what}: {found}{against}", flush=True)
    if path := os.environ.get(FILE):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(Figure(what, found, wanted, is_held)._asdict()) + "\n")
    return is_held


def spread(values: list[float], digits: int = 1) -> str:
    """The least and the most of several rounds."""
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"
