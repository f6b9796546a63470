"""What breaks the plant of tests/plant. All its tests run in one test process, so that one plant is started."""

from __future__ import annotations

import sys

if sys.platform != "linux":
    collect_ignore_glob = ["test_fault_*.py"]  # the tests look at /proc and use prlimit
