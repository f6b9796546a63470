"""How the ends of orders came to be known: told by a callback, or found by asking; of the callbacks, how many came late
or never, and what each way took from the end of the task.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import chain
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
CALLED = "callback"  # who brought the news, as an order's row says it


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
    heard = _heard(span)
    found = db.execute(sa.select(heard.c.provider, *_counts(heard)).group_by(heard.c.provider))
    return {provider: Ends(*counts) for provider, *counts in found}


def figures(db: Connection, **span: Unpack[Span]) -> list[dict[str, Any]]:
    """All of it as it is told, by gateway; as `ends`.

    `called_after_s`: until the callback that told it was here, or of those that were asked the first one;
    `found_after_s`: until the end was found, of those that had to be asked. None where no end has one.
    """
    each, is_sqlite = _heard(span), db.dialect.name == "sqlite"
    called_s = percentiles.seconds(each.c.finished_at, each.c.called_at, is_sqlite=is_sqlite)
    found_s = percentiles.seconds(each.c.finished_at, each.c.news_at, is_sqlite=is_sqlite)
    asked_s = sa.case((each.c.news_by != CALLED, found_s))
    lasted = sa.select(each, called_s.label("called_s"), asked_s.label("found_s"))
    heard = percentiles.numbered(lasted, ("called_s", "found_s"), is_sqlite=is_sqlite)
    ranks = (percentiles.ranks(heard, name, is_sqlite=is_sqlite) for name in ("called_s", "found_s"))
    told = db.execute(sa.select(heard.c.provider, *_counts(heard), *chain(*ranks)).group_by(heard.c.provider))
    return [
        {
            "provider": provider,
            **Ends(*numbers[:4]).as_json(),
            "called_after_s": _delay(*numbers[4:7]),
            "found_after_s": _delay(*numbers[7:]),
        }
        for provider, *numbers in sorted(told)
    ]


def _counts(heard: sa.FromClause) -> list[sa.Label[int]]:
    """The fields of `Ends`, in their order."""
    is_told, is_called = heard.c.news_by == CALLED, heard.c.called_at.is_not(None)
    counts = {
        "told": is_told,
        "asked": ~is_told,
        "late": sa.and_(~is_told, is_called),
        "lost": sa.and_(~is_told, ~is_called, heard.c.with_callback),
    }
    return [sa.func.count().filter(what).label(name) for name, what in counts.items()]


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


def _heard(span: Span) -> sa.CTE:
    """Orders whose end was heard then, each with the callback that told it, or the first that came all the same.

    The order's row knows when the telling one was here; only for the others, which are few, callbacks are looked for.
    """
    of_it = sa.and_(inbox.c.job_id == attempts.c.job_id, inbox.c.attempt == attempts.c.number)
    first = sa.select(sa.func.min(inbox.c.received_at)).where(of_it).correlate(attempts).scalar_subquery()
    called_at = sa.case((attempts.c.news_by == CALLED, attempts.c.news_at), (attempts.c.with_callback, first))
    columns = [attempts.c[name] for name in ("provider", "news_by", "news_at", "with_callback", "finished_at")]
    found = sa.select(*columns, called_at.label("called_at"))
    found = found.where(attempts.c.news_at >= span["since"], attempts.c.news_at < span["until"])
    found = found.where(attempts.c.outcome.in_(TOLD))
    if (provider := span.get("provider")) is not None:
        found = found.where(attempts.c.provider == provider)
    # Else PostgreSQL would look for the callback wherever `called_at` is named.
    return found.cte("heard").prefix_with("MATERIALIZED")
