"""Throws away what is old while `rushes up` runs: what `rushes db prune` does, without a cron."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog

from jobs.buckets import bucket
from jobs.settings import Settings
from jobs.store.database import Database, DatabaseUnavailable
from jobs.upkeep.prune import Pruned, Pruning
from jobs.upkeep.prune_aside import prune_aside
from rushes.local.background import in_background
from storage.errors import BucketUnavailable

EVERY_S = 3600.0

OnPruned = Callable[[Pruned, int], None]

log = structlog.get_logger()


class _Stopped(Exception):
    """The service stops: what is left is old tomorrow as well."""


def pruning(settings: Settings, on_pruned: OnPruned) -> AbstractContextManager[None]:
    """Prune at once, and then every hour, in a thread.

    `on_pruned` hears there what went, if anything did: the rows, and how many films that were kept aside.
    """
    return in_background("pruning", lambda stopping: _prune(settings, stopping, on_pruned))


def _prune(settings: Settings, stopping: threading.Event, on_pruned: OnPruned) -> None:
    def pause(seconds: float) -> None:
        if stopping.wait(seconds):
            raise _Stopped

    database = Database(settings.database_url, threads=1)
    try:
        while not stopping.is_set():
            _once(database, settings, pause, on_pruned)
            pause(EVERY_S)
    except _Stopped:
        pass
    finally:
        database.close()


def _once(database: Database, settings: Settings, pause: Callable[[float], None], on_pruned: OnPruned) -> None:
    try:
        done, films = Pruning(database, settings, pause=pause).run(), 0
        try:
            films = prune_aside(database, bucket(settings), settings)
        finally:  # the rows are gone, also where the bucket is away
            if done or films:
                on_pruned(done, films)
    except (DatabaseUnavailable, BucketUnavailable) as error:
        log.warning("not_pruned", reason=str(error))
    except _Stopped:
        raise
    except Exception:  # the next one may fare better
        log.exception("not_pruned")
