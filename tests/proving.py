"""What `make test` runs of all that there is, and what `make prove` adds.

`--prove` runs every test on both kinds of database, and the tests and rows marked `prove`. Without it those are left
out, and tests run on one kind of database but for the ones marked `both_databases`: there SQL itself is tested. What
only one kind of database does is marked `databases("postgresql")`, and runs on that one in both cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

KINDS = ("sqlite", "postgresql")
SAMPLE = KINDS[:1]
DRAWN = 5  # of so many examples or rows the sample has one

Row = TypeVar("Row")

_all = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--prove", action="store_true", help="run all that there is, as a release does")


def pytest_configure(config: pytest.Config) -> None:
    global _all
    _all = config.getoption("--prove")
    config.addinivalue_line("markers", "prove: takes long, or repeats what others sample; only `--prove` runs it")
    config.addinivalue_line("markers", "both_databases: SQL itself is tested; runs on both kinds of database, always")
    config.addinivalue_line("markers", "databases(kind): only this kind of database does it; runs on it, always")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", _kinds(metafunc), scope="session")


def drawn(examples: int) -> int:
    """How many of these examples a fuzz test draws: all, or the sample's share."""
    return examples if _all else examples // DRAWN


def sampled(rows: Sequence[Row], at: int) -> list[Row]:
    """All rows, or the sample's share of them, counted from this place."""
    return list(rows) if _all else list(rows[at % DRAWN :: DRAWN])


def prove(*row: object, **more: Any) -> ParameterSet:
    """A row of a table that the sample leaves out."""
    return pytest.param(*row, marks=pytest.mark.prove, **more)


def _kinds(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    if only := metafunc.definition.get_closest_marker("databases"):
        return tuple(str(kind) for kind in only.args)
    both = metafunc.config.getoption("--prove") or metafunc.definition.get_closest_marker("both_databases")
    return KINDS if both else SAMPLE


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--prove"):
        return
    left_out = [item for item in items if item.get_closest_marker("prove")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("prove")]
