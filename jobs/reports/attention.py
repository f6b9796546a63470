"""What needs a person: one list of everything that the service will not, or cannot, settle by itself.

Reads only what an index leads to: live jobs, orders of the last weeks, unread callbacks, keys that rest.
"""

from __future__ import annotations

import http
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine import flags, settlement
from jobs.machine.states import LIVE
from jobs.machine.times import iso_s
from jobs.reports import attention_orders
from jobs.reports.attention_items import MOST, Item, Looking
from jobs.reports.attention_rows import CURRENT, ENDED_LATELY, PROMPT, Rows, Statement, any_of, begun, looked_up, order
from jobs.store import availability, unknown_words, waiting_jobs
from jobs.store import lanes as stored_lanes
from jobs.store.prepared import at
from jobs.store.tables import attempts, hearsay, inbox, jobs, notices
from storage.outbound.guard import masked

KEY_REASONS = {"insufficient_credits": "out_of_credit", "unauthorized": "key_refused"}
DRIFT_SHOWN = timedelta(days=1)  # since it was last seen

_order = sa.and_(attempts.c.job_id == inbox.c.job_id, attempts.c.number == inbox.c.attempt)
_FORGOTTEN = (
    sa.select(inbox.c.job_id, inbox.c.attempt, inbox.c.provider, inbox.c.task_id, inbox.c.received_at)
    .add_columns(jobs.c.id.label("known"), jobs.c.created_at, PROMPT)
    .outerjoin(jobs, jobs.c.id == inbox.c.job_id)
    .outerjoin(attempts, _order)
    .where(inbox.c.read_at.is_(None), attempts.c.number.is_(None))
    .order_by(inbox.c.id)
    .limit(MOST)
)

# What is told of an order needs no second line for its job.
_own = attempts.alias()
_borne = sa.exists().where(_own.c.job_id == jobs.c.id, _own.c.contested)
_claimed = sa.exists().where(hearsay.c.job_id == jobs.c.id, hearsay.c.is_contested)
_kept = sa.exists().where(_own.c.job_id == jobs.c.id, _own.c.unproven.is_not(None))
_told = sa.or_(
    sa.and_(jobs.c.flagged == "contested_task", sa.or_(_borne, _claimed)),
    sa.and_(jobs.c.flagged == "unproven_film", _kept),
)
_FLAGGED = [
    order()
    .outerjoin(attempts, CURRENT)
    .where(those, jobs.c.flagged.is_not(None), jobs.c.flagged.not_in(settlement.DOUBTS), ~_told)
    .order_by(jobs.c.id)
    .limit(MOST)
    for those in (jobs.c.state.in_(LIVE), ENDED_LATELY)
]

_RECEIVER = (notices.c.job_id, notices.c.url)
_UNTOLD = (
    sa.select(*_RECEIVER, sa.func.count().label("many"))
    .add_columns(sa.func.min(notices.c.created_at).label("since"), sa.func.max(notices.c.last_error).label("error"))
    .where(notices.c.alarm_at.is_(None), notices.c.delivered_at.is_(None), notices.c.created_at > at("lately"))
    .where(notices.c.last_status.is_distinct_from(http.HTTPStatus.GONE.value))
    .group_by(*_RECEIVER)
    .order_by("since", notices.c.job_id)
    .limit(MOST)
)
_STATEMENTS: Sequence[Statement] = (*attention_orders.STATEMENTS, _FORGOTTEN, *_FLAGGED, _UNTOLD)
_ANY = any_of(_STATEMENTS)


def items(db: Connection, looking: Looking) -> Iterator[Item]:
    """Everything, by reason, at most `MOST` of each; read as it is asked for."""
    yield from _keys(db, looking)
    yield from _drifts(db, looking)
    rows = Rows(db, _ANY, _STATEMENTS, looking)
    for read in (
        attention_orders.dying,
        attention_orders.contested,
        attention_orders.of_two_tasks,
        attention_orders.unproven,
        attention_orders.unconfirmed,
        attention_orders.undelivered,
        attention_orders.linkless,
        attention_orders.uncertain,
        attention_orders.doubted,
        _forgotten,
        attention_orders.earlier,
        _flagged,
        _untold,
    ):
        yield from read(rows, looking)


def counts(db: Connection, looking: Looking) -> Counter[str]:
    """How many there are for each reason, as far as `items` goes."""
    return Counter(item.reason for item in items(db, looking))


def _keys(db: Connection, looking: Looking) -> Iterator[Item]:
    """Gateways' keys that are ill, or were told to rest, until one is answered that tries them.

    A gateway that asked for a pause needs nobody, unless it keeps jobs waiting.
    """
    ill, now = stored_lanes.unwell(db, looking.settings), looking.now
    held_up = waiting_jobs.held_up(db) if ill else {}
    for account, name, lane in ill:
        provider, rests = account.provider, lane.rests_s(now) > 0
        waiting = held_up.get(provider, 0) if name == "submit" else 0
        if lane.reason == "rate_limited" and not (rests and waiting):
            continue
        said = availability.lane_words(provider, name, lane, looking.settings, now)
        if name == "submit":
            said += "; 1 job waits for it" if waiting == 1 else f"; {waiting} jobs wait for it"
        until = lane.until if rests else None
        known: dict[str, Any] = {
            "provider": provider,
            "account": account.fingerprint,
            "since": lane.since,
            "until": until,
        }
        if lane.reason in KEY_REASONS:
            yield Item(KEY_REASONS[lane.reason], said, **known)
        else:
            yield Item("gateway_rests", said, **known)


def _drifts(db: Connection, looking: Looking) -> Iterator[Item]:
    """What gateways answered lately that none of their pages documents."""
    for row in unknown_words.seen_since(db, looking.now - DRIFT_SHOWN):
        times = "one task" if row.times == 1 else f"{row.times} tasks"
        yield Item("gateway_drifts", f"{row.word}: in {times}", provider=row.provider, since=row.last_at)


def _forgotten(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Callbacks for jobs, or for orders, that this database does not know. Only we mint their addresses."""
    for row in rows.of(_FORGOTTEN):
        known = {name: row[name] for name in ("job_id", "provider", "attempt", "task_id")}
        received_at, task_id, attempt = row["received_at"], row["task_id"] or "(none)", row["attempt"]
        job_id = row["known"]
        said = f"a callback of {iso_s(received_at)} names task {task_id} of order {attempt}"
        # By which key it was ordered is not known; most likely by the one that is used now.
        key = looking.settings.accounts.get(row["provider"])
        known |= {"ordered_at": row["created_at"], "prompt": begun(row["prompt"]), "account": key and key.fingerprint}
        yield Item("unknown_attempt" if job_id else "unknown_job", said, since=received_at, **known)


def _flagged(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Jobs that a step has flagged: live ones, and those of the last weeks that have ended."""
    for those in _FLAGGED:
        for row in rows.of(those):
            troubles = f", {row['troubles']} troubles in a row" if row["troubles"] else ""
            reason, said = row["flagged"], f"the job is {row['state']}{troubles}"
            if reason == "troubled" and (why := (row["waiting"] or {}).get("reason") or row["last_word"]):
                said += f"; the last word: {why}"
            if reason == "other_length" and row["duration_s"] is not None:
                said = f"the archived film lasts {row['duration_s']:g} s; {row['ordered_s']} s were ordered"
            known = {**looked_up(row), "job_id": row["id"], "provider": row["of_job"]}
            until = row["set_aside_until"] if reason == flags.HOLDER_DIED else None
            yield Item(reason, said, since=row["updated_at"], until=until, **known)


def _untold(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Jobs with notices that were given up; one whose receiver wants no more of them (410) is none of these."""
    for row in rows.of(_UNTOLD):
        many = "1 notice" if row["many"] == 1 else f"{row['many']} notices"
        said = f"{many} to {masked(row['url'])} could not be delivered ({row['error']}), and no more tries follow"
        yield Item("notice_given_up", said, job_id=row["job_id"], since=row["since"])
