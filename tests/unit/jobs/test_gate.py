"""The gate: words are cleaned, names are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import gate

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\0", "\ud800", "a\udfffb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(said=st.text() | st.sampled_from(["\0", "a\ud800b"]), longest=st.integers(0, 10))
def test_words_are_as_long_as_they_may_be_and_fit_any_database(said: str, longest: int) -> None:
    kept = gate.words(said, longest)
    assert kept == said[:longest].replace("\0", "�").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert len(kept) == min(len(said), longest)


def test_other_words_are_kept_as_they_came() -> None:
    said = "tâche 任务 🎬\n\t\x1b[31m"
    assert gate.words(said) == said


@given(value=ANYTHING)
def test_a_value_for_people_becomes_json_that_any_database_takes(value: Any) -> None:
    told = json.dumps(gate.json_value(value), allow_nan=False, ensure_ascii=False)
    assert told.encode()
    assert "\\u0000" not in told


def test_a_value_that_is_json_already_stays_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "é"], "b": {"c": 10**30}}
    assert gate.json_value(value) == value


@given(value=st.text(max_size=3) | st.integers() | st.floats() | st.booleans() | st.sampled_from(["\0", "\ud800", "�"]))
def test_a_name_is_never_altered(value: Any) -> None:
    kept = gate.name(value)
    assert kept is None or kept == str(value)


@pytest.mark.parametrize("value", ["t-1", "tâche-1", "任务-1", " t ", "50%", "x" * 200, "任" * 170, 7, 0, 10**199])
def test_what_can_be_kept_as_a_name_is(value: Any) -> None:
    assert gate.name(value) == str(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "x" * 201,
        "任" * 171,
        "a\0b",
        "a\nb",
        "a\x7f",
        "a\u200bb",
        "\ud800",
        "a�b",
        True,
        7.0,
        10**200,
        ["t"],
        {},
    ],
)
def test_what_cannot_be_kept_as_a_name_is_none(value: Any) -> None:
    assert gate.name(value) is None


@pytest.mark.parametrize("value", [0, 1, 2.5, 1e308, 10**300])
def test_an_amount_is_a_number(value: Any) -> None:
    assert gate.amount(value) == float(value)


@pytest.mark.parametrize("value", [-1, -0.1, float("inf"), float("nan"), 10**400, True, "1", None, [1]])
def test_what_is_no_amount_is_none(value: Any) -> None:
    assert gate.amount(value) is None
