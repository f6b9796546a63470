"""What the orders came to: sums by what became of the money, and by day, gateway, key, batch and metadata."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED
from jobs.reports.metadata import entries_of
from jobs.store import spending
from jobs.store.prepared import of
from jobs.store.tables import attempts, jobs

PAID_NOT_DELIVERED = "paid_not_delivered"
# Every line that an account has, in the order in which people read it.
LINES = (
    Standing.CHARGED.value,
    Standing.HELD.value,
    PAID_NOT_DELIVERED,
    Standing.UNCERTAIN.value,
    Standing.REFUNDED.value,
)
OF_METADATA = "metadata."
# What an order can be summed by, beside `metadata.<key>`.
GROUPS: Mapping[str, sa.ColumnElement[Any]] = {
    "day": attempts.c.day,
    "provider": attempts.c.provider,
    "key": jobs.c.api_key_id,
    "batch": jobs.c.batch,
}
OF_ORDERS = ("day", "provider")  # the order's row alone says them
OF_JOBS = frozenset({"batch", "keys"})
USUAL = ("day", "provider")
MICRO = 1_000_000


class Only(TypedDict, total=False):
    """Which orders are meant; what is not named, or None, leaves none out."""

    provider: str | None
    batch: str | None
    keys: Collection[str] | None  # ids of the API keys that their jobs were asked for with


@dataclass(frozen=True)
class Sum:
    """Orders of one group and line. `usd` is what the gateway reported and can be true, else what was expected.

    `group`: by what they are summed, in the order asked for; None: their jobs have none. `unpriced` of the `attempts`
    have no price, so `usd` leaves them out. `credits` are the gateway's own: None where gateways may be summed.
    """

    group: Mapping[str, str | None]
    line: str
    attempts: int
    usd: float
    unpriced: int
    credits: float | None

    @property
    def provider(self) -> str | None:
        return self.group.get("provider")

    @property
    def day(self) -> str | None:
        return self.group.get("day")


class Total(NamedTuple):
    """Orders of one line, as in `Sum`; of several gateways, whose credits are of different kinds and have no sum."""

    attempts: int
    usd: float
    unpriced: int


def total_columns() -> list[sa.Label[Any]]:
    """The line that an order stands in, and how `Total` is counted over orders."""
    of_it = jobs.alias("of_it")  # looked at for the few that this hangs on, whether or not the statement reads jobs
    is_over = of_it.c.state.in_([state.value for state in ENDED])
    ended = sa.exists().where(of_it.c.id == attempts.c.job_id, is_over).correlate(attempts)
    kept = attempts.c.outcome.in_([AttemptOutcome.FINISHED.value, AttemptOutcome.UNDELIVERED.value])
    stray = sa.and_(attempts.c.standing == Standing.CHARGED.value, kept, ended)
    usd = spending.counted("usd")
    # In whole millionths, as budgets are: however orders are grouped, the sums come to the same.
    micro = sa.func.coalesce(sa.func.sum(sa.cast(sa.func.round(usd * MICRO), sa.BigInteger)), 0)
    return [
        sa.case((stray, PAID_NOT_DELIVERED), else_=attempts.c.standing).label("line"),
        sa.func.count().label("attempts"),
        (sa.cast(micro, sa.Float) / float(MICRO)).label("usd"),
        (sa.func.count() - sa.func.count(usd)).label("unpriced"),
    ]


def sums(
    db: Connection,
    *,
    since: str,
    until: str,
    by: Sequence[str] = USUAL,
    limit: int | None = None,
    **only: Unpack[Only],
) -> list[Sum]:
    """The account of the days from `since` to `until`, both included (ISO dates, UTC); the newest day first.

    `by`: names of GROUPS and `metadata.<key>`; sorted by the first, within that by the next. At most `limit` sums, of
    which nobody knows which are missing.
    """
    chosen, given = _chosen_by(only)
    wanted = statement(tuple(by), chosen, is_sqlite=db.dialect.name == "sqlite")
    rows = db.execute(wanted.limit(limit), {"since": since, "until": until, **given}).all()
    found = [Sum(dict(zip(by, row, strict=False)), *row[len(by) :]) for row in rows]
    found.sort(key=lambda each: LINES.index(each.line))
    for name in reversed(by):
        found.sort(key=lambda each: _place(each.group[name]), reverse=name == "day")
    return found


@lru_cache(maxsize=64)
def statement(by: tuple[str, ...], chosen: frozenset[str], *, is_sqlite: bool) -> sa.Select[Any]:
    """The query for the sums, unsorted: it seeks the orders by their days, and reads jobs where they are asked for.

    `chosen`: what of `Only` is named. Days and names are parameters, since to build it takes as long as to ask it.
    """
    line, *columns = total_columns()
    groups = {f"group_{place}": _group(name, is_sqlite) for place, name in enumerate(by)}
    columns = [*(column.label(name) for name, column in groups.items()), line, *columns]
    is_one_gateway = "provider" in by or "provider" in chosen
    credits = sa.func.sum(sa.func.coalesce(spending.counted("credits"), 0)) if is_one_gateway else sa.null()
    of_jobs = any(name not in OF_ORDERS for name in by) or bool(chosen & OF_JOBS)
    summed = sa.select(*columns, credits.label("credits")).group_by(*groups, line.name)
    return _of_orders(summed, chosen, with_jobs=of_jobs)


def metadata_keys(db: Connection, *, since: str, until: str, limit: int, **only: Unpack[Only]) -> list[str]:
    """What entries the metadata of these orders' jobs has, by their keys: at most `limit` of them."""
    entries = entries_of(jobs.c.metadata, is_sqlite=db.dialect.name == "sqlite")
    chosen, given = _chosen_by(only)
    keys = _of_orders(sa.select(entries.c.key), chosen, with_jobs=True).join(entries, sa.true())
    ordered = keys.distinct().order_by(entries.c.key).limit(limit)
    return list(db.execute(ordered, {"since": since, "until": until, **given}).scalars())


def _chosen_by(only: Only) -> tuple[frozenset[str], dict[str, Any]]:
    """What is named, and the parameters that it has."""
    named = {name: value for name, value in only.items() if value is not None}
    return frozenset(named), {f"of_{name}": value for name, value in named.items()}


def _of_orders(select: sa.Select[Any], chosen: frozenset[str], *, with_jobs: bool) -> sa.Select[Any]:
    """What is selected of orders of these days that came to anything, and of the jobs that they are of."""
    select = select.select_from(attempts)
    if with_jobs:
        select = select.join(jobs, jobs.c.id == attempts.c.job_id)
    since, until = (sa.bindparam(name, type_=sa.String) for name in ("since", "until"))
    select = select.where(attempts.c.day.between(since, until), attempts.c.standing != Standing.NONE.value)
    if "provider" in chosen:
        select = select.where(of(attempts.c.provider))
    if "batch" in chosen:
        select = select.where(of(jobs.c.batch))
    if "keys" in chosen:
        select = select.where(jobs.c.api_key_id.in_(sa.bindparam("of_keys", expanding=True)))
    return select


def _place(value: str | None) -> tuple[bool, str]:
    return value is None, value or ""


def _group(name: str, is_sqlite: bool) -> sa.ColumnElement[Any]:
    if name in GROUPS:
        return GROUPS[name]
    entries = entries_of(jobs.c.metadata, is_sqlite=is_sqlite)
    is_named = entries.c.key == name.removeprefix(OF_METADATA)
    return sa.select(entries.c.value).where(is_named).correlate(jobs).scalar_subquery()
