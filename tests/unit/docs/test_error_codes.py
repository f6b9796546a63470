"""jobs/machine/error_codes.py holds every word that the code can say, and no other."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import jobs
from jobs.machine.error_codes import (
    ERRORS,
    FINDINGS,
    FLAGS,
    IN_LINE,
    MISFITS,
    OWN_TROUBLE,
    REASONS,
    TAKES_TURNS,
    WAITS,
    Meaning,
)
from jobs.machine.held_jobs import ASKS
from jobs.providers.capabilities import Why
from jobs.providers.refusals import Rule
from jobs.store import availability

ROOT = Path(__file__).parents[3]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "jobs").rglob("*.py"))}
# Calls whose first argument is a code; columns that lease one; parameters that take one.
MADE_BY = {"errors": {"Failure", "Rule"}, "waits": {"Obstacle"}, "flags": set[str]()}
COLUMNS = {"errors": {"error_code"}, "waits": set[str](), "flags": {"flagged"}}
PARAMETERS = {"errors": {"error_code", "code"}, "waits": set[str](), "flags": {"flagged"}}


def words(node: ast.AST | None) -> set[str]:
    """The strings in an expression that look like codes."""
    found = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)] if node else []
    return {value for value in found if isinstance(value, str) and value.isidentifier() and value.islower()}


def said(kind: str, tree: ast.AST) -> Iterator[str]:
    """The codes of one kind that a module's text says."""
    functions = {f.name: f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in MADE_BY[kind] and node.args:
                yield from words(node.args[0])
            for keyword in node.keywords:
                if keyword.arg in COLUMNS[kind]:
                    yield from words(keyword.value)
            parameters = [a.arg for a in functions[name].args.args] if name in functions else []
            for parameter, argument in zip(parameters, node.args, strict=False):
                if parameter in PARAMETERS[kind]:
                    yield from words(argument)
        elif isinstance(node, ast.FunctionDef):
            given = node.args.args[len(node.args.args) - len(node.args.defaults) :]
            for taken, default in zip(given, node.args.defaults, strict=True):
                if taken.arg in PARAMETERS[kind]:
                    yield from words(default)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in COLUMNS[kind]:
                    yield from words(value)
        elif isinstance(node, ast.Assign):
            if any(isinstance(target, ast.Name) and target.id in COLUMNS[kind] for target in node.targets):
                yield from words(node.value)
            if any(isinstance(t, ast.Subscript) and words(t.slice) & COLUMNS[kind] for t in node.targets):
                yield from words(node.value)


def tables() -> Iterator[tuple[ModuleType, str, object]]:
    """Every table of a module of this room, by its name."""
    for found in pkgutil.walk_packages(jobs.__path__, "jobs."):
        if ".migrations" not in found.name and found.name not in ("jobs.celery_app", "jobs.worker.tasks"):
            module = importlib.import_module(found.name)
            yield from ((module, name, table) for name, table in vars(module).items() if isinstance(table, dict))


def by_text(kind: str) -> set[str]:
    return {code for path, tree in TREES.items() if path.name != "error_codes.py" for code in said(kind, tree)}


def by_table() -> dict[str, set[str]]:
    """Codes that stand as values of tables: refusals, failures, ends of transfers, flags."""
    found: dict[str, set[str]] = {"errors": set(), "flags": set()}
    for _, name, table in tables():
        values = list(table.values()) if isinstance(table, dict) else []
        found["errors"] |= {value.code for value in values if isinstance(value, Rule)}
        if name == "FAILURES":
            found["errors"] |= {code for code, _ in values}
        if name == "END_CODES":
            found["errors"] |= set(values)
        if name == "_FLAGS":
            found["flags"] |= set(values)
    return found


def test_every_error_code_has_its_meaning() -> None:
    found = by_text("errors") | by_table()["errors"]
    assert {"not_started", "submit_unconfirmed", "task_expired", "key_conflict", "link_expired", "bad_video"} <= found
    assert found == set(ERRORS)


def test_every_reason_to_wait_has_its_meaning() -> None:
    found = (
        by_text("waits") | set(availability.WORDS) | {IN_LINE, OWN_TROUBLE, ASKS, TAKES_TURNS}
    )  # the view's own, an unsent order's, and those of news and of others' orders, by name
    assert {"full", "over_budget", "unreachable", "rate_limited"} <= found
    assert found == set(WAITS)


def test_every_flag_has_its_meaning() -> None:
    found = by_text("flags") | by_table()["flags"]
    assert {"troubled", "uncertain_money", "out_of_credit"} <= found
    assert found == set(FLAGS)


def test_every_reason_why_a_gateway_does_not_fit_has_its_meaning() -> None:
    assert set(MISFITS) == set(Why)


def made_by(*names: str) -> set[str]:
    """The codes that calls of these functions have as their first argument."""
    calls = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return {code for call in calls if getattr(call.func, "id", "") in names for code in words(call.args[0])}


def test_every_finding_of_an_audit_has_its_meaning() -> None:
    assert made_by("Finding", "found") == set(FINDINGS)


def test_every_reason_for_a_person_has_its_meaning() -> None:
    assert made_by("Item") | set(FLAGS) == set(REASONS)


@pytest.mark.parametrize("table", [ERRORS, WAITS, FLAGS, MISFITS, REASONS, FINDINGS])
def test_a_meaning_is_a_sentence_and_says_what_to_do(table: dict[str, Meaning]) -> None:
    for meaning in table.values():
        assert meaning.said.endswith(".")
        assert meaning.then
        assert "|" not in meaning.said + meaning.then  # it stands in a table
