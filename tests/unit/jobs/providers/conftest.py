"""Bodies as the gateways' pages print them, in tests/samples/<provider>/."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[3] / "samples"


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """sample("evolink/query_failed") is that file's JSON."""
    return lambda name: json.loads((SAMPLES / f"{name}.json").read_text())
