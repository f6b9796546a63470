"""What `rushes up` throws away by itself is told."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import load
from jobs.upkeep.prune import Pruned
from rushes.local import pruner
from storage.errors import BucketUnavailable


def test_rows_that_went_are_told_though_the_bucket_is_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = Pruned(callbacks=3)

    def away(*_: Any) -> int:
        raise BucketUnavailable("503 SlowDown")

    monkeypatch.setattr(pruner.Pruning, "run", lambda self: gone)
    monkeypatch.setattr(pruner, "prune_aside", away)
    told: queue.Queue[tuple[Pruned, int]] = queue.Queue()
    settings = load({"RUSHES_S3_BUCKET": "videos", "RUSHES_DATA_DIR": str(tmp_path)})
    with pruner.pruning(settings, lambda *said: told.put(said)):
        assert told.get(timeout=10) == (gone, 0)
