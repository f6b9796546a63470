"""After a backup was put back: what may have been bought since is not bought again, and is waited for.

Runs once, before any process has seen the database. Nothing here guesses: an order that may have been made gets a row
of its own (`forgotten_attempts`), and the decisions do the rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.errors import JobsError
from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import Origin
from jobs.machine.states import LIVE, MAY_ORDER, State
from jobs.machine.times import iso_s
from jobs.steps import forgotten_attempts
from jobs.steps.planning import next_number
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, cases, leases, spending
from jobs.store.tables import heartbeats, jobs

TOLERANCE = timedelta(minutes=1)  # a time that somebody wrote down may lack its seconds
# What was told after the backup is forgotten; what is told from now on must outrank it by its sequence number.
SEQUENCE_GAP = 1000
PAGE = 500

# Whose orders since the backup are forgotten, if there were any: a failed one may have been tried again.
MAY_HAVE_ORDERED = MAY_ORDER | {State.FAILED}
KNOWN_OF_SENT = ("base_url", "account", "with_callback", "day", "reserved_micro_usd")


class NotRestored(JobsError):
    """This database is not what it is said to be; nothing was changed. The message says what to do."""


@dataclass(frozen=True)
class Restored:
    """The live jobs that were found, by state, and how many are unconfirmed now."""

    live: dict[str, int]
    unconfirmed: int


def restored(resources: Resources, *, as_of: datetime) -> Restored:
    """Treat the database as a backup that was taken at `as_of`, in one transaction. Raises NotRestored."""
    live: Counter[str] = Counter()
    unconfirmed, after = 0, ""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        _check(db, as_of, now)
        while page := _page(db, after):
            after = page[-1]
            db.execute(_let_go(page, now))
            for case in cases.read_cases(db, page):
                live[case.job.state.value] += case.job.state in LIVE
                if case.job.state in MAY_HAVE_ORDERED:
                    unconfirmed += _suspect(db, case, resources, as_of, now) is State.UNCONFIRMED
    return Restored(dict(+live), unconfirmed)


def _check(db: Connection, as_of: datetime, now: datetime) -> None:
    if as_of > now + TOLERANCE:
        raise NotRestored(f"{as_of.isoformat()} is in the future; it is {iso_s(now)}.")
    newest = db.execute(sa.select(sa.func.max(jobs.c.updated_at))).scalar_one_or_none()
    if newest is not None and newest > as_of + TOLERANCE:
        raise NotRestored(
            f"A job was last written at {iso_s(newest)}, after the backup is said to have been"
            " taken. Either it was taken later (give that time), or this has run already, or processes have worked on"
            " the database since it was put back (put it back once more, with everything stopped)."
        )
    seen = db.execute(sa.select(heartbeats.c.name, heartbeats.c.seen_at).order_by(heartbeats.c.seen_at.desc())).first()
    if seen is not None and seen.seen_at > as_of + TOLERANCE:
        raise NotRestored(
            f"{seen.name} was seen at {iso_s(seen.seen_at)}, after the backup is said to have"
            " been taken: it has run on this database. Stop every process and put the backup back once more."
        )


def _page(db: Connection, after: str) -> list[str]:
    found = sa.select(jobs.c.id).where(jobs.c.state.in_(LIVE | MAY_HAVE_ORDERED), jobs.c.id > after)
    return list(db.execute(found.order_by(jobs.c.id).limit(PAGE)).scalars())


def _let_go(page: list[str], now: datetime) -> sa.Update:
    """Nobody works on these: whoever held them held another database's rows."""
    free = {"lease_holder": None, "leased_until": None, "alarm_at": now, "version": jobs.c.version + 1}
    return sa.update(jobs).where(jobs.c.id.in_(page)).values(**free, notices=jobs.c.notices + SEQUENCE_GAP)


def _suspect(db: Connection, case: Case, resources: Resources, as_of: datetime, now: datetime) -> State:
    """Write down the order that may have been made since, and decide. Where the job stands then.

    A failed job stays failed: nothing rests on that order until somebody wants to try it again.
    """
    sent = case.current if case.job.state is State.SUBMITTING else None  # it was on its way, or about to be
    if sent is not None and not (sent.is_open and sent.task_id is None):
        sent = None  # its answer stands in the row, whoever brought it; what is suspected is a later order
    gateway = sent.provider if sent else forgotten_attempts.guess(case, resources)
    number = sent.number if sent else next_number(case, gateway)
    since = case.job.updated_at
    row = forgotten_attempts.forgotten_row(case, number, gateway, Origin.FORGOTTEN, resources, since=since, now=now)
    if sent:
        row |= {name: getattr(sent, name) for name in KNOWN_OF_SENT}
    if case.job.state is State.FAILED:  # it may have failed long ago, and an order of today is not of that day
        row["day"] = spending.day_of(as_of)
    attempt_rows.add_attempt(db, row)
    spending.open_day(db, gateway, row["day"])
    case = cases.read_case(db, case.job.id)
    said = Note("restored", number, {"as_of": as_of.isoformat(), "guess": gateway})
    outcome = decide(case, Facts(notes=(said,)), now=now, rules=resources.rules)
    assert leases.move_unleased(db, case, outcome, now=now), "nobody else can write in our transaction"
    return cases.read_case(db, case.job.id).job.state
