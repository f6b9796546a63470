"""What scripts that show a fault are written with: the checkout, a folder that goes away, a free port.

A script that `tests/cases/run.py` runs imports this package by the name `kit`. A module for each kind of script.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from rushes.local.ports import free_ports

CHECKOUT = Path(__file__).resolve().parents[3]


def folder() -> Path:
    """A new folder, removed when the script ends."""
    path = Path(tempfile.mkdtemp(prefix="rushes-case-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def port() -> int:
    return free_ports(1)[0]
