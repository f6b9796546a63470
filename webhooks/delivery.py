"""Sending notices: signed as Standard Webhooks has it, at least once, on a timetable that outlives a weekend."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection, RowMapping
from standardwebhooks import Webhook

from jobs.models import notices
from jobs.parts import Parts
from storage.connections import Switch
from storage.errors import LinkForbidden
from storage.guard import check_url, masked
from webhooks.errors import NoticeRefused, NoticeUndelivered, WebhooksError

# After each failed try: 5 s, 1 m, 5 m, 30 m, 2 h, 6 h, 12 h, 24 h; then it rests until somebody replays it.
TIMETABLE = (5, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400)
GONE = 410  # the receiving side wants no more of these

log = structlog.get_logger()


@dataclass(frozen=True)
class _HeldNotice:
    row: RowMapping
    holder: str


def notify(job_id: str, parts: Parts) -> None:
    """Send every due notice of a job, in the order of their sequence numbers."""
    while held := _claim_next(job_id, parts):
        try:
            status = _send(held.row, parts)
        except WebhooksError as e:
            _undelivered(held, e, parts)
        except Exception as e:  # a notice that cannot be sent at all must not be tried every half minute for ever
            log.exception("notice_raised", job=job_id)
            _undelivered(held, NoticeUndelivered(type(e).__name__), parts)
        else:
            _delivered(held, status, parts)


def _claim_next(job_id: str, parts: Parts) -> _HeldNotice | None:
    with parts.database.write() as db:
        now = parts.database.clock(db)
        free = sa.or_(notices.c.holder.is_(None), notices.c.held_until <= now)
        due = sa.and_(notices.c.job_id == job_id, notices.c.alarm_at <= now, free)
        row = db.execute(sa.select(notices).where(due).order_by(notices.c.sequence).limit(1)).mappings().one_or_none()
        if row is None:
            return None
        holder = parts.holder()
        hold = {"holder": holder, "held_until": now + timedelta(seconds=parts.settings.notice_hold_s)}
        same = sa.and_(notices.c.id == row["id"], notices.c.version == row["version"])
        if not db.execute(sa.update(notices).where(same).values(**hold, version=row["version"] + 1)).rowcount:
            return None
        return _HeldNotice(row, holder)


def _send(row: RowMapping, parts: Parts) -> int:
    """One POST. Raises NoticeRefused, NoticeUndelivered."""
    body = json.dumps(row["body"], ensure_ascii=False, separators=(",", ":"))
    with parts.database.read() as db:
        now = parts.database.clock(db)
    signatures = [Webhook(secret).sign(row["id"], now, body) for secret in parts.settings.notice_secrets]
    headers = {
        "content-type": "application/json",
        "user-agent": "Rushes",
        "webhook-id": row["id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    deadline_s = parts.settings.notice_deadline_s
    switch = Switch()
    timer = threading.Timer(deadline_s, switch.cut)  # a socket's own timeout never ends an answer that drips
    timer.start()
    try:
        check_url(row["url"], allow_private=parts.settings.allow_private_addresses)
        with (
            switch.watching(),
            parts.session.post(
                row["url"],
                data=body.encode(),
                headers=headers,
                timeout=(deadline_s / 3, deadline_s),
                allow_redirects=False,
                stream=True,  # what it answers beside the status is not read
            ) as answer,
        ):
            status = answer.status_code
    except (requests.RequestException, LinkForbidden, OSError) as e:
        raise NoticeUndelivered("no answer in time" if switch.is_cut else type(e).__name__) from e
    finally:
        timer.cancel()
    if not 200 <= status < 300:
        raise NoticeRefused(status)
    return status


def _delivered(held: _HeldNotice, status: int, parts: Parts) -> None:
    with parts.database.write() as db:
        now = parts.database.clock(db)
        _finish(db, held, {"alarm_at": None, "last_status": status, "last_error": None, "delivered_at": now})


def _undelivered(held: _HeldNotice, error: WebhooksError, parts: Parts) -> None:
    tries = held.row["tries"]
    status = error.status if isinstance(error, NoticeRefused) else None
    log.warning("notice_undelivered", job=held.row["job_id"], url=masked(held.row["url"]), reason=str(error))
    with parts.database.write() as db:
        now = parts.database.clock(db)
        alarm_at: datetime | None = None
        if tries < len(TIMETABLE) and status != GONE:
            pause_s = parts.jitter(TIMETABLE[tries] * parts.settings.notice_unit_s)
            alarm_at = now + timedelta(seconds=pause_s)
        _finish(db, held, {"alarm_at": alarm_at, "last_status": status, "last_error": str(error)})


def _finish(db: Connection, held: _HeldNotice, values: dict[str, object]) -> None:
    ours = sa.and_(notices.c.id == held.row["id"], notices.c.holder == held.holder)
    free = {"holder": None, "held_until": None, "version": notices.c.version + 1, "tries": notices.c.tries + 1}
    db.execute(sa.update(notices).where(ours).values(**values, **free))
