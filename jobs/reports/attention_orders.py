"""Orders that need a person: whose task or money is in doubt, and whose video was made and is not in the bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import sqlalchemy as sa

from jobs.machine import flags, schedule, settlement
from jobs.machine.rows import AttemptOutcome, Origin, Standing
from jobs.machine.states import LIVE, State
from jobs.machine.times import iso_s
from jobs.reports.attention_items import MOST, Item, Looking
from jobs.reports.attention_rows import (
    CURRENT,
    ENDED_LATELY,
    IS_NOT_HOME,
    OVER,
    Back,
    Rows,
    Statement,
    attempts_since,
    looked_up,
    order,
    with_current,
)
from jobs.store import orders_out
from jobs.store.attempt_rows import attempt_of
from jobs.store.prepared import of
from jobs.store.tables import attempts, hearsay, jobs
from storage.keys import unproven_key

DYING = timedelta(hours=1)  # a link with less life left, or with less than a quarter of it
DYING_SHARE = 4

_OWN = attempts.c.job_id == jobs.c.id
_DYING = with_current(sa.and_(jobs.c.state == State.ARCHIVING.value, jobs.c.troubles > 0)).order_by(jobs.c.link_dies_at)

_claimant, _bearer = attempts.alias(), attempts.alias()
_CONTESTED = (
    sa.select(_bearer, _claimant.c.job_id.label("other"), _claimant.c.number.label("other_number"), hearsay.c.heard_at)
    .select_from(hearsay)
    .join(_claimant, sa.and_(_claimant.c.job_id == hearsay.c.job_id, _claimant.c.number == hearsay.c.attempt))
    .join(_bearer, sa.and_(_bearer.c.task_id == hearsay.c.task_id, _bearer.c.provider == _claimant.c.provider))
    .where(hearsay.c.is_contested, sa.or_(_claimant.c.task_id.is_(None), _claimant.c.adopted), _bearer.c.contested)
    .order_by(hearsay.c.heard_at)
    .limit(MOST)
)
_ORDER = order().join(attempts, _OWN).where(of(attempts.c.job_id, attempts.c.number))

_is_borne = sa.exists().where(
    _bearer.c.provider == attempts.c.provider, _bearer.c.task_id == hearsay.c.task_id, _bearer.c.contested
)
_OF_TWO_TASKS = (
    order()
    .add_columns(hearsay.c.task_id.label("told"), hearsay.c.heard_at)
    .join(attempts, _OWN)
    .join(hearsay, sa.and_(attempts.c.job_id == hearsay.c.job_id, attempts.c.number == hearsay.c.attempt))
    .where(hearsay.c.is_contested, attempts.c.task_id.is_not(None), attempts.c.adopted, ~_is_borne)
    .where(attempts.c.outcome.in_([AttemptOutcome.OPEN.value, AttemptOutcome.FINISHED.value]))
    .order_by(hearsay.c.heard_at)
    .limit(MOST)
)
_UNPROVEN = attempts_since(
    Back.KEPT,
    sa.and_(
        jobs.c.state.in_([State.ARCHIVING.value, State.FAILED.value]),
        attempts.c.unproven.is_not(None),
        IS_NOT_HOME,
    ),
)
_UNCONFIRMED = with_current(jobs.c.state == State.UNCONFIRMED.value).order_by(jobs.c.id)
_PASSED = (
    order()
    .join(attempts, _OWN)
    .where(orders_out.IS_OPEN, attempts.c.origin == Origin.ORDERED.value, attempts.c.task_id.is_(None))
    .where(attempts.c.lost_at.is_not(None), ~sa.and_(CURRENT, jobs.c.state == State.UNCONFIRMED.value))
    .order_by(attempts.c.job_id, attempts.c.number)
    .limit(MOST)
)
_PAID = sa.and_(jobs.c.state.in_(OVER), IS_NOT_HOME, attempts.c.standing == Standing.CHARGED.value)
_UNDELIVERED = attempts_since(Back.LINK, sa.and_(_PAID, attempts.c.link.is_not(None)))
_LINKLESS = attempts_since(
    Back.BAD_END,
    sa.and_(
        _PAID,
        attempts.c.outcome == AttemptOutcome.UNDELIVERED.value,
        attempts.c.link.is_(None),
        attempts.c.settled.is_(None),
        ~sa.and_(jobs.c.state == State.FAILED.value, attempts.c.number == jobs.c.attempt),
    ),
)
_UNCERTAIN = attempts_since(
    Back.BAD_END,
    sa.and_(jobs.c.state.in_(OVER), orders_out.IS_UNCERTAIN, attempts.c.outcome != AttemptOutcome.OPEN.value),
)
_DOUBTED = [
    order()
    .join(attempts, _OWN)
    .where(those, jobs.c.flagged == "absurd_cost")
    .order_by(attempts.c.job_id, attempts.c.number)
    .limit(MOST)
    for those in (jobs.c.state.in_(LIVE), ENDED_LATELY)
]
_EARLIER = (
    order()
    .join(attempts, _OWN)
    .where(orders_out.IS_OPEN, attempts.c.task_id.is_not(None))
    .where(~sa.and_(jobs.c.state == State.GENERATING.value, attempts.c.number == jobs.c.attempt))
    .order_by(attempts.c.job_id, attempts.c.number)
    .limit(MOST)
)
STATEMENTS: Sequence[Statement] = (
    _DYING,
    _CONTESTED,
    _OF_TWO_TASKS,
    _UNPROVEN,
    _UNCONFIRMED,
    _PASSED,
    _UNDELIVERED,
    _LINKLESS,
    _UNCERTAIN,
    *_DOUBTED,
    _EARLIER,
)


def dying(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Videos that could not be copied so far, and whose links die soon."""
    for row in rows.of(_DYING):
        until = row["link_dies_at"]
        attempt = attempt_of(row)
        life = timedelta(seconds=looking.settings.life_s or looking.providers[attempt.provider].link_life_s)
        if until is not None and until - looking.now < max(DYING, life / DYING_SHARE):
            said = f"copying has failed {row['troubles']} times in a row; the link dies at {iso_s(until)}"
            yield Item("link_dying", said, since=attempt.finished_at, until=until, **looked_up(row))


def contested(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Tasks that two jobs lay claim to, once for each of them, and when the link dies that one of them has."""
    for pair in rows.of(_CONTESTED):
        has_it = attempt_of(pair)
        until = schedule.link_end(has_it, looking.settings, looking.providers)
        orders = [(has_it.job_id, has_it.number), (pair["other"], pair["other_number"])]
        for (job_id, number), (other, _) in zip(orders, reversed(orders), strict=True):
            for row in rows.also(_ORDER, of_job_id=job_id, of_number=number):
                said = f"a callback told the same task to an order of {other}; its link lives until {iso_s(until)}"
                known = {**looked_up(row), "task_id": has_it.task_id, "link": has_it.link}
                yield Item("contested_task", said, since=pair["heard_at"], until=until, **known)


def of_two_tasks(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Orders that callbacks told two tasks of which both may be theirs, unless another job's order bears the other."""
    for row in rows.of(_OF_TWO_TASKS):
        attempt = attempt_of(row)
        if attempt.is_by_hearsay and row["told"] not in (*attempt.rejected_task_ids, attempt.task_id):
            until = schedule.link_end(attempt, looking.settings, looking.providers)
            both = f"{attempt.task_id} and {row['told']}"
            said = f"callbacks told {both}; the first one's link lives until {iso_s(until)}"
            yield Item("contested_task", said, since=row["heard_at"], until=until, **looked_up(row))


def unproven(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Films that the proof refused, while they are kept aside and nobody has taken them. Once for each job."""
    keep = schedule.keeping(looking.settings)
    told: set[str] = set()
    for row in rows.of(_UNPROVEN):
        attempt = attempt_of(row)
        film, job_id = attempt.unproven_film, attempt.job_id
        is_of_job = row["state"] == State.FAILED or attempt.number == row["current"]
        if film is None or attempt.accepted_film is not None or not is_of_job or job_id in told:
            continue
        until = film.kept_at + keep
        if until > looking.now:
            told.add(job_id)
            key = unproven_key(looking.settings.s3_prefix, film.sha256)
            said = f"{film.reason}; {film.bytes} bytes stand at {key} until {iso_s(until)} at least"
            yield Item("unproven_film", said, since=film.kept_at, until=until, **looked_up(row))


def unconfirmed(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Orders whose answer was lost, while a callback may still tell: a job's own, and those that it went past."""
    for row in (*rows.of(_UNCONFIRMED), *rows.of(_PASSED)):
        attempt = attempt_of(row)
        until = schedule.unconfirmed_end(attempt, looking.settings, looking.providers)
        by = "a callback may tell" if attempt.with_callback else "no callback can tell, it is waited"
        what = "it may have been ordered before the backup was put back" if attempt.is_forgotten else "no answer came"
        said = f"{what}; {by} until {iso_s(until)}"
        if row["state"] != State.UNCONFIRMED or attempt.number != row["current"]:
            said += f"; the job is {row['state']} with order {row['current']}"
        yield Item("unconfirmed", said, since=attempt.lost_at, until=until, **looked_up(row))


def undelivered(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Videos that were paid for and not delivered, while the links that they have may live."""
    for row in rows.of(_UNDELIVERED):
        attempt = attempt_of(row)
        until = schedule.link_end(attempt, looking.settings, looking.providers)
        if until > looking.now:
            said = f"order {attempt.number} was paid, and the job is {row['state']}; its link dies at {iso_s(until)}"
            yield Item("paid_not_delivered", said, since=attempt.finished_at, until=until, **looked_up(row))


def linkless(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Orders that were paid for and whose link never came, where their job ended otherwise than by that."""
    for row in rows.of(_LINKLESS):
        said = f"order {row['number']} was paid, and its gateway gave no link; the job is {row['state']}"
        yield Item("paid_not_delivered", said, since=attempt_of(row).finished_at, **looked_up(row))


def uncertain(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Orders of ended jobs of which nobody knows whether they were charged, and nobody will."""
    for row in rows.of(_UNCERTAIN):
        attempt = attempt_of(row)
        said = f"order {attempt.number} of {iso_s(attempt.created_at)} may have been charged"
        yield Item("uncertain_money", said, since=attempt.created_at, **looked_up(row))


def doubted(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Orders whose gateway tells a cost that cannot be true, each by its own number: a job may have several."""
    for those in _DOUBTED:
        for row in rows.of(those):
            attempt = attempt_of(row)
            if settlement.DOUBTS["absurd_cost"](attempt):
                said = f"order {attempt.number} of a job that is {row['state']} is told to cost far more than expected"
                yield Item("absurd_cost", said, since=row["updated_at"], **looked_up(row))


def earlier(rows: Rows, looking: Looking) -> Iterator[Item]:
    """Open orders for which no job waits, since another one's video is used or made: what is odd about their tasks."""
    for row in rows.of(_EARLIER):
        attempt = attempt_of(row)
        if reason := flags.of_order(attempt, row["mode"], looking.now, looking.settings):
            said = f"order {attempt.number}, of a job that is {row['state']} with order {row['current']}"
            yield Item(reason, said, since=attempt.accepted_at, **looked_up(row))
