"""The running plant for the tests that need one: whole and empty at the start of each.

Tests that share something which takes long to start sit together in one test process: so it is started once, and the
other processes run everything else meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plant import Plant
from plant import plant as running_plant

from rushes.local.seaweedfs import SeaweedFS

SHARED = ("works", "sqlite_works", "running_house")  # fixtures; a test belongs to the group of the first that it uses


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        used = getattr(item, "fixturenames", ())
        if name := next((name for name in SHARED if name in used), None):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def works(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """All processes on PostgreSQL, started once in a test process."""
    with running_plant(tmp_path_factory.mktemp("plant"), seaweedfs) as made:
        yield made


@pytest.fixture(scope="module")
def sqlite_works(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """The same on SQLite, for the modules that ask for it."""
    with running_plant(tmp_path_factory.mktemp("plant"), seaweedfs, sqlite=True) as made:
        yield made


@pytest.fixture
def plant(works: Plant) -> Iterator[Plant]:
    """The plant on PostgreSQL. What the test breaks is mended after it, and everybody is held to what was ordered."""
    yield from _lent(works)


@pytest.fixture
def sqlite_plant(sqlite_works: Plant) -> Iterator[Plant]:
    yield from _lent(sqlite_works)


def _lent(made: Plant) -> Iterator[Plant]:
    made.heal()
    made.empty()
    yield made
    made.heal()
    made.settle()
