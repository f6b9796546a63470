"""What `rushes up` throws away by itself, every hour, is told."""

from __future__ import annotations

import queue
from pathlib import Path

from rushes.local import pruner
from rushes.local.installation import new_installation
from rushes.local.plan import Flags, Plan, plan


def planned(folder: Path, script: str) -> Plan:
    """A plan by which `rushes` is this script."""
    program = folder / "rushes"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return plan({}, new_installation(), Flags(), data_dir=folder, bin_dir=folder)


def test_what_went_and_what_was_in_the_way_is_told_and_nothing_is_not(tmp_path: Path) -> None:
    told: queue.Queue[str] = queue.Queue()
    said = "echo deleted nothing; echo deleted 3 callbacks >&2; echo error: 503 SlowDown >&2; exit 6"
    with pruner.pruning(planned(tmp_path, f'test "$*" = "db prune" && {{ {said}; }}'), told.put):
        assert [told.get(timeout=20) for _ in range(2)] == ["deleted 3 callbacks", "error: 503 SlowDown"]
    assert told.empty()


def test_the_end_does_not_wait_for_it(tmp_path: Path) -> None:
    told: queue.Queue[str] = queue.Queue()
    with pruner.pruning(planned(tmp_path, "echo it begins; exec sleep 600"), told.put):
        assert told.get(timeout=20) == "it begins"
