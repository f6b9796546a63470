"""What needs a person: one list of everything that the service will not, or cannot, settle by itself.

Reads only what an index leads to: live jobs, orders of the last weeks, unread callbacks, keys that rest.
"""

from __future__ import annotations

import http
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.machine import flags, schedule, settlement
from jobs.machine.rows import AttemptOutcome, Origin, Standing
from jobs.machine.states import ENDED, LIVE, State
from jobs.machine.times import iso_s
from jobs.providers.base import Provider
from jobs.settings import Settings
from jobs.store import availability, spending, unknown_words
from jobs.store import lanes as stored_lanes
from jobs.store.attempt_rows import attempt_of
from jobs.store.tables import NOT_HOME, attempts, hearsay, inbox, jobs, notices
from storage.keys import unproven_key
from storage.outbound.guard import masked

LOOKED_BACK = timedelta(days=30)  # to orders that have ended badly; older ones are in the account of costs
LINK_LIVES = timedelta(days=3)  # longer than any gateway's link
LATEST_KEPT = timedelta(days=7)  # by then after an order its film has been refused, if it ever is
DYING = timedelta(hours=1)  # a link with less life left, or with less than a quarter of it
DYING_SHARE = 4
KEY_REASONS = {"insufficient_credits": "out_of_credit", "unauthorized": "key_refused"}
DRIFT_SHOWN = timedelta(days=1)  # since it was last seen
MOST = 1000  # of each reason; more would not be read, and a metric must not read a whole table
OVER = [state.value for state in ENDED]


# reason → the command that answers it, of which a person chooses what they found; for all others, the job's history
COMMANDS = {
    "unconfirmed": "rushes jobs settle {job_id} --attempt {attempt} (--task-id T | --not-made)",
    "uncertain_money": "rushes jobs settle {job_id} --attempt {attempt} (--charged | --not-charged)",
    "absurd_cost": "rushes jobs settle {job_id} --attempt {attempt} (--charged | --not-charged)",
    "paid_not_delivered": "rushes jobs settle {job_id} --attempt {attempt} --not-charged",
    **dict.fromkeys(("link_dying", "bucket_refuses", "disk_full", "film_not_kept"), "rushes doctor"),
    **dict.fromkeys(("foreign_task", "other_length"), "rushes videos link {job_id}"),
    "unproven_film": "rushes videos accept {job_id}",
    "contested_task": "rushes jobs settle {job_id} --attempt {attempt} --task-id {task_id}",
    "unknown_job": "rushes callbacks list --job {job_id}",
    "unknown_attempt": "rushes callbacks list --job {job_id}",
    "notice_given_up": "rushes notices replay --all-failed --job {job_id}",
    flags.HOLDER_DIED: "rushes jobs retry {job_id}",
    **dict.fromkeys(("no_gateway", "gateway_drifts"), "rushes providers"),
    **dict.fromkeys(("gateway_rests", "out_of_credit", "key_refused"), "rushes providers resume {provider}"),
}
OF_A_LOST_ORDER = (
    "rushes jobs settle {job_id} --attempt {attempt} (--task-id T | --not-made | --charged | --not-charged)"
)
# A job that failed of it asks its gateway for a link once more; one that lives does so by itself.
OF_A_FAILED_JOB = dict.fromkeys(("no_link", "link_forbidden"), "rushes jobs retry {job_id}")
HISTORY = "rushes jobs show {job_id}"
PROMPT_SHOWN = 80


@dataclass(frozen=True)
class Item:
    """One thing for a person. `reason`: see error_codes.REASONS. `until`: when it settles itself, or is lost.

    What they need for looking at the gateway: the order's number, time and task, the key's fingerprint (`account`), the
    beginning of the prompt, the link where there is one. `outcome` is the order's.
    """

    reason: str
    detail: str
    job_id: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    attempt: int | None = None
    ordered_at: datetime | None = None
    task_id: str | None = None
    account: str | None = None
    prompt: str | None = None
    link: str | None = None
    outcome: str | None = None

    @property
    def command(self) -> str:
        """The command that answers it; where none does yet, the one that shows more."""
        template = COMMANDS.get(self.reason, HISTORY)
        if self.reason == "uncertain_money" and self.task_id is None:
            template = OF_A_LOST_ORDER
        elif self.reason == "paid_not_delivered" and self.link is None:
            template = COMMANDS["uncertain_money"]
        elif self.outcome == AttemptOutcome.UNDELIVERED:
            template = OF_A_FAILED_JOB.get(self.reason, template)
        elif self.reason == "absurd_cost" and self.outcome == AttemptOutcome.OPEN:
            template = HISTORY  # what became of its money can be said once it is closed
        return template.format(job_id=self.job_id, attempt=self.attempt, provider=self.provider, task_id=self.task_id)


@dataclass(frozen=True)
class Looking:
    """What the list rests on beside the rows."""

    settings: Settings
    providers: Mapping[str, Provider]
    now: datetime


def items(db: Connection, looking: Looking) -> Iterator[Item]:
    """Everything, by reason, at most `MOST` of each; read as it is asked for."""
    for read in (
        _keys,
        _drifts,
        _dying,
        _contested,
        _of_two_tasks,
        _unproven,
        _unconfirmed,
        _undelivered,
        _linkless,
        _uncertain,
        _doubted,
        _forgotten,
        _earlier,
        _flagged,
        _untold,
    ):
        yield from read(db, looking)


def counts(db: Connection, looking: Looking) -> Counter[str]:
    """How many there are for each reason, as far as `items` goes."""
    return Counter(item.reason for item in items(db, looking))


def _keys(db: Connection, looking: Looking) -> Iterator[Item]:
    """Gateways' keys that are ill, or were told to rest, until one is answered that tries them.

    A gateway that asked for a pause needs nobody, unless it keeps jobs waiting.
    """
    ill, now = stored_lanes.unwell(db, looking.settings), looking.now
    held_up = stored_lanes.held_up(db) if ill else {}
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


def _dying(db: Connection, looking: Looking) -> Iterator[Item]:
    """Videos that could not be copied so far, and whose links die soon."""
    troubled = sa.and_(jobs.c.state == State.ARCHIVING.value, jobs.c.troubles > 0)
    for row in db.execute(_with_current(troubled).order_by(jobs.c.link_dies_at)).mappings():
        until = row["link_dies_at"]
        attempt = attempt_of(row)
        life = timedelta(seconds=looking.settings.life_s or looking.providers[attempt.provider].link_life_s)
        if until is not None and until - looking.now < max(DYING, life / DYING_SHARE):
            said = f"copying has failed {row['troubles']} times in a row; the link dies at {iso_s(until)}"
            yield Item("link_dying", said, since=attempt.finished_at, until=until, **_looked_up(row))


def _contested(db: Connection, looking: Looking) -> Iterator[Item]:
    """Tasks that two jobs lay claim to, once for each of them, and when the link dies that one of them has."""
    claimant, bearer = attempts.alias(), attempts.alias()
    of_claim = sa.and_(claimant.c.job_id == hearsay.c.job_id, claimant.c.number == hearsay.c.attempt)
    unproven = sa.or_(claimant.c.task_id.is_(None), claimant.c.adopted)
    borne = sa.and_(bearer.c.task_id == hearsay.c.task_id, bearer.c.provider == claimant.c.provider)
    pairs = (
        sa.select(bearer, claimant.c.job_id.label("other"), claimant.c.number.label("other_number"), hearsay.c.heard_at)
        .select_from(hearsay.join(claimant, of_claim).join(bearer, borne))
        .where(hearsay.c.is_contested, unproven, bearer.c.contested)
        .order_by(hearsay.c.heard_at)
        .limit(MOST)
    )
    for pair in db.execute(pairs).mappings().all():
        has_it = attempt_of(pair)
        until = schedule.link_end(has_it, looking.settings, looking.providers)
        orders = [(has_it.job_id, has_it.number), (pair["other"], pair["other_number"])]
        for (job_id, number), (other, _) in zip(orders, reversed(orders), strict=True):
            own = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == number)
            for row in db.execute(_order().join(attempts, own).where(jobs.c.id == job_id)).mappings():
                said = f"a callback told the same task to an order of {other}; its link lives until {iso_s(until)}"
                known = {**_looked_up(row), "task_id": has_it.task_id, "link": has_it.link}
                yield Item("contested_task", said, since=pair["heard_at"], until=until, **known)


def _of_two_tasks(db: Connection, looking: Looking) -> Iterator[Item]:
    """Orders that callbacks told two tasks of which both may be theirs, unless another job's order bears the other."""
    bearer = attempts.alias()
    is_same = sa.and_(bearer.c.provider == attempts.c.provider, bearer.c.task_id == hearsay.c.task_id)
    is_borne = sa.exists().where(is_same, bearer.c.contested)
    waits = attempts.c.outcome.in_([AttemptOutcome.OPEN.value, AttemptOutcome.FINISHED.value])
    of_order = sa.and_(attempts.c.job_id == hearsay.c.job_id, attempts.c.number == hearsay.c.attempt)
    told = (
        _order()
        .add_columns(hearsay.c.task_id.label("told"), hearsay.c.heard_at)
        .join(attempts, attempts.c.job_id == jobs.c.id)
        .join(hearsay, of_order)
        .where(hearsay.c.is_contested, attempts.c.task_id.is_not(None), attempts.c.adopted, waits, ~is_borne)
        .order_by(hearsay.c.heard_at)
        .limit(MOST)
    )
    for row in db.execute(told).mappings().all():
        attempt = attempt_of(row)
        if attempt.is_by_hearsay and row["told"] not in (*attempt.rejected_task_ids, attempt.task_id):
            until = schedule.link_end(attempt, looking.settings, looking.providers)
            both = f"{attempt.task_id} and {row['told']}"
            said = f"callbacks told {both}; the first one's link lives until {iso_s(until)}"
            yield Item("contested_task", said, since=row["heard_at"], until=until, **_looked_up(row))


def _unproven(db: Connection, looking: Looking) -> Iterator[Item]:
    """Films that the proof refused, while they are kept aside and nobody has taken them. Once for each job."""
    keep = schedule.keeping(looking.settings)
    waits = sa.and_(
        jobs.c.state.in_([State.ARCHIVING.value, State.FAILED.value]),
        attempts.c.unproven.is_not(None),
        _NOT_HOME,
    )
    told: set[str] = set()
    for row in db.execute(_attempts_since(looking.now - keep - LATEST_KEPT, waits)).mappings():
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
            yield Item("unproven_film", said, since=film.kept_at, until=until, **_looked_up(row))


def _unconfirmed(db: Connection, looking: Looking) -> Iterator[Item]:
    """Orders whose answer was lost, while a callback may still tell: a job's own, and those that it went past."""
    waited_for = sa.and_(_CURRENT, jobs.c.state == State.UNCONFIRMED.value)
    own, is_ordered = attempts.c.job_id == jobs.c.id, attempts.c.origin == Origin.ORDERED.value
    earlier = sa.and_(is_ordered, attempts.c.task_id.is_(None), attempts.c.lost_at.is_not(None), ~waited_for)
    passed = _order().join(attempts, own).where(stored_lanes.IS_OPEN, earlier)
    passed = passed.order_by(attempts.c.job_id, attempts.c.number).limit(MOST)
    unconfirmed = _with_current(jobs.c.state == State.UNCONFIRMED.value).order_by(jobs.c.id)
    for row in (*db.execute(unconfirmed).mappings(), *db.execute(passed).mappings()):
        attempt = attempt_of(row)
        until = schedule.unconfirmed_end(attempt, looking.settings, looking.providers)
        by = "a callback may tell" if attempt.with_callback else "no callback can tell, it is waited"
        what = "it may have been ordered before the backup was put back" if attempt.is_forgotten else "no answer came"
        said = f"{what}; {by} until {iso_s(until)}"
        if row["state"] != State.UNCONFIRMED or attempt.number != row["current"]:
            said += f"; the job is {row['state']} with order {row['current']}"
        yield Item("unconfirmed", said, since=attempt.lost_at, until=until, **_looked_up(row))


def _undelivered(db: Connection, looking: Looking) -> Iterator[Item]:
    """Videos that were paid for and not delivered, while the links that they have may live."""
    has_link = attempts.c.link.is_not(None)
    paid = sa.and_(jobs.c.state.in_(OVER), _NOT_HOME, has_link, attempts.c.standing == Standing.CHARGED.value)
    for row in db.execute(_attempts_since(looking.now - LINK_LIVES, paid)).mappings():
        attempt = attempt_of(row)
        until = schedule.link_end(attempt, looking.settings, looking.providers)
        if until > looking.now:
            said = f"order {attempt.number} was paid, and the job is {row['state']}; its link dies at {iso_s(until)}"
            yield Item("paid_not_delivered", said, since=attempt.finished_at, until=until, **_looked_up(row))


def _linkless(db: Connection, looking: Looking) -> Iterator[Item]:
    """Orders that were paid for and whose link never came, where their job ended otherwise than by that."""
    of_job = sa.and_(jobs.c.state == State.FAILED.value, attempts.c.number == jobs.c.attempt)
    paid = sa.and_(
        jobs.c.state.in_(OVER),
        _NOT_HOME,
        attempts.c.outcome == AttemptOutcome.UNDELIVERED.value,
        attempts.c.standing == Standing.CHARGED.value,
        attempts.c.link.is_(None),
        attempts.c.settled.is_(None),
        ~of_job,
    )
    for row in db.execute(_attempts_since(looking.now - LOOKED_BACK, paid)).mappings():
        said = f"order {row['number']} was paid, and its gateway gave no link; the job is {row['state']}"
        yield Item("paid_not_delivered", said, since=attempt_of(row).finished_at, **_looked_up(row))


def _uncertain(db: Connection, looking: Looking) -> Iterator[Item]:
    """Orders of ended jobs of which nobody knows whether they were charged, and nobody will."""
    lost = sa.and_(
        jobs.c.state.in_(OVER),
        stored_lanes.IS_UNCERTAIN,
        attempts.c.outcome != AttemptOutcome.OPEN.value,
    )
    for row in db.execute(_attempts_since(looking.now - LOOKED_BACK, lost)).mappings():
        attempt = attempt_of(row)
        said = f"order {attempt.number} of {iso_s(attempt.created_at)} may have been charged"
        yield Item("uncertain_money", said, since=attempt.created_at, **_looked_up(row))


def _doubted(db: Connection, looking: Looking) -> Iterator[Item]:
    """Orders whose gateway tells a cost that cannot be true, each by its own number: a job may have several."""
    own = attempts.c.job_id == jobs.c.id
    for wanted in (jobs.c.state.in_(LIVE), _ended_lately(looking)):
        orders = _order().join(attempts, own).where(wanted, jobs.c.flagged == "absurd_cost")
        for row in db.execute(orders.order_by(attempts.c.job_id, attempts.c.number).limit(MOST)).mappings():
            attempt = attempt_of(row)
            if settlement.DOUBTS["absurd_cost"](attempt):
                said = f"order {attempt.number} of a job that is {row['state']} is told to cost far more than expected"
                yield Item("absurd_cost", said, since=row["updated_at"], **_looked_up(row))


def _forgotten(db: Connection, looking: Looking) -> Iterator[Item]:
    """Callbacks for jobs, or for orders, that this database does not know. Only we mint their addresses."""
    order = sa.and_(attempts.c.job_id == inbox.c.job_id, attempts.c.number == inbox.c.attempt)
    rows = (
        sa.select(inbox.c.job_id, inbox.c.attempt, inbox.c.provider, inbox.c.task_id, inbox.c.received_at)
        .add_columns(jobs.c.id.label("known"), jobs.c.created_at, _PROMPT)
        .outerjoin(jobs, jobs.c.id == inbox.c.job_id)
        .outerjoin(attempts, order)
        .where(inbox.c.read_at.is_(None), attempts.c.number.is_(None))
        .order_by(inbox.c.id)
        .limit(MOST)
    )
    for row in db.execute(rows):
        said = f"a callback of {iso_s(row.received_at)} names task {row.task_id or '(none)'} of order {row.attempt}"
        known = {"job_id": row.job_id, "provider": row.provider, "attempt": row.attempt, "task_id": row.task_id}
        # By which key it was ordered is not known; most likely by the one that is used now.
        key = looking.settings.accounts.get(row.provider)
        known |= {"ordered_at": row.created_at, "prompt": _begun(row.prompt), "account": key and key.fingerprint}
        yield Item("unknown_attempt" if row.known else "unknown_job", said, since=row.received_at, **known)


def _earlier(db: Connection, looking: Looking) -> Iterator[Item]:
    """Open orders for which no job waits, since another one's video is used or made: what is odd about their tasks."""
    current = sa.and_(jobs.c.state == State.GENERATING.value, attempts.c.number == jobs.c.attempt)
    others = sa.and_(stored_lanes.IS_OPEN, attempts.c.task_id.is_not(None), ~current)
    orders = _order().join(attempts, attempts.c.job_id == jobs.c.id).where(others)
    for row in db.execute(orders.order_by(attempts.c.job_id, attempts.c.number).limit(MOST)).mappings():
        attempt = attempt_of(row)
        if reason := flags.of_order(attempt, row["mode"], looking.now, looking.settings):
            said = f"order {attempt.number}, of a job that is {row['state']} with order {row['current']}"
            yield Item(reason, said, since=attempt.accepted_at, **_looked_up(row))


def _flagged(db: Connection, looking: Looking) -> Iterator[Item]:
    """Jobs that a step has flagged: live ones, and those of the last weeks that have ended."""
    # What is told of the order above needs no second line for its job.
    own = attempts.alias()
    borne = sa.exists().where(own.c.job_id == jobs.c.id, own.c.contested)
    claimed = sa.exists().where(hearsay.c.job_id == jobs.c.id, hearsay.c.is_contested)
    told = sa.and_(jobs.c.flagged == "contested_task", sa.or_(borne, claimed))
    kept = sa.exists().where(own.c.job_id == jobs.c.id, own.c.unproven.is_not(None))
    told = sa.or_(told, sa.and_(jobs.c.flagged == "unproven_film", kept))
    flag = sa.and_(jobs.c.flagged.is_not(None), jobs.c.flagged.not_in(settlement.DOUBTS), ~told)
    for wanted in (jobs.c.state.in_(LIVE), _ended_lately(looking)):
        flagged = _order().outerjoin(attempts, _CURRENT).where(wanted, flag).order_by(jobs.c.id).limit(MOST)
        for row in db.execute(flagged).mappings():
            troubles = f", {row['troubles']} troubles in a row" if row["troubles"] else ""
            reason, said = row["flagged"], f"the job is {row['state']}{troubles}"
            if reason == "troubled" and (why := (row["waiting"] or {}).get("reason") or row["last_word"]):
                said += f"; the last word: {why}"
            if reason == "other_length" and row["duration_s"] is not None:
                said = f"the archived film lasts {row['duration_s']:g} s; {row['ordered_s']} s were ordered"
            looked_up = {**_looked_up(row), "job_id": row["id"], "provider": row["of_job"]}
            until = row["set_aside_until"] if reason == flags.HOLDER_DIED else None
            yield Item(reason, said, since=row["updated_at"], until=until, **looked_up)


def _untold(db: Connection, looking: Looking) -> Iterator[Item]:
    """Jobs with notices that were given up; one whose receiver wants no more of them (410) is none of these."""
    wanted = sa.and_(
        notices.c.alarm_at.is_(None),
        notices.c.delivered_at.is_(None),
        notices.c.created_at > looking.now - LOOKED_BACK,
        notices.c.last_status.is_distinct_from(http.HTTPStatus.GONE.value),
    )
    told = ("job_id", "url")
    rows = (
        sa.select(*(notices.c[name] for name in told), sa.func.count().label("many"))
        .add_columns(sa.func.min(notices.c.created_at).label("since"), sa.func.max(notices.c.last_error).label("error"))
        .where(wanted)
        .group_by(*(notices.c[name] for name in told))
        .order_by("since", notices.c.job_id)
        .limit(MOST)
    )
    for row in db.execute(rows):
        many = "1 notice" if row.many == 1 else f"{row.many} notices"
        said = f"{many} to {masked(row.url)} could not be delivered ({row.error}), and no more tries follow"
        yield Item("notice_given_up", said, job_id=row.job_id, since=row.since)


def _ended_lately(looking: Looking) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.created_at > looking.now - LOOKED_BACK, jobs.c.state.in_(OVER))


def _looked_up(row: RowMapping) -> dict[str, Any]:
    """What a person needs for looking an order up at its gateway."""
    names = ("job_id", "provider", "task_id", "account", "link", "outcome")
    shown = {"attempt": row["number"], "ordered_at": row["created_at"], "prompt": _begun(row["prompt"])}
    return {name: row[name] for name in names} | shown


def _begun(prompt: str | None) -> str | None:
    """How a prompt begins."""
    return f"{prompt[:PROMPT_SHOWN]}…" if prompt and len(prompt) > PROMPT_SHOWN else prompt


def _with_current(wanted: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    return _order().join(attempts, _CURRENT).where(wanted).limit(MOST)


def _attempts_since(since: datetime, wanted: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    own = attempts.c.job_id == jobs.c.id
    days = attempts.c.day >= spending.day_of(since)
    return _order().join(attempts, own).where(days, wanted).order_by(attempts.c.job_id, attempts.c.number).limit(MOST)


_CURRENT = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
# In the index's own words, by which it is found; of a million orders these are few.
_NOT_HOME = sa.text(f"attempts.{NOT_HOME}")
_PROMPT = sa.func.substr(jobs.c.request["prompt"].as_string(), 1, PROMPT_SHOWN + 1).label("prompt")


def _order() -> sa.Select[tuple[object, ...]]:
    """An order's row, with what is wanted of its job's."""
    names = (
        "id",
        "state",
        "mode",
        "flagged",
        "troubles",
        "updated_at",
        "link_dies_at",
        "duration_s",
        "set_aside_until",
        "waiting",
    )
    of_job = [*(jobs.c[name] for name in names), jobs.c.provider.label("of_job"), jobs.c.attempt.label("current")]
    ordered_s = jobs.c.request["duration"].as_string().label("ordered_s")
    return sa.select(attempts, *of_job, _PROMPT, ordered_s).select_from(jobs)
