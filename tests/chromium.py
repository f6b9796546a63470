"""Debian's Chromium, which the console is tried in: installed where it is missing and may be."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCK = Path(__file__)  # two test processes install one after the other
WITHIN_S = 300


def program() -> str:
    """Where it is. Fails the test, with what to do, where it is not and cannot be installed."""
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (found := _found()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in (
                ("apt-get", "update"),
                ("apt-get", "install", "--yes", "--no-install-recommends", NAMES[0]),
            ):
                quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(command, env=quiet, capture_output=True, timeout=WITHIN_S)
            found = _found()
    if found is None:
        pytest.fail(
            "The console is tried in Chromium, which is not here: `apt-get install chromium`, or as root again."
        )
    return found


def _found() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)
