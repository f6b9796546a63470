"""How the ends of orders came to be known: told by a callback, or found by asking; of the callbacks, how many came late
or never, and what each way took from the end of the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, NotRequired, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome
from jobs.reports import percentiles
from jobs.store.tables import attempts, inbox

# An order whose end its gateway has told. One that ran out without a word has none.
TOLD = (AttemptOutcome.FINISHED, AttemptOutcome.DELIVERED, AttemptOutcome.UNDELIVERED, AttemptOutcome.FAILED)
LONGEST_D = 10_000  # older than any callback
PLACES = 4  # of a share


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
    found = _counted(_heard(span).subquery())
    return {provider: Ends(*counts) for provider, *counts in db.execute(found)}


def figures(db: Connection, **span: Unpack[Span]) -> list[dict[str, Any]]:
    """All of it as it is told, by gateway; as `ends`. In one statement, as to find callbacks takes the most of it.

    `called_after_s`: until the first callback was here, of orders that were called back, in time or late;
    `found_after_s`: until the end was found, of those that had to be asked. None where no end has one.
    """
    heard, is_sqlite = _heard(span).cte("heard"), db.dialect.name == "sqlite"
    asked = sa.select(heard).where(heard.c.news_by != "callback").subquery()
    called_s = percentiles.seconds(heard.c.finished_at, heard.c.called_at, is_sqlite=is_sqlite)
    found_s = percentiles.seconds(asked.c.finished_at, asked.c.news_at, is_sqlite=is_sqlite)
    parts = {
        "ends": _counted(heard),
        "called": percentiles.ranked(heard, called_s),
        "found": percentiles.ranked(asked, found_s),
    }
    told: dict[str, dict[str, Sequence[float]]] = {part: {} for part in parts}
    for part, provider, *numbers in db.execute(sa.union_all(*(_part(*each) for each in parts.items()))):
        told[part][provider] = numbers
    return [
        {
            "provider": provider,
            **Ends(*map(int, counts)).as_json(),
            "called_after_s": _delay(told["called"].get(provider)),
            "found_after_s": _delay(told["found"].get(provider)),
        }
        for provider, counts in sorted(told["ends"].items())
    ]


def _counted(heard: sa.FromClause) -> sa.Select[Any]:
    """By gateway: the fields of `Ends`, in their order."""
    is_told, is_called = heard.c.news_by == "callback", heard.c.called_at.is_not(None)
    counts = {
        "told": is_told,
        "asked": ~is_told,
        "late": sa.and_(~is_told, is_called),
        "lost": sa.and_(~is_told, ~is_called, heard.c.with_callback),
    }
    numbers = (sa.func.count().filter(what).label(name) for name, what in counts.items())
    return sa.select(heard.c.provider, *numbers).group_by(heard.c.provider)


def _part(name: str, found: sa.Select[Any]) -> sa.Select[Any]:
    """A gateway and at most four numbers, as all parts have them."""
    each = found.subquery()
    provider, *numbers = each.c
    missing = [sa.literal(0.0)] * (4 - len(numbers))
    return sa.select(sa.literal(name), provider, *(sa.cast(number, sa.Float) for number in numbers), *missing)


def _delay(numbers: Sequence[float] | None) -> dict[str, float] | None:
    """The clocks are two: what was here before its gateway's end came at once."""
    if numbers is None:
        return None
    orders, p50, p95 = numbers[:3]
    seconds = {name: max(round(s, percentiles.DIGITS), 0.0) for name, s in (("p50", p50), ("p95", p95))}
    return {"orders": int(orders), **seconds}


def of_last_day(db: Connection, *, keep_d: float, now: datetime) -> dict[str, Ends]:
    """Of the last 24 hours; of fewer where callbacks are not kept for so long."""
    return ends(db, since=max(now - timedelta(days=1), kept_since(keep_d, now)), until=now)


def kept_since(keep_d: float, now: datetime) -> datetime:
    """Since when all callbacks are kept."""
    return now - timedelta(days=min(keep_d, LONGEST_D))


def earliest_day(*, keep_d: float, now: datetime) -> date:
    """The first day of which all callbacks are kept; today at least."""
    return min(now.date(), kept_since(keep_d, now).date() + timedelta(days=1))


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
