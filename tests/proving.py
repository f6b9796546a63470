"""What `make test` runs of all that there is, and what `make prove` adds.

`--prove` runs every test on both kinds of database, and the tests and rows marked `prove`. Without it those are left
out, and tests run on one kind of database but for the ones marked `both_databases`: there SQL itself is tested.
"""

from __future__ import annotations

import pytest

KINDS = ("sqlite", "postgresql")
SAMPLE = KINDS[:1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--prove", action="store_true", help="run all that there is, as a release does")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "prove: takes long, or repeats what another test samples; only `--prove` runs it"
    )
    config.addinivalue_line("markers", "both_databases: SQL itself is tested; runs on both kinds of database, always")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        both = metafunc.config.getoption("--prove") or metafunc.definition.get_closest_marker("both_databases")
        metafunc.parametrize("database_kind", KINDS if both else SAMPLE, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--prove"):
        return
    left_out = [item for item in items if item.get_closest_marker("prove")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("prove")]
