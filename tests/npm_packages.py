"""What tests take from npm, installed by its lock where it is missing."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

NPM = Path(__file__).parent / "npm"
MODULES = NPM / "node_modules"


def installed() -> tuple[str, Path]:
    """Where node is, and the folder of the packages. Skips the test where there is no node."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not here")
    wanted, there = NPM / "package-lock.json", MODULES / ".package-lock.json"
    with wanted.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not there.exists() or there.stat().st_mtime < wanted.stat().st_mtime:
            subprocess.run([npm, "ci"], cwd=NPM, check=True, capture_output=True, timeout=300)
    return node, MODULES
