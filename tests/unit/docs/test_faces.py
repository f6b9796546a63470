"""Every package has a face: an `__init__.py` that says what belongs there and what does not, and imports nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = [
    file.parent
    for package in ("jobs", "webhooks", "storage", "rushes", "sandbox")
    for file in sorted((ROOT / package).rglob("__init__.py"))
]
EVERY = pytest.mark.parametrize("package", PACKAGES, ids=[str(each.relative_to(ROOT)) for each in PACKAGES])

# The command line's entry point, and the sandbox's list of its gateways.
MORE_THAN_A_FACE = {ROOT / "rushes" / "cli", ROOT / "sandbox" / "gateways"}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {file.parent for each in PACKAGES for file in each.rglob("*.py")}
    assert folders == set(PACKAGES)


@EVERY
def test_a_face_says_what_belongs_there_and_what_does_not(package: Path) -> None:
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert said is not None
    belongs, *others = said.split("\n\n")
    assert len(belongs) > 40
    assert len(others) == 1
    assert others[0].startswith("Not here: ")
    assert len(said.splitlines()) <= 8


@EVERY
def test_a_face_holds_nothing_else_for_it_is_imported_with_every_module_of_its_package(package: Path) -> None:
    body = ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
    assert (len(body) > 1) is (package in MORE_THAN_A_FACE)
