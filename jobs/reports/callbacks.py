"""How the ends of orders came to be known: told by a callback, or found by asking; of the callbacks, how many came late
or never, and what each way took from the end of the task.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, NotRequired, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome
from jobs.store.tables import attempts, inbox

# An order whose end its gateway has told. One that ran out without a word has none.
TOLD = (AttemptOutcome.FINISHED, AttemptOutcome.DELIVERED, AttemptOutcome.UNDELIVERED, AttemptOutcome.FAILED)
LONGEST_D = 10_000  # older than any callback
PLACES = 4  # of a share
SHOWN_S = 3  # digits of seconds


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


@dataclass(frozen=True)
class Delay:
    """Seconds from the end of a task by its gateway's clock, over the `orders` for which it told one."""

    orders: int
    p50: float
    p95: float


def ends(db: Connection, **span: Unpack[Span]) -> dict[str, Ends]:
    """By gateway, of the ends that were heard then. Those without any are left out.

    Once callbacks are pruned, what was late looks lost: `since` is to lie in the time for which they are kept.
    """
    heard = _heard(span).subquery()
    is_told, is_called = heard.c.news_by == "callback", heard.c.called_at.is_not(None)
    counts = {
        "told": is_told,
        "asked": ~is_told,
        "late": sa.and_(~is_told, is_called),
        "lost": sa.and_(~is_told, ~is_called, heard.c.with_callback),
    }
    numbers = (sa.func.count().filter(what).label(name) for name, what in counts.items())
    rows = db.execute(sa.select(heard.c.provider, *numbers).group_by(heard.c.provider))
    return {row.provider: Ends(row.told, row.asked, row.late, row.lost) for row in rows}


def figures(db: Connection, **span: Unpack[Span]) -> list[dict[str, Any]]:
    """All of it as it is told, by gateway; as `ends`. Delays: None where no end has one."""
    found, calling, asking = ends(db, **span), calling_delays(db, **span), asking_delays(db, **span)
    return [
        {
            "provider": name,
            **found[name].as_json(),
            "called_after_s": asdict(calling[name]) if name in calling else None,
            "found_after_s": asdict(asking[name]) if name in asking else None,
        }
        for name in sorted(found)
    ]


def of_last_day(db: Connection, *, keep_d: float, now: datetime) -> dict[str, Ends]:
    """Of the last 24 hours; of fewer where callbacks are not kept for so long."""
    return ends(db, since=max(now - timedelta(days=1), kept_since(keep_d, now)), until=now)


def kept_since(keep_d: float, now: datetime) -> datetime:
    """Since when all callbacks are kept."""
    return now - timedelta(days=min(keep_d, LONGEST_D))


def earliest_day(*, keep_d: float, now: datetime) -> date:
    """The first day of which all callbacks are kept; today at least."""
    return min(now.date(), kept_since(keep_d, now).date() + timedelta(days=1))


def calling_delays(db: Connection, **span: Unpack[Span]) -> dict[str, Delay]:
    """By gateway: until the first callback was here, of orders that were called back, in time or late."""
    return _delays(db, _heard(span), "called_at")


def asking_delays(db: Connection, **span: Unpack[Span]) -> dict[str, Delay]:
    """By gateway: until the end was found, of orders that had to be asked."""
    found = _heard(span).where(attempts.c.news_by != "callback")
    return _delays(db, found, "news_at")


def _heard(span: Span) -> sa.Select[Any]:
    """Orders whose end was heard then, each with its first callback."""
    of_it = sa.and_(inbox.c.job_id == attempts.c.job_id, inbox.c.attempt == attempts.c.number)
    called_at = sa.select(sa.func.min(inbox.c.received_at)).where(of_it).correlate(attempts).scalar_subquery()
    columns = [attempts.c[name] for name in ("provider", "news_by", "news_at", "with_callback", "finished_at")]
    found = sa.select(*columns, called_at.label("called_at"))
    found = found.where(attempts.c.news_at >= span["since"], attempts.c.news_at < span["until"])
    found = found.where(attempts.c.outcome.in_(TOLD))
    provider = span.get("provider")
    return found if provider is None else found.where(attempts.c.provider == provider)


def _delays(db: Connection, heard: sa.Select[Any], end: str) -> dict[str, Delay]:
    """Nearest ranks, counted in the database: neither kind has percentiles that the other has too."""
    each = heard.subquery()
    seconds = _seconds(each.c.finished_at, each.c[end], is_sqlite=db.dialect.name == "sqlite")
    known = sa.select(each.c.provider, seconds.label("s")).where(seconds.is_not(None)).subquery()
    place = sa.func.row_number().over(partition_by=known.c.provider, order_by=known.c.s)
    orders = sa.func.count().over(partition_by=known.c.provider)
    ranked = sa.select(*known.c, place.label("place"), orders.label("orders")).subquery()
    p50, p95 = (sa.func.min(ranked.c.s).filter(ranked.c.place * 100 >= ranked.c.orders * rank) for rank in (50, 95))
    columns = (ranked.c.provider, ranked.c.orders)
    rows = db.execute(sa.select(*columns, p50, p95).group_by(*columns))
    # The clocks are two: what was here before its gateway's end came at once.
    return {name: Delay(count, *(round(max(s, 0.0), SHOWN_S) for s in both)) for name, count, *both in rows}


def _seconds(
    begin: sa.ColumnElement[Any], end: sa.ColumnElement[Any], *, is_sqlite: bool
) -> sa.ColumnElement[float | None]:
    if is_sqlite:
        begin_d, end_d = (sa.func.julianday(moment, type_=sa.Float) for moment in (begin, end))
        return (end_d - begin_d) * 86_400
    return sa.cast(sa.extract("epoch", end) - sa.extract("epoch", begin), sa.Float)
