"""Which tests sit together in one test process, and what the others do meanwhile (`pytest -n 2`).

What takes long to start, a running service for one, is started once by each test process that needs it. So its tests
stay together; they are dealt out first, and single tests fill up what time is left, to an even end. (The marks that
pytest-xdist has for this go unheard under pytest 9.2: it writes them into an attribute that items no longer have.)
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# The beginning of a test's id, with its folder; the first that fits counts.
TOGETHER: dict[str, str] = {
    r"e2e/test_service\.py::\w+\[sqlite\]": "the plant on SQLite",
    r"faults/test_fault_sqlite\.py::test_a_full_disk": "the plant on SQLite",
    r"faults/test_fault_sqlite\.py": "",
    r"faults/": "the plant",
    r"e2e/test_service\.py::\w+\[postgresql\]": "the plant",
    r"e2e/test_hostile_connections\.py": "the plant",
    r"e2e/test_docs_blocks\.py::test_every_block_that_can_be_run": "the house",
    r"e2e/test_examples\.py": "the house",
    r"e2e/test_console\.py": "the house",
    r"model/test_model\.py::test_(no|once)_\w+\[one attempt\]": "the world of one attempt",
    r"model/test_model\.py::test_(no|once)_\w+\[no beat\]": "the world without a beat",
    r"unit/docs/test_site\.py": "the site",
}


def group_of(test: str) -> str:
    """The group of a test; a test that may run anywhere is a group of its own."""
    for beginning, group in TOGETHER.items():
        if re.match(rf"tests/{beginning}", test):
            return group or test
    return test


class Spreading(LoadScopeScheduling):
    """Deals out groups, the largest first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spreading:
    return Spreading(config, log)
