"""What the documentation and the help say of the faults, held against the table of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sandbox.__main__ import parser
from sandbox.faults import FAULTS, FILM, HEADER, QUERY, SUBMIT, Kind, Words

PAGE = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")
ROWS = {
    name: [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)]
    for name, row in re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE)
}
EVERY = pytest.mark.parametrize(("name", "kind"), FAULTS.items(), ids=list(FAULTS))


def parameters(kind: Kind) -> list[str]:
    """Each as the page shows it: with its default, and the other words it may be."""
    shown = []
    for key, each in kind.params.items():
        words = each.read.words if isinstance(each.read, Words) else ()
        value = "|".join(words) or json.dumps(each.default).strip('"')
        shown.append(f"`{key}={value}`")
    return shown


def test_the_page_has_a_row_for_every_fault_and_for_nothing_else() -> None:
    assert list(ROWS) == list(FAULTS)


@EVERY
def test_a_faults_row_tells_its_requests_and_every_parameter(name: str, kind: Kind) -> None:
    where, given, _ = ROWS[name]
    marked = [f"{on}*" if kind.late and on == SUBMIT else on for on in kind.on]
    assert where == ", ".join(marked)
    # Without a code either, a refusal is a 429.
    expected = [each.replace("`status=null`", "`status=429`") for each in parameters(kind)]
    assert given == ", ".join(expected)


@EVERY
def test_the_first_word_of_a_parameter_is_its_default(name: str, kind: Kind) -> None:
    for each in kind.params.values():
        if isinstance(each.read, Words):
            assert each.default == each.read.words[0]
    assert set(kind.on) <= {SUBMIT, QUERY, FILM}


@EVERY
def test_the_help_teaches_every_fault_with_its_parameters(name: str, kind: Kind) -> None:
    said = parser().format_help()
    assert f"  {name:<23} {kind.does}" in said
    for shown in parameters(kind):
        assert shown.strip("`") in said
    assert HEADER in said


def test_the_page_is_not_longer_than_what_is_read() -> None:
    assert len(PAGE.splitlines()) <= 120
