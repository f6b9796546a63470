"""Bodies near those that gateways document, and far from them, for Hypothesis to draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SAMPLES = Path(__file__).parent / "samples"

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
    max_leaves=12,
)


def samples(provider: str, *patterns: str) -> list[Any]:
    """The documented bodies of a gateway whose files are called so."""
    files = [file for pattern in patterns for file in sorted((SAMPLES / provider).glob(f"{pattern}.json"))]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files] or [{"id": "t-1", "status": "completed"}]


@st.composite
def spoilt(draw: st.DrawFn, bodies: list[Any]) -> Any:
    """A documented body with some of its values, anywhere in it, replaced by anything."""
    value = json.loads(json.dumps(draw(st.sampled_from(bodies))))
    for _ in range(draw(st.integers(1, 3))):
        place = value
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else len(place) - 1
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                place[key] = draw(ANYTHING)
                break
            place = inner
    return value


@st.composite
def written(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """A value as JSON, in one encoding or another."""
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")
