"""What a field of the request costs: the files that know it by name. A new one should cost no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from jobs.providers.registry import PROVIDERS
from jobs.request.fields import FIELDS

ROOT = Path(__file__).parents[4]
MOST = 4
GATEWAYS = {f"jobs/providers/{name}.py" for name in PROVIDERS}
# Every video has a text and a length, which more is made of than handing them on: prices, budgets, archives.
HANDED_ON = [field.name for field in FIELDS if field.name not in ("prompt", "duration")]


def names(tree: ast.AST) -> Iterator[str]:
    """Whatever a file calls something by; not the words of its prose."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(name)):
                yield name


@cache
def files_by_name() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for folder in ("jobs", "rushes", "storage", "webhooks"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in names(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("field", HANDED_ON)
def test_a_field_stands_in_four_files_beside_the_gateways_own(field: str) -> None:
    known_in = files_by_name()[field] - GATEWAYS
    assert {"jobs/request/fields.py", "jobs/request/generation.py"} <= known_in
    assert len(known_in) <= MOST, sorted(known_in)


def test_a_field_of_one_gateway_stands_in_four_files_with_that_gateways() -> None:
    of_one = {field: files_by_name()[field] for field in HANDED_ON if len(files_by_name()[field] & GATEWAYS) == 1}
    assert "shot_type" in of_one
    assert {field: sorted(files) for field, files in of_one.items() if len(files) > MOST} == {}
