from __future__ import annotations

import pytest
from rows import Rows

from jobs.store.database import Database


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)
