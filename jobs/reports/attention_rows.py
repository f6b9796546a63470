"""How orders are read for the list of what needs a person: with what somebody needs for looking at their gateways.

The statements of the list are built once, each as its room's constant: to build all of them took longer than the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.machine import schedule
from jobs.machine.states import ENDED
from jobs.reports.attention_items import MOST, Looking
from jobs.store import spending
from jobs.store.prepared import at, planned_once
from jobs.store.tables import NOT_HOME, attempts, jobs

LOOKED_BACK = timedelta(days=30)  # to orders that have ended badly; older ones are in the account of costs
LINK_LIVES = timedelta(days=3)  # longer than any gateway's link
LATEST_KEPT = timedelta(days=7)  # by then after an order its film has been refused, if it ever is
OVER = [state.value for state in ENDED]
PROMPT_SHOWN = 80
Statement = sa.Select[tuple[object, ...]]


class Back(Enum):
    """How far back orders are looked at: the parameter that has the first day."""

    BAD_END = "day_of_bad_ends"
    LINK = "day_of_links"
    KEPT = "day_of_kept_films"


class Rows:
    """What the list's statements find.

    One question tells first which of them find anything: mostly none does, and to ask them all would take as long each
    time.
    """

    def __init__(self, db: Connection, any_of: sa.Select[Any], statements: Sequence[Statement], looking: Looking):
        """`any_of`: see there, of these statements."""
        self._db, self._times = db, _times(looking)
        found = db.execute(any_of, self._times).one()
        self._found = {id(statement) for statement, has_any in zip(statements, found, strict=True) if has_any}

    def of(self, statement: Statement) -> Sequence[RowMapping]:
        """What one of them finds, at most `MOST`."""
        if id(statement) not in self._found:
            return ()
        return self._db.execute(statement, self._times).mappings().all()

    def also(self, statement: Statement, **values: Any) -> Sequence[RowMapping]:
        """What is looked up beside them."""
        return self._db.execute(statement, values).mappings().all()


def any_of(statements: Sequence[Statement]) -> sa.Select[Any]:
    """Whether each of them finds anything."""
    columns: list[sa.ColumnElement[Any]] = [statement.exists() for statement in statements]
    return planned_once(sa.select(*columns))


def _times(looking: Looking) -> dict[str, Any]:
    """The parameters of the list's statements, by how far back each looks."""
    now = looking.now
    kept = now - schedule.keeping(looking.settings) - LATEST_KEPT
    days = {Back.BAD_END: now - LOOKED_BACK, Back.LINK: now - LINK_LIVES, Back.KEPT: kept}
    return {"lately": now - LOOKED_BACK} | {back.value: spending.day_of(moment) for back, moment in days.items()}


def looked_up(row: RowMapping) -> dict[str, Any]:
    """What a person needs for looking an order up at its gateway."""
    names = ("job_id", "provider", "task_id", "account", "link", "outcome")
    shown = {"attempt": row["number"], "ordered_at": row["created_at"], "prompt": begun(row["prompt"])}
    return {name: row[name] for name in names} | shown


def begun(prompt: str | None) -> str | None:
    """How a prompt begins."""
    return f"{prompt[:PROMPT_SHOWN]}…" if prompt and len(prompt) > PROMPT_SHOWN else prompt


CURRENT = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
# In the index's own words, by which it is found; of a million orders these are few.
IS_NOT_HOME = sa.text(f"attempts.{NOT_HOME}")
PROMPT = sa.func.substr(jobs.c.request["prompt"].as_string(), 1, PROMPT_SHOWN + 1).label("prompt")
ENDED_LATELY = sa.and_(jobs.c.created_at > at("lately"), jobs.c.state.in_(OVER))


def order() -> Statement:
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
    return sa.select(attempts, *of_job, PROMPT, ordered_s).select_from(jobs)


def with_current(wanted: sa.ColumnElement[bool]) -> Statement:
    return order().join(attempts, CURRENT).where(wanted).limit(MOST)


def attempts_since(back: Back, wanted: sa.ColumnElement[bool]) -> Statement:
    own, day = attempts.c.job_id == jobs.c.id, attempts.c.day >= sa.bindparam(back.value, type_=sa.String)
    return order().join(attempts, own).where(day, wanted).order_by(attempts.c.job_id, attempts.c.number).limit(MOST)
