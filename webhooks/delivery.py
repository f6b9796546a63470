"""Sending notices: signed as Standard Webhooks has it, at least once, on a timetable that outlives a weekend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection, RowMapping

from jobs import measures
from jobs.measures import status_class
from jobs.steps.resources import Resources
from jobs.store.column_types import Instant
from jobs.store.due import due_notice
from jobs.store.step_table import NOTIFY
from jobs.store.tables import notice_tries, notices
from storage.errors import LinkForbidden
from storage.outbound.guard import masked
from webhooks import posting
from webhooks.errors import NoticeRefused, NoticeUndelivered, WebhooksError

# After each failed try: 5 s, 1 m, 5 m, 30 m, 2 h, 6 h, 12 h, 24 h; then it rests until somebody replays it.
TIMETABLE = (5, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400)
LONGEST_ASKED_S = TIMETABLE[-1]  # the longest pause that a receiver can ask for
GONE = 410  # the receiving side wants no more of these
AT_A_TIME = 8  # of one job; even if each takes as long as it may, the watchdog takes nobody for stuck

log = structlog.get_logger()


@dataclass(frozen=True)
class _LeasedNotice:
    """A notice that we may send, as it was when we took it, and since when."""

    row: RowMapping
    holder: str
    at: datetime


def notify(job_id: str, resources: Resources) -> None:
    """Send a job's due notices in the order of their sequence numbers, until one fails.

    A failed one waits for its next time, and keeps back none of those after it: they are rung for once more, behind
    what others wait for. A receiver that keeps its share of this process's threads busy gets its notices later.
    """
    for _ in range(AT_A_TIME):
        url = _next_url(job_id, resources)
        if url is None:
            return
        with resources.bulkheads.enter(_receiver(url), "notice") as come_back_in:
            if come_back_in:
                _put_off(job_id, come_back_in, resources)
                return
            lease = _claim_next(job_id, resources)
            if lease is None:
                return
            if not _deliver(lease, resources):
                break
    resources.ringer.ring(NOTIFY.name, job_id)


def _next_url(job_id: str, resources: Resources) -> str | None:
    with resources.database.read() as db:
        row = db.execute(_next_due(job_id, resources.database.clock(db))).mappings().one_or_none()
    return None if row is None else str(row["url"])


def _receiver(url: str) -> str:
    """Whose threads' share a notice takes: that of its host and port."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:  # not one that is ever made; sending it says what is wrong
        return url


def _put_off(job_id: str, seconds: float, resources: Resources) -> None:
    """All that is due of the job, so that it still goes out in order."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        later = {"alarm_at": now + timedelta(seconds=seconds), "version": notices.c.version + 1}
        db.execute(sa.update(notices).where(notices.c.job_id == job_id, due_notice(now)).values(**later))


def _next_due(job_id: str, now: datetime) -> sa.Select[Any]:
    due = sa.select(notices).where(notices.c.job_id == job_id, due_notice(now))
    return due.order_by(notices.c.sequence).limit(1)


def _claim_next(job_id: str, resources: Resources) -> _LeasedNotice | None:
    with resources.database.write() as db:
        now = resources.database.clock(db)
        row = db.execute(_next_due(job_id, now)).mappings().one_or_none()
        if row is None:
            return None
        holder = resources.new_lease_holder()
        taken = {"lease_holder": holder, "leased_until": now + timedelta(seconds=resources.settings.notice_lease_s)}
        same = sa.and_(notices.c.id == row["id"], notices.c.version == row["version"])
        if not db.execute(sa.update(notices).where(same).values(**taken, version=row["version"] + 1)).rowcount:
            return None
        return _LeasedNotice(row, holder, now)


def _deliver(lease: _LeasedNotice, resources: Resources) -> bool:
    """One try, kept with the notice. False: it failed."""
    began = resources.monotonic()
    try:
        status = _send(lease.row, resources)
    except WebhooksError as e:
        error = e
    except Exception as e:  # a notice that cannot be sent at all must not be tried every half minute for ever
        log.exception("notice_raised", job=lease.row["job_id"])
        error = NoticeUndelivered(type(e).__name__)
    else:
        took_s = _took_s(began, "delivered", resources)
        _delivered(lease, status, took_s, resources)
        return True
    result = status_class(error.status) if isinstance(error, NoticeRefused) else "unanswered"
    _undelivered(lease, error, _took_s(began, result, resources), resources)
    return False


def _took_s(began: float, result: str, resources: Resources) -> float:
    took_s = resources.monotonic() - began
    resources.database.tallies.observe(measures.NOTICE_S, took_s, result)
    return took_s


def _send(row: RowMapping, resources: Resources) -> int:
    """One POST. Raises NoticeRefused, NoticeUndelivered."""
    with resources.database.read() as db:
        now = resources.database.clock(db)
    return posting.post(row["id"], row["url"], row["body"], now, resources.settings, resources.session)


def _delivered(lease: _LeasedNotice, status: int, took_s: float, resources: Resources) -> None:
    with resources.database.write() as db:
        now = resources.database.clock(db)
        delivered = {"last_status": status, "last_error": None, "delivered_at": now}
        _finish(db, lease, delivered, alarm_at=None)
        _keep_try(db, lease, took_s, status=status, error=None)
    told = {"job": lease.row["job_id"], "notice": lease.row["id"], "type": lease.row["type"]}
    log.info("notice_delivered", **told, status=status, seconds=round(took_s, 3))


def _undelivered(lease: _LeasedNotice, error: WebhooksError, took_s: float, resources: Resources) -> None:
    tries = lease.row["tries"]
    status = error.status if isinstance(error, NoticeRefused) else None
    # Which address a name leads to is for the operator, and not for whoever chose the name.
    why = error.__cause__ if isinstance(error.__cause__, LinkForbidden) else error
    log.warning("notice_undelivered", job=lease.row["job_id"], url=masked(lease.row["url"]), reason=str(why))
    with resources.database.write() as db:
        now = resources.database.clock(db)
        alarm_at: datetime | None = None
        if tries < len(TIMETABLE) and status != GONE:
            pause_s = resources.jitter(TIMETABLE[tries] * resources.settings.notice_unit_s)
            asked_s = (error.asked_s or 0) if isinstance(error, NoticeRefused) else 0
            # Never sooner than asked, and never so late that a wrong answer makes a notice useless.
            alarm_at = now + timedelta(seconds=max(pause_s, min(asked_s, LONGEST_ASKED_S)))
        _finish(db, lease, {"last_status": status, "last_error": str(error)}, alarm_at=alarm_at)
        _keep_try(db, lease, took_s, status=status, error=None if status else str(error))


def _finish(db: Connection, lease: _LeasedNotice, values: dict[str, Any], *, alarm_at: datetime | None) -> None:
    """Let go of the lease, if it is ours still. A replay that came meanwhile keeps its alarm."""
    ours = sa.and_(notices.c.id == lease.row["id"], notices.c.lease_holder == lease.holder)
    unmoved = notices.c.version == lease.row["version"] + 1
    values |= {"alarm_at": sa.case((unmoved, sa.literal(alarm_at, Instant)), else_=notices.c.alarm_at)}
    free = {"lease_holder": None, "leased_until": None, "version": notices.c.version + 1, "tries": notices.c.tries + 1}
    db.execute(sa.update(notices).where(ours).values(**values, **free))


def _keep_try(db: Connection, lease: _LeasedNotice, took_s: float, *, status: int | None, error: str | None) -> None:
    """A try under a lease that was lost meanwhile happened all the same."""
    notice_id = lease.row["id"]
    db.execute(sa.select(notices.c.id).where(notices.c.id == notice_id).with_for_update())  # one number to each
    before = sa.select(sa.func.count()).where(notice_tries.c.notice_id == notice_id)
    number = db.execute(before).scalar_one() + 1
    told = {"at": lease.at, "status": status, "error": error, "took_s": round(took_s, 3)}
    db.execute(sa.insert(notice_tries).values(notice_id=notice_id, number=number, **told))
