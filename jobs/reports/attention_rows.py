"""How orders are read for the list of what needs a person: with what somebody needs for looking at their gateways."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from jobs.machine.states import ENDED
from jobs.reports.attention_items import MOST, Looking
from jobs.store import spending
from jobs.store.tables import NOT_HOME, attempts, jobs

LOOKED_BACK = timedelta(days=30)  # to orders that have ended badly; older ones are in the account of costs
OVER = [state.value for state in ENDED]
PROMPT_SHOWN = 80


def ended_lately(looking: Looking) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.created_at > looking.now - LOOKED_BACK, jobs.c.state.in_(OVER))


def looked_up(row: RowMapping) -> dict[str, Any]:
    """What a person needs for looking an order up at its gateway."""
    names = ("job_id", "provider", "task_id", "account", "link", "outcome")
    shown = {"attempt": row["number"], "ordered_at": row["created_at"], "prompt": begun(row["prompt"])}
    return {name: row[name] for name in names} | shown


def begun(prompt: str | None) -> str | None:
    """How a prompt begins."""
    return f"{prompt[:PROMPT_SHOWN]}…" if prompt and len(prompt) > PROMPT_SHOWN else prompt


def with_current(wanted: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    return order().join(attempts, CURRENT).where(wanted).limit(MOST)


def attempts_since(since: datetime, wanted: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    own = attempts.c.job_id == jobs.c.id
    days = attempts.c.day >= spending.day_of(since)
    return order().join(attempts, own).where(days, wanted).order_by(attempts.c.job_id, attempts.c.number).limit(MOST)


CURRENT = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
# In the index's own words, by which it is found; of a million orders these are few.
IS_NOT_HOME = sa.text(f"attempts.{NOT_HOME}")
PROMPT = sa.func.substr(jobs.c.request["prompt"].as_string(), 1, PROMPT_SHOWN + 1).label("prompt")


def order() -> sa.Select[tuple[object, ...]]:
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
