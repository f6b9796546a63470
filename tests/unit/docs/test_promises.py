"""docs/promises.md names tests, rules and faults: each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from protections import PROTECTIONS

TESTS = Path(__file__).parents[2]
PAGE = (TESTS.parent / "docs" / "promises.md").read_text()
SIMULATION = TESTS / "simulation"
PROVE = "pytest.mark.prove"


def _named(pattern: str) -> set[str]:
    return set(re.findall(pattern, PAGE))


def test_every_test_that_a_promise_rests_on_is_there() -> None:
    files = list(TESTS.rglob("test_*.py"))
    there = {path.stem for path in files}
    for path in files:
        there |= set(re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE))
    named = _named(r"`(test_\w+)`")
    assert len(named) > 80
    assert named <= there, sorted(named - there)


def test_the_tests_of_each_promise_are_those_that_turn_red_without_its_protections() -> None:
    rows = re.findall(r"^\| (P\d+) \| [^|]* \| ([^|]*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 15
    red: dict[str, set[str]] = {promise: set() for promise, _ in rows}
    for protection in PROTECTIONS:
        red[protection.promise].add(protection.test.partition("::")[2].partition("[")[0])
    assert {promise: set(re.findall(r"`(test_\w+)`", tests)) for promise, tests in rows} == red


def test_every_test_of_a_promise_is_in_the_sample() -> None:
    """So that `make test` runs it as it is, and only `make prove` without a protection."""
    files = {protection.test.partition("::")[0] for protection in PROTECTIONS}
    assert [file for file in files if not (TESTS / file).is_file()] == []
    assert {protection.test.partition("::")[2].partition("[")[0] for protection in PROTECTIONS} <= _sampled()


def _sampled() -> set[str]:
    """The tests that `make test` runs a row of at least, and their modules."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        body = ast.parse(path.read_text()).body
        marks = [ast.unparse(each) for each in body if isinstance(each, ast.Assign)]
        if not any(mark.startswith("pytestmark = ") and PROVE in mark for mark in marks):
            tests = [each for each in body if isinstance(each, ast.FunctionDef)]
            found |= {each.name for each in tests if PROVE not in map(ast.unparse, each.decorator_list)} | {path.stem}
    return found


def test_every_rule_that_a_promise_rests_on_is_one_of_the_simulators_and_each_is_named() -> None:
    rules = set(re.findall(r'^    "([a-z]+(?:-[a-z]+)*)": ', (SIMULATION / "sim_rules.py").read_text(), re.MULTILINE))
    assert len(rules) > 20
    assert rules <= set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", PAGE)), "a rule that no promise names"
    named = _named(r"`([a-z]+(?:-[a-z]+)+)`")
    assert named <= rules, sorted(named - rules)


def test_every_fault_of_the_simulator_that_the_page_names_is_one() -> None:
    faults = set(re.findall(r'^    "([a-z_]+)": \(', (SIMULATION / "sim_fate.py").read_text(), re.MULTILINE))
    said = [after for line in PAGE.splitlines() for after in re.findall(r"[Ss]imulator ([^|;]*)", line)]
    named = {word for words in said for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", words)} - {"sim_fate"}
    assert len(named) > 25
    assert named <= faults, sorted(named - faults)


def test_every_row_of_the_catalogue_has_a_test_or_a_reason() -> None:
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]*) \| (.*) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 88))
    for number, real, elsewhere in rows:
        assert len(f"{real}{elsewhere}") > 20, number
