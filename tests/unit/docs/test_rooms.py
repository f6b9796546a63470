"""docs/rooms.py: which arrows the picture of the rooms shows, and what it refuses to draw."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def rooms() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("rooms")


def test_an_arrow_that_follows_from_others_is_left_out(rooms: ModuleType) -> None:
    arrows = {"steps": {"store", "machine", "storage"}, "store": {"machine"}}
    assert rooms.needed("steps", arrows) == {"store", "storage"}
    assert rooms.needed("store", arrows) == {"machine"}
    assert rooms.needed("machine", arrows) == set()


def test_rooms_that_import_each_other_are_not_drawn(rooms: ModuleType) -> None:
    with pytest.raises(ValueError, match="store imports what imports store"):
        rooms.needed("store", {"store": {"machine"}, "machine": {"rows"}, "rows": {"store"}})


def test_the_picture_has_every_room_of_the_code_and_says_its_arrows_in_words(rooms: ModuleType) -> None:
    drawn = rooms.drawing()
    for room in ("api", "cli", "worker", "intake", "upkeep", "steps", "reports", "store", "machine", "proof"):
        assert f"[{room}]" in drawn
    assert "jobs_store --> jobs_machine" in drawn
    assert "jobs.store imports jobs.machine;" in drawn
    assert "jobs_machine --> jobs_store" not in drawn


def test_the_table_has_every_package_with_both_paragraphs_of_its_face(rooms: ModuleType) -> None:
    rows = [line.strip("| ").split(" | ") for line in rooms.faces().splitlines()[2:]]
    packages = {str(file.parent.relative_to(DOCS.parent)) for file in (DOCS.parent / "jobs").rglob("__init__.py")}
    assert {f"`{package}/`" for package in packages} <= {row[0] for row in rows}
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
