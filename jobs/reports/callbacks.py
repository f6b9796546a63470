"""How the ends of orders came to be known: told by a callback, or found by asking; of the callbacks, how many came late
or never, and what each way took from the end of the task.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import chain
from typing import Any, NotRequired, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome
from jobs.reports import percentiles
from jobs.store.prepared import at
from jobs.store.tables import attempts, inbox

# An order whose end its gateway has told. One that ran out without a word has none.
TOLD = (AttemptOutcome.FINISHED, AttemptOutcome.DELIVERED, AttemptOutcome.UNDELIVERED, AttemptOutcome.FAILED)
LONGEST_D = 10_000  # older than any callback
PLACES = 4  # of a share
CALLED = "callback"  # who brought the news, as an order's row says it
DELAYS_OF = 1000  # ends, the last ones
UNKNOWN = (0, None, None) * 2
# Of an order that was told by a callback its own row knows the time; for the others, which are few, it is looked for.
_FIRST_CALLED_AT = (
    sa.select(sa.func.min(inbox.c.received_at))
    .where(inbox.c.job_id == attempts.c.job_id, inbox.c.attempt == attempts.c.number)
    .correlate(attempts)
    .scalar_subquery()
)


class Span(TypedDict):
    """The ends that were heard from `since` to before `until`; of one gateway, or of all."""

    since: datetime
    until: datetime
    provider: NotRequired[str | None]


@dataclass(frozen=True)
class Ends:
    """Orders of one gateway whose end was heard. `told`: by a callback, before anybody asked; `asked`: the others.

    Of the asked ones that had a callback URL, `late` were called back after all, and `lost` not so far.
    """

    told: int = 0
    asked: int = 0
    late: int = 0
    lost: int = 0

    @property
    def loss_ratio(self) -> float | None:
        """Of the orders that were to be called back; None where there are none."""
        expected = self.told + self.late + self.lost
        return round(self.lost / expected, PLACES) if expected else None

    def as_json(self) -> dict[str, Any]:
        return {"ended": self.told + self.asked, **asdict(self), "loss_ratio": self.loss_ratio}


def ends(db: Connection, **span: Unpack[Span]) -> dict[str, Ends]:
    """By gateway, of the ends that were heard then. Those without any are left out.

    Once callbacks are pruned, what was late looks lost: `since` is to lie in the time for which they are kept.
    """
    found = db.execute(_counts("provider" in _given(span)), _given(span))
    return {
        provider: Ends(told=ended - asked, asked=asked, late=late, lost=to_call - late)
        for provider, ended, asked, to_call, late in found
    }


@cache
def _counts(of_one: bool) -> sa.Select[Any]:
    """By gateway: orders whose end was heard, those that were asked, of these those to be called back, and the late."""
    is_asked = attempts.c.news_by != CALLED
    was_to_call = sa.and_(is_asked, attempts.c.with_callback)
    # Looked for after all else is known, and once: it costs more than the rest.
    is_late = sa.case((was_to_call, _FIRST_CALLED_AT.is_not(None)), else_=False)
    counts = (sa.func.count().filter(what) for what in (is_asked, was_to_call, is_late))
    counted = sa.select(attempts.c.provider, sa.func.count(), *counts)
    return _heard(counted, of_one).group_by(attempts.c.provider)


def figures(db: Connection, **span: Unpack[Span]) -> list[dict[str, Any]]:
    """All of it as it is told, by gateway; as `ends`. Delays are of the last `DELAYS_OF` ends.

    `called_after_s`: until the callback that told it was here, or of those that were asked the first one;
    `found_after_s`: until the end was found, of those that had to be asked. None where no end has one.
    """
    given = _given(span)
    asked = _delays("provider" in given, db.dialect.name == "sqlite")
    delays = {provider: numbers for provider, *numbers in db.execute(asked, {**given, "most": DELAYS_OF})}
    return [
        {
            "provider": provider,
            **each.as_json(),
            "called_after_s": _delay(*delays.get(provider, UNKNOWN)[:3]),
            "found_after_s": _delay(*delays.get(provider, UNKNOWN)[3:]),
        }
        for provider, each in sorted(ends(db, **span).items())
    ]


@cache
def _delays(of_one: bool, is_sqlite: bool) -> sa.Select[Any]:
    """By gateway: what `_delay` takes, of callbacks and of questions."""
    names = ("provider", "news_by", "news_at", "finished_at")
    is_told = attempts.c.news_by == CALLED
    called_at = sa.case((is_told, attempts.c.news_at), (attempts.c.with_callback, _FIRST_CALLED_AT))
    heard = _heard(sa.select(*(attempts.c[name] for name in names), called_at.label("called_at")), of_one)
    last = heard.order_by(attempts.c.news_at.desc()).limit(sa.bindparam("most", type_=sa.Integer))
    # Else PostgreSQL would look for the callback wherever `called_at` is named.
    each = last.cte("heard").prefix_with("MATERIALIZED")
    called_s = percentiles.seconds(each.c.finished_at, each.c.called_at, is_sqlite=is_sqlite)
    found_s = percentiles.seconds(each.c.finished_at, each.c.news_at, is_sqlite=is_sqlite)
    asked_s = sa.case((each.c.news_by != CALLED, found_s))
    lasted = sa.select(each.c.provider, called_s.label("called_s"), asked_s.label("found_s"))
    rows = percentiles.numbered(lasted, ("called_s", "found_s"), is_sqlite=is_sqlite)
    ranks = (percentiles.ranks(rows, name, is_sqlite=is_sqlite) for name in ("called_s", "found_s"))
    return sa.select(rows.c.provider, *chain(*ranks)).group_by(rows.c.provider)


def _delay(orders: int, p50: float | None, p95: float | None) -> dict[str, float] | None:
    """The clocks are two: what was here before its gateway's end came at once."""
    if p50 is None or p95 is None:
        return None
    seconds = {name: max(round(s, percentiles.DIGITS), 0.0) for name, s in (("p50", p50), ("p95", p95))}
    return {"orders": orders, **seconds}


def of_last_day(db: Connection, *, keep_d: float, now: datetime) -> dict[str, Ends]:
    """Of the last 24 hours; of fewer where callbacks are not kept for so long."""
    return ends(db, since=max(now - timedelta(days=1), kept_since(keep_d, now)), until=now)


def kept_since(keep_d: float, now: datetime) -> datetime:
    """Since when all callbacks are kept."""
    return now - timedelta(days=min(keep_d, LONGEST_D))


def earliest_day(*, keep_d: float, now: datetime) -> date:
    """The first day of which all callbacks are kept; today at least."""
    return min(now.date(), kept_since(keep_d, now).date() + timedelta(days=1))


def _given(span: Span) -> dict[str, Any]:
    return {name: value for name, value in span.items() if value is not None}


def _heard(select: sa.Select[Any], of_one: bool) -> sa.Select[Any]:
    """Of orders whose end was heard in a `Span`, which comes as parameters. `of_one`: of one gateway."""
    found = select.where(attempts.c.news_at >= at("since"), attempts.c.news_at < at("until"))
    found = found.where(attempts.c.outcome.in_(TOLD))
    return found.where(attempts.c.provider == sa.bindparam("provider", type_=sa.String)) if of_one else found
