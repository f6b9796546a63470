"""docs/decisions.md: each decision has a date, and one that was replaced says by which."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "decisions.md"
DECISION = re.compile(r"^\*\*(?P<title>.+?)\.\*\* \*(?P<dated>\d{4}-\d{2}-\d{2})(?P<mark>, replaced .+?)?\.\* \S")
REPLACED_BY = re.compile(r', replaced on (?:the same day|\d{4}-\d{2}-\d{2}) by "(?P<title>.+)"')


def decisions() -> list[str]:
    """The paragraphs under the rooms, each on one line."""
    _, *rooms = PAGE.read_text(encoding="utf-8").split("\n## ")
    return [" ".join(paragraph.split()) for room in rooms for paragraph in room.strip().split("\n\n")[1:]]


def test_every_decision_has_a_title_of_its_own_and_a_date() -> None:
    found = [DECISION.match(decision) for decision in decisions()]
    assert len(found) > 60
    assert [said for said, match in zip(decisions(), found, strict=True) if match is None] == []
    titles = [match["title"] for match in found if match]
    assert len(titles) == len(set(titles))


def test_a_replaced_decision_names_the_one_that_took_its_place() -> None:
    marks = [(match["title"], match["mark"]) for each in decisions() if (match := DECISION.match(each))]
    titles = {title for title, _ in marks}
    replaced = [mark for _, mark in marks if mark]
    assert replaced
    for mark in replaced:
        by = REPLACED_BY.fullmatch(mark)
        assert by is not None, mark
        assert by["title"] in titles, mark
