from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from left_behind import LeftBehind


@pytest.fixture(autouse=True)
def nobody_stays_behind(left_behind: LeftBehind) -> None: ...
