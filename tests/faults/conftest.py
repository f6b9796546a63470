"""One plant for each test process: started once, broken by every test, and put right before the next."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from plant import Plant
from plant import plant as running_plant

from rushes.local.seaweedfs import SeaweedFS

if sys.platform != "linux":
    collect_ignore_glob = ["test_fault_*.py"]  # the tests look at /proc and use prlimit


@pytest.fixture(scope="package")
def works(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """All processes on PostgreSQL, for every test of this folder."""
    with running_plant(tmp_path_factory.mktemp("plant"), seaweedfs) as made:
        yield made


@pytest.fixture
def plant(works: Plant) -> Iterator[Plant]:
    """The plant, whole and idle. After the test everybody is held to what was ordered in it."""
    works.heal()
    works.book.forget()
    yield works
    works.heal()
    works.settle()
