"""One writer for all callbacks that wait: what comes while it writes is the next group, of one commit.

A request is answered from what became of its own row, once that is committed and not before. A callback that its group
would have to wait for, or that the database refuses, is kept by its own request's thread, so that no neighbour pays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import IntegrityError

from jobs import logs
from jobs.providers.base import Provider
from jobs.settings import Settings
from jobs.store import keeping
from jobs.store.database import BUSY_S, Database, DatabaseUnavailable
from jobs.store.keeping import Callback, Kept

MOST = 256  # in one group

Tell = Callable[[Kept], None]
Wait = Callable[[threading.Event, float], bool]  # for an event, so many seconds at most; False: it did not come

log = structlog.get_logger()


@dataclass(eq=False)
class _Waiting:
    """A request's callback, and what became of it: kept, or not for this error, or neither: to be kept alone."""

    callback: Callback
    tell: Tell
    context: Context = field(default_factory=copy_context)
    kept: Kept | None = None
    error: DatabaseUnavailable | None = None
    leads: bool = False
    turn: threading.Event = field(default_factory=threading.Event)  # it is decided, or it is to lead


class Keeper:
    """Keeps the callbacks of one process. Safe for threads.

    The first one that waits writes for all that do, and hands on to the first of those that have come meanwhile.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        providers: Mapping[str, Provider],
        *,
        wait: Wait = threading.Event.wait,
    ) -> None:
        self._database, self._settings, self._providers, self._wait = database, settings, providers, wait
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._is_led = False

    def keep(self, callback: Callback, tell: Tell) -> Kept:
        """Returns once it is committed. Raises DatabaseUnavailable, also if nobody has come to it in time.

        `tell` is called with what became of it, as soon as that is committed: in the caller's context, and in the
        thread that has written it.
        """
        mine = _Waiting(callback, tell)
        with self._lock:
            self._queue.append(mine)
            mine.leads, self._is_led = not self._is_led, True
        try:
            if not mine.leads and not self._wait(mine.turn, BUSY_S):
                self._give_up(mine)
        except BaseException:
            self._leave(mine)
            raise
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise mine.error
        if mine.kept is None:
            mine.kept = self._alone(callback)
            tell(mine.kept)
        return mine.kept

    def _give_up(self, mine: _Waiting) -> None:
        """Nobody has come to it. It may be kept yet, by whoever has it in hand, as after any commit of unknown end."""
        with self._lock:
            if mine.turn.is_set():  # just now
                return
        raise DatabaseUnavailable(f"the writer of callbacks has not come to it within {BUSY_S} s")

    def _leave(self, mine: _Waiting) -> None:
        with self._lock:
            if mine in self._queue:
                self._queue.remove(mine)
            if mine.leads:
                self._hand_on()

    def _lead(self) -> None:
        with self._lock:
            group, self._queue = self._queue[:MOST], self._queue[MOST:]
        try:
            self._write(group)
        finally:
            with self._lock:
                self._hand_on()
            with logs.together():
                self._tell(group)
            for waiting in group:
                waiting.turn.set()

    def _tell(self, group: Sequence[_Waiting]) -> None:
        """Of all at once: woken one by one, each would first wait for all others."""
        for waiting in group:
            if waiting.kept is None:
                continue
            try:
                waiting.context.run(waiting.tell, waiting.kept)
            except Exception:  # it is kept; the sweep rings for it
                log.exception("callback_not_told", job=waiting.callback.job_id)

    def _hand_on(self) -> None:
        """Under the lock: let the first of those who wait lead, if somebody does."""
        self._is_led = bool(self._queue)
        for waiting in self._queue[:1]:
            waiting.leads = True
            waiting.turn.set()

    def _write(self, group: list[_Waiting]) -> None:
        begun = time.monotonic()
        try:
            with self._database.write() as db:
                now, callbacks = self._database.clock(db), [waiting.callback for waiting in group]
                kept = keeping.keep_all(db, callbacks, self._settings, self._providers, now=now)
        except DatabaseUnavailable as e:
            # One of them may be to blame: a row that somebody holds. If it took long, all have waited enough.
            if len(group) == 1 or time.monotonic() - begun > BUSY_S / 2:
                for waiting in group:
                    waiting.error = e
        except Exception:  # one of them is to blame, and shows itself when each is kept alone
            log.exception("callbacks_not_kept_together", count=len(group))
        else:
            for waiting, each in zip(group, kept, strict=True):
                waiting.kept = each

    def _alone(self, callback: Callback) -> Kept:
        try:
            return self._keep(callback)
        except IntegrityError:  # its twin came at the same moment, and is kept by now
            return self._keep(callback)

    def _keep(self, callback: Callback) -> Kept:
        with self._database.write() as db:
            now = self._database.clock(db)
            return keeping.keep(db, callback, self._settings, self._providers, now=now)
