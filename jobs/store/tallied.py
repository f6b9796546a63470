"""What all processes have counted together, in one small table: each adds to it what it has counted since it last did.

So whoever reads it has the sums of the whole service, on however many hosts, and over restarts. What a process that was
killed had not added yet is lost: a few seconds of counts. A sum whose commit was answered too late may be added twice.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from functools import cache
from multiprocessing.util import Finalize

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from jobs.store.database import Database, DatabaseUnavailable, upsert
from jobs.store.tables import tallies

LAST_ADD_S = 3  # that a process which ends waits for

log = structlog.get_logger()


def add(database: Database) -> None:
    """Add what this process has counted. What cannot be written waits for the next time. Raises DatabaseUnavailable."""
    counted = database.tallies.take()
    if not counted:
        return
    try:
        with database.write() as db:
            # In one order, so that two processes do not lock each other out.
            rows = sorted((each.name, json.dumps(each.labels), each.part, value) for each, value in counted.items())
            db.execute(_add(db.dialect.name), [dict(zip(tallies.c.keys(), row, strict=True)) for row in rows])
    except BaseException:
        database.tallies.put_back(counted)
        raise


def read(db: Connection) -> dict[str, dict[tuple[str, ...], dict[str, float]]]:
    """The sums: by measure, labels and part."""
    found: dict[str, dict[tuple[str, ...], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for name, labels, part, value in db.execute(sa.select(tallies)):
        found[name][tuple(json.loads(labels))][part] = value
    return found


class Adding:
    """A thread that adds, every so many seconds, what its process has counted; and once more at the end.

    That is also where nobody closes it, as a WSGI server's worker process closes no app; nor does it run what `atexit`
    has, being a child of multiprocessing.
    """

    def __init__(self, database: Database, every_s: float):
        self._database, self._every_s = database, every_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallies", daemon=True)
        self._thread.start()
        self._at_exit = Finalize(None, self._end, exitpriority=0)

    def close(self) -> None:
        self._at_exit()

    def _end(self) -> None:
        self._closing.set()
        self._thread.join(timeout=LAST_ADD_S)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._closing.wait(self._every_s)
            try:
                add(self._database)
            except DatabaseUnavailable as e:
                log.warning("tallies_not_written", reason=str(e))
            except Exception:  # this thread outlives whatever a database may say
                log.exception("tallies_not_written")


@cache
def _add(dialect: str) -> sa.Insert:
    insert = upsert(dialect, tallies)
    more = {"value": tallies.c.value + insert.excluded.value}
    return insert.on_conflict_do_update(index_elements=list(tallies.primary_key.columns), set_=more)
