"""How the ends of orders came to be known, in figures; on both databases."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from rows import DAY, NOW, SECOND, Rows

from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.reports import callbacks
from jobs.reports.callbacks import Ends
from jobs.store.tables import attempts, inbox

pytestmark = pytest.mark.both_databases

A = AttemptOutcome


def order(
    rows: Rows, by: str, *, after_s: float | None = 10, called_after_s: float | None = None, **columns: Any
) -> str:
    """An order whose task finished now, and whose end was heard so much later; perhaps it was called back as well.

    The news of a callback are of when it was here.
    """
    job_id = rows.job(State.ARCHIVED)
    heard_s = called_after_s if by == "callback" and called_after_s is not None else after_s
    heard_at = None if heard_s is None else rows.now + heard_s * SECOND
    known = {"news_by": by, "news_at": heard_at, "finished_at": rows.now, "with_callback": True, "outcome": A.DELIVERED}
    rows.attempt(job_id, **{**known, **columns})
    if called_after_s is not None:
        provider = columns.get("provider", "evolink")
        row = {"job_id": job_id, "attempt": 1, "provider": provider, "digest": job_id, "body": b"{}", "headers": {}}
        at = rows.now + called_after_s * SECOND
        rows.write(lambda db: db.execute(sa.insert(inbox).values(**row, readable=True, status=200, received_at=at)))
    return job_id


def ends(rows: Rows, **more: Any) -> dict[str, Ends]:
    given = {"since": NOW - DAY, "until": NOW + DAY, **more}
    with rows.database.read() as db:
        return callbacks.ends(db, **given)


class Delay(NamedTuple):
    orders: int
    p50: float
    p95: float


def delays(rows: Rows) -> tuple[dict[str, Delay], dict[str, Delay]]:
    """Until callbacks were here, and until ends were found, by gateway."""
    with rows.database.read() as db:
        told = callbacks.figures(db, since=NOW - DAY, until=NOW + DAY)
    assert [each["provider"] for each in told] == sorted(ends(rows))
    assert all(ends(rows)[each["provider"]].as_json().items() <= each.items() for each in told)
    calling, asking = (
        {each["provider"]: Delay(**each[name]) for each in told if each[name] is not None}
        for name in ("called_after_s", "found_after_s")
    )
    return calling, asking


def test_orders_are_told_or_asked_and_what_is_not_told_came_late_or_not_at_all(rows: Rows) -> None:
    order(rows, "callback", called_after_s=2)
    order(rows, "callback", called_after_s=2, outcome=A.FAILED)
    order(rows, "poll", called_after_s=600)
    order(rows, "poll")
    order(rows, "poll", with_callback=False)
    order(rows, "poll", provider="gravitex", with_callback=False)
    found = ends(rows)
    assert found == {"evolink": Ends(told=2, asked=3, late=1, lost=1), "gravitex": Ends(asked=1)}
    assert (found["evolink"].loss_ratio, found["gravitex"].loss_ratio) == (0.25, None)
    assert ends(rows, provider="gravitex") == {"gravitex": Ends(asked=1)}


def test_only_ends_of_the_span_count_and_only_those_that_a_gateway_has_told(rows: Rows) -> None:
    order(rows, "poll", after_s=0)
    order(rows, "poll", after_s=60)
    order(rows, "poll", after_s=-1)
    order(rows, "poll", after_s=None)  # of an earlier version
    order(rows, "poll", outcome=A.OPEN)  # called failed, and it runs after all
    order(rows, "poll", outcome=A.EXPIRED)
    assert ends(rows, since=NOW, until=NOW + 60 * SECOND) == {"evolink": Ends(asked=1, lost=1)}


def test_delays_are_nearest_ranks_from_the_end_by_the_gateways_clock(rows: Rows) -> None:
    for place in range(20):
        order(rows, "callback", called_after_s=place + 1)
    order(rows, "callback", called_after_s=1, finished_at=None)
    order(rows, "poll", after_s=30.5)
    order(rows, "poll", after_s=90.25, called_after_s=600)
    calling, asking = delays(rows)
    assert calling == {"evolink": Delay(orders=21, p50=11.0, p95=20.0)}
    assert asking == {"evolink": Delay(orders=2, p50=30.5, p95=90.25)}


def test_a_callback_that_was_here_before_its_gateways_end_came_at_once(rows: Rows) -> None:
    order(rows, "callback", called_after_s=-3)
    calling, asking = delays(rows)
    assert (calling, asking) == ({"evolink": Delay(1, 0.0, 0.0)}, {})


def test_ranks_are_those_of_a_sorted_list(rows: Rows) -> None:
    draw = random.Random(7)
    for provider, count in (("evolink", 37), ("apiframe", 5), ("aivideoapi", 1)):
        drawn = [round(draw.random() * 100, 2) for _ in range(count)]
        for seconds in drawn:
            order(rows, "poll", after_s=seconds, provider=provider)
        ranks = [sorted(drawn)[-(-count * rank // 100) - 1] for rank in (50, 95)]
        assert delays(rows)[1][provider] == Delay(count, *ranks)


def test_the_last_day_is_shorter_where_callbacks_are_kept_for_less(rows: Rows) -> None:
    order(rows, "poll")
    with rows.database.read() as db:
        for days, found in ((30.0, {"evolink": Ends(asked=1, lost=1)}), (0.25, {})):
            assert callbacks.of_last_day(db, keep_d=days, now=NOW + timedelta(hours=12)) == found


def test_delays_are_of_the_last_ends_and_counts_of_all(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "DELAYS_OF", 3)
    for seconds in (1, 2, 3, 4):
        order(rows, "poll", after_s=seconds)
    assert ends(rows) == {"evolink": Ends(asked=4, lost=4)}
    assert delays(rows) == ({}, {"evolink": Delay(3, 3.0, 4.0)})


# The orders of a year: with a few of them all indexes cost the same.
NAMES = [column.name for column in attempts.columns]
OTHERWISE = {"number": "n", "news_at": "news_at - n * interval '4 hours'"}
YEAR = "INSERT INTO attempts ({}) SELECT {} FROM attempts, generate_series(2, 2000) AS n".format(
    ", ".join(NAMES), ", ".join(OTHERWISE.get(name, name) for name in NAMES)
)


def test_the_ends_of_a_day_are_sought_in_their_index(rows: Rows) -> None:
    order(rows, "poll")
    explain = "EXPLAIN QUERY PLAN" if rows.database.is_sqlite else "EXPLAIN"
    given = {"since": NOW - DAY, "until": NOW, "most": 10}
    for statement in (callbacks._counts(False), callbacks._delays(False, rows.database.is_sqlite)):
        with rows.database.engine.connect() as db:  # of which nothing stays
            if not rows.database.is_sqlite:
                for told in (YEAR, "ANALYZE attempts", "SET LOCAL enable_seqscan = off"):
                    db.execute(sa.text(told))
            asked = db.execute(statement, given).context
            told = db.exec_driver_sql(f"{explain} {asked.statement}", asked.parameters[0])
            plan = "\n".join(str(row[-1]) for row in told)
            db.rollback()
        assert "ix_attempts_news_at" in plan, plan
        assert "inbox" in plan
        assert "SCAN inbox" not in plan, plan
