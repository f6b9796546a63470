from __future__ import annotations

import json

import pytest

from jobs.visible import visible, visible_cell, visible_json

ACTING = ["\x00", "\x07", "\b", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u202e", "\u2066", "\u200f", "\u061c", "\u200b"]
ACTING += ["\u2028", "\ufeff", "\U000e0041"]
ACTING += ["\xad", "\u034f", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0", "\ufe00", "\ufe0f", "\U000e0100"]


@pytest.mark.parametrize("char", ACTING, ids=ascii)
def test_what_a_terminal_would_act_on_or_hide_is_an_escape(char: str) -> None:
    shown = visible(f"a{char}b")
    assert char not in shown
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape") == f"a{char}b"
    told = visible_json({char: [char]})
    assert char not in told
    assert json.loads(told) == {char: [char]}


def test_half_of_a_surrogate_pair_can_be_printed() -> None:
    assert visible("a\ud800") == "a\\ud800"
    assert json.loads(visible_json("\ud800")) == "\ud800"
    visible_json("\ud800").encode()


@pytest.mark.parametrize(
    "text",
    ["naïve café", "一只狐狸", "👩‍🚀", "שלום", "a\tb\nc", "می‌خواهم", "\\x1b", "❤\ufe0f 1\ufe0f\u20e3 葛\U000e0100"],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert json.loads(visible_json(text)) == text


def test_a_row_of_selectors_hides_nothing() -> None:
    assert visible("❤\ufe0f\ufe0f") == "❤\ufe0f\\ufe0f"


def test_a_cell_is_one_line() -> None:
    assert visible_cell("a\n\tb\r\x1b[2J") == "a\\n\\tb\\x0d\\x1b[2J"
