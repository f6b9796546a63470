"""The running plant for the tests that need one: whole and empty at the start of each.

`tests/spreading.py` keeps these tests in one test process, so that it is started once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plant import Plant
from plant import plant as running_plant

from rushes.local.seaweedfs import SeaweedFS


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
