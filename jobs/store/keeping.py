"""Keeping callbacks before they are answered: one, or a group in a few statements, each as if it had come alone."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Note
from jobs.machine.rows import Attempt
from jobs.machine.schedule import heard_until
from jobs.machine.states import ENDED, State
from jobs.providers.base import Provider
from jobs.settings import Settings
from jobs.store import attempt_rows, hearsay, many, unknown_words
from jobs.store.hearsay import Heard, Ordered
from jobs.store.history import line, write_lines
from jobs.store.many import one_of
from jobs.store.packed_rows import Unpacked, packed
from jobs.store.prepared import at
from jobs.store.tables import attempts, inbox, jobs

_THESE = one_of(jobs.c.id, "job_ids")
# In the order of their ids, so that two groups do not lock each other out. Rows that refer to a job may come meanwhile.
_LOCK = sa.select(jobs.c.id).where(_THESE).order_by(jobs.c.id).with_for_update(key_share=True)
_KNOWN = sa.select(jobs.c.id).where(_THESE)
_OF_ORDER = [attempts.c[name] for name in ("number", *Ordered._fields)]
_OF_BODY = [inbox.c[name] for name in ("attempt", "digest", "status", "read_at", "readable")]
_ORDER, _BODY = Unpacked(_OF_ORDER, {}), Unpacked(_OF_BODY, {})
_UNKNOWN_BODIES = sa.select(inbox.c.job_id, *_OF_BODY).where(one_of(inbox.c.job_id, "job_ids"))
_WAKE = (
    sa.update(jobs)
    .where(one_of(jobs.c.id, "woken"))
    .values(version=jobs.c.version + 1, alarm_at=at("now"), updated_at=at("now"))
)


@dataclass(frozen=True)
class Callback:
    """A callback under a genuine token. `status`: the answer that it gets, now and whenever it comes again."""

    provider: str
    job_id: str
    attempt: int
    body: bytes
    headers: Mapping[str, str]
    readable: bool
    task_id: str | None
    status: int


@dataclass(frozen=True)
class Kept:
    """What came of keeping one. `state` is None for a job that this database does not know.

    `kept_at`: by the database's clock, if this one's body was the first of its kind.
    """

    status: int
    state: State | None
    ring: bool
    kept: bool
    kept_at: datetime | None = None


class _Body(NamedTuple):
    """What is remembered of a body that was kept."""

    status: int
    read_at: datetime | None
    readable: bool


@cache
def _standing(dialect: str, *, locks: bool) -> sa.Select[Any]:
    """Jobs with what is known of their orders and what is kept of their callbacks.

    `locks`: in the same statement, those that nobody else has locked. It may miss what is committed beside a job while
    it runs: a body that is kept twice then is refused by its unique index, and its callback kept alone.
    """
    # Job by job: for all at once PostgreSQL would read all of a table that was empty when it planned.
    beside = ((_OF_ORDER, attempts), (_OF_BODY, inbox))
    rows = [packed(columns, table.c.job_id == jobs.c.id, is_sqlite=dialect == "sqlite") for columns, table in beside]
    select = sa.select(jobs.c.id, jobs.c.state, jobs.c.alarm_at, *rows).where(_THESE).order_by(jobs.c.id)
    return select.with_for_update(key_share=True, skip_locked=True, of=jobs) if locks else select


@cache
def _insert_and_wake(names: tuple[str, ...]) -> sa.Update:
    """Of a group, in one statement of PostgreSQL's."""
    return _WAKE.add_cte(many.insert_arrays(inbox, names).cte("kept"))


def keep(
    db: Connection, callback: Callback, settings: Settings, providers: Mapping[str, Provider], *, now: datetime
) -> Kept:
    """Keep a callback and wake its job, in the caller's transaction. The same body is kept once.

    Of an order's first bodies all is kept, of further ones the task id. The first that cannot be read counts as a drift
    of its gateway.
    """
    desk = Desk(db, [callback.job_id], settings, providers, now)
    desk.open([callback])
    kept = desk.keep(callback)
    desk.write()
    return kept


def keep_all(
    db: Connection,
    group: Sequence[Callback],
    settings: Settings,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
) -> list[Kept | None]:
    """As `keep`, each as if they had come one after the other.

    None: somebody is writing its job, and would have to be waited for; nothing of this callback is kept.
    """
    desk = Desk(db, {callback.job_id for callback in group}, settings, providers, now, waits=False)
    free = [callback for callback in group if callback.job_id not in desk.busy]
    desk.open(free)
    kept = {id(callback): desk.keep(callback) for callback in free}
    desk.write()
    return [kept.get(id(callback)) for callback in group]


class Desk:
    """Some jobs, locked; what callbacks change of them is written at the end.

    `waits`: for jobs that somebody writes just now; else these are `busy`.
    """

    def __init__(
        self,
        db: Connection,
        job_ids: Collection[str],
        settings: Settings,
        providers: Mapping[str, Provider],
        now: datetime,
        *,
        waits: bool = True,
    ) -> None:
        self._db, self._settings, self._providers, self._now = db, settings, providers, now
        wanted = sorted(job_ids)
        if waits:  # a read that waits for a lock sees what stood beside the job before it waited
            db.execute(_LOCK, {"job_ids": wanted})
        found = db.execute(_standing(db.dialect.name, locks=not waits), {"job_ids": wanted}).all()
        self._states = {row.id: State(row.state) for row in found}
        self._alarmed = {row.id for row in found if row.alarm_at is not None}
        orders = ((row.id, *_ORDER(order)) for row in found for order in row.of_attempts)
        self._ordered = {(job_id, number): Ordered(*known) for job_id, number, *known in orders}
        self._bodies: dict[tuple[str, int], dict[str, _Body]] = defaultdict(dict)
        self._note_bodies((row.id, *_BODY(body)) for row in found for body in row.of_inbox)
        missing = [job_id for job_id in wanted if job_id not in self._states]
        self.busy = set() if waits or not missing else set(db.execute(_KNOWN, {"job_ids": missing}).scalars())
        if unknown := [job_id for job_id in missing if job_id not in self.busy]:
            self._note_bodies(db.execute(_UNKNOWN_BODIES, {"job_ids": unknown}))
        ended = [job_id for job_id in self._states if job_id not in self._alarmed]
        self._over = attempt_rows.of_jobs(db, ended) if ended else {}
        self._heard = Heard(db, ())
        self._woken: set[str] = set()
        self._new: list[dict[str, Any]] = []
        self._lines: list[dict[str, Any]] = []
        self._strange: list[Note] = []

    def open(self, group: Sequence[Callback]) -> None:
        """Read what is kept of the tasks that these tell of."""
        told = (x for x in group if hearsay.may_be_news(self._ordered.get((x.job_id, x.attempt)), x.provider))
        self._heard = Heard(self._db, {(x.job_id, x.attempt, x.task_id) for x in told if x.task_id is not None})

    def state(self, job_id: str) -> State | None:
        return self._states.get(job_id)

    def keep(self, callback: Callback) -> Kept:
        """What is to be answered, and to be written of it."""
        digest, order = hashlib.sha256(callback.body).hexdigest(), (callback.job_id, callback.attempt)
        state, bodies = self.state(callback.job_id), self._bodies[order]
        if digest in bodies:
            is_open = callback.job_id in self._alarmed
            return Kept(bodies[digest].status, state, ring=is_open and bodies[digest].read_at is None, kept=True)
        has_room = len(bodies) < self._settings.max_inbox_rows
        is_heard = callback.task_id is not None and self._heard.note(
            self._ordered.get(order), (*order, callback.task_id), callback.provider, again=has_room, now=self._now
        )
        if not has_room:
            return Kept(200, state, ring=is_heard and self.wake(*order), kept=False)
        # An answer that asks for another try helps nobody once the job has ended or is not known here.
        status = callback.status if state is not None and state not in ENDED else 200
        if state is not None and not callback.readable and all(body.readable for body in bodies.values()):
            self._note_drift(callback)
        bodies[digest] = _Body(status, None, callback.readable)
        self._new.append(
            {
                "job_id": callback.job_id,
                "attempt": callback.attempt,
                "provider": callback.provider,
                "digest": digest,
                "body": callback.body,
                "headers": dict(callback.headers),
                "readable": callback.readable,
                "status": status,
                "task_id": callback.task_id,
                "received_at": self._now,
            }
        )
        return Kept(status, state, ring=self.wake(*order), kept=True, kept_at=self._now)

    def wake(self, job_id: str, number: int) -> bool:
        """Wake a job to what is said of one of its orders; an ended one if that can still matter. False: no use.

        It matters to an order that is over and whose video is not in the bucket, while task and link can live: whoever
        called it over may have been wrong. And to one that has no row, or of which nothing was made: only we mint its
        token, so this database has forgotten it.
        """
        if job_id not in self._states:
            return False
        over = self._over.get((job_id, number))
        if job_id not in self._alarmed and over is not None and not self._can_matter(over):
            return False
        self._alarmed.add(job_id)
        self._woken.add(job_id)
        return True

    def _can_matter(self, over: Attempt) -> bool:
        is_heard = over.can_still_deliver and self._now < heard_until(over, self._settings, self._providers)
        return is_heard or over.made_nothing

    def write(self) -> None:
        """Write what has come together, in one order of jobs and gateways: two groups wait for each other one way only.

        Of one job the order of arrival stays.
        """
        new = sorted(self._new, key=lambda row: str(row["job_id"]))
        self._heard.write(self._db)
        write_lines(self._db, self._lines)
        strange = sorted(self._strange, key=lambda note: str(note.detail["provider"]))
        unknown_words.count(self._db, strange, now=self._now)
        woken = {"woken": sorted(self._woken), "now": self._now}
        if len(new) > 1 and self._woken and self._db.dialect.name == "postgresql":
            self._db.execute(_insert_and_wake(tuple(new[0])), many.arrays(new) | woken)
            return
        many.insert(self._db, inbox, new)
        if self._woken:
            self._db.execute(_WAKE, woken)

    def _note_bodies(self, rows: Iterable[Iterable[Any]]) -> None:
        for job_id, attempt, digest, *kept in rows:
            self._bodies[job_id, attempt][digest] = _Body(*kept)

    def _note_drift(self, callback: Callback) -> None:
        strange = {"provider": callback.provider, "word": unknown_words.OTHER_CALLBACK}
        note = Note(unknown_words.SHAPE_EVENT, callback.attempt, strange)
        self._lines.append(line(callback.job_id, note, self._now))
        self._strange.append(note)
