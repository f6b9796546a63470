"""docs/glossary.md: each word has one meaning, and its name is in the code where the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "glossary.md"
ROW = re.compile(
    r"^\| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \| (?P<field>[^|]+) \| \[`(?P<name>\w+)`\]\((?P<path>[^)]+)\) \|$"
)


class Word(NamedTuple):
    word: str
    meaning: str
    field: str
    name: str
    path: str


def rows(page: str) -> list[str]:
    """The lines of the tables, without their heads."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(("| word |", "| --- |"))]


def words(page: str) -> list[Word]:
    return [Word(**row.groupdict()) for line in rows(page) if (row := ROW.match(line))]


def trouble(word: Word) -> str | None:
    """Why a word of the glossary is not one of the code."""
    file = PAGE.parent / word.path
    if not file.is_file():
        return f"{word.path}: no such file"
    if not re.search(rf"\b{word.name}\b", file.read_text(encoding="utf-8")):
        return f"{word.path}: no {word.name}"
    return None


WORDS = words(PAGE.read_text(encoding="utf-8"))


def test_every_line_of_the_tables_is_a_word_with_meaning_term_name_and_place() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(WORDS) > 50
    assert [line for line in rows(text) if not ROW.match(line)] == []


@pytest.mark.parametrize("word", WORDS, ids=[each.word for each in WORDS])
def test_a_word_of_the_glossary_is_in_the_code_where_the_page_says(word: Word) -> None:
    assert trouble(word) is None


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("Job", "../jobs/machine/rows.py", None),
        ("decide", "../jobs/machine/decisions.py", None),
        ("Jo", "../jobs/machine/rows.py", "no Jo"),  # a part of a word is not the word
        ("NoSuchName", "../jobs/machine/rows.py", "no NoSuchName"),
        ("Job", "../jobs/machine/no_such_module.py", "no such file"),
    ],
)
def test_a_word_that_the_code_no_longer_has_is_found(name: str, path: str, why: str | None) -> None:
    (found,) = words(f"| a word | A meaning. | a term | [`{name}`]({path}) |")
    assert trouble(found) == (f"{path}: {why}" if why else None)


def test_every_word_has_one_meaning() -> None:
    said = [each.word for each in WORDS]
    assert len(said) == len(set(said))
    places = [(each.name, each.path) for each in WORDS]
    assert len(places) == len(set(places)), "two words for one thing"
