"""The due jobs of a step on PostgreSQL, read from the heads of lines: of each state and API key the most urgent ones.

To sort all that are due takes as long as there are of them, at every look: a third of a second for a hundred thousand.
What is found is the same, in the same order. SQLite has no LATERAL, and sorts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import sqlalchemy as sa

from jobs.machine.states import State
from jobs.store.prepared import at, planned_once
from jobs.store.step_table import BY_NAME, OF_NEWS, Step
from jobs.store.tables import jobs

# By what a line is ordered: a link that dies, or the alarm. In the words of the indexes that lead to its head.
_LINES = (
    (jobs.c.link_dies_at, jobs.c.link_dies_at.is_not(None)),
    (jobs.c.alarm_at, jobs.c.link_dies_at.is_(None)),
)
_HAS_ALARM = jobs.c.alarm_at.is_not(None)


@cache
def statement(step: str) -> sa.Select[Any]:
    """Ids and versions, most urgent first, in turn between API keys. Parameters: `now`, `ahead`, `limit`."""
    found = sa.union_all(*_parts(BY_NAME[step])).subquery()
    turn = sa.func.row_number().over(partition_by=found.c.api_key_id, order_by=(found.c.urgency, found.c.id))
    ranked = sa.select(found.c.id, found.c.version, found.c.urgency, turn.label("turn")).subquery()
    first = sa.select(ranked.c.id, ranked.c.version).order_by(ranked.c.turn, ranked.c.urgency, ranked.c.id)
    return planned_once(first.limit(sa.bindparam("limit", type_=sa.Integer)))


def _parts(step: Step) -> Iterator[sa.Select[Any]]:
    """The heads of all lines that the step serves, and what stands in no line: each due row once."""
    for state in State:
        with_news, without = (step.serves(state, news) for news in (True, False))
        if without:
            wanted = sa.true() if with_news else _has_no_news()
            yield from (_heads(state, urgency, in_line, wanted) for urgency, in_line in _LINES)
        elif with_news:
            yield _with_news(state)
    # Written in what is the future, as the clock was set back since.
    yield _rows().where(_HAS_ALARM, jobs.c.updated_at > at("ahead"), step.rows)


def _with_news(state: State) -> sa.Select[Any]:
    """The jobs in a state that have news: they are few, and may stand far behind in their lines.

    Each is looked up by its id. Left to choose, PostgreSQL may look through all news for each job in the state, as long
    as it does not know how much there is of either.
    """
    ids = sa.union(*(sa.select(job_id.label("id")).where(is_news) for job_id, is_news in OF_NEWS))
    having = ids.cte(f"news_of_{state.value}").prefix_with("MATERIALIZED")
    due = (jobs.c.state == state.value, jobs.c.alarm_at <= at("now"), *_believed())
    found = _rows().where(jobs.c.id == having.c.id, *due).limit(1).correlate(having).lateral()
    return sa.select(*found.c).select_from(having.join(found, sa.true()))


def _has_no_news() -> sa.ColumnElement[bool]:
    """Not by EXISTS, which PostgreSQL may turn into the same, nor by IS NULL, which it takes for true of very few."""
    found = (sa.select(sa.true()).where(job_id == jobs.c.id, is_news).limit(1) for job_id, is_news in OF_NEWS)
    return sa.and_(*(~sa.func.coalesce(one.correlate(jobs).scalar_subquery(), sa.false()) for one in found))


def _rows(urgency: sa.ColumnElement[Any] | None = None) -> sa.Select[Any]:
    urgency = sa.func.coalesce(jobs.c.link_dies_at, jobs.c.alarm_at) if urgency is None else urgency
    return sa.select(jobs.c.id, jobs.c.version, jobs.c.api_key_id, urgency.label("urgency"))


def _believed() -> tuple[sa.ColumnElement[bool], ...]:
    """That nobody has a lease, of a row that was not written in the future."""
    free = sa.or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= at("now"))
    return free, jobs.c.updated_at <= at("ahead")


def _heads(
    state: State, urgency: sa.Column[Any], in_line: sa.ColumnElement[bool], wanted: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    """Of each API key that has jobs in this line, the first `limit` that are due."""
    line = (jobs.c.state == state.value, _HAS_ALARM, in_line)
    keys = _keys(line, f"keys_{state.value}_{urgency.name}")
    due = (*line, jobs.c.alarm_at <= at("now"), *_believed(), wanted)
    first = _rows(urgency).where(jobs.c.api_key_id == keys.c.key, *due).order_by(urgency, jobs.c.id)
    head = first.limit(sa.bindparam("limit", type_=sa.Integer)).correlate(keys).lateral()
    return sa.select(*head.c).select_from(keys.join(head, sa.true())).where(keys.c.key.is_not(None))


def _keys(line: tuple[sa.ColumnElement[bool], ...], name: str) -> sa.CTE:
    """The API keys that have jobs in a line: from one to the next in the index, past all jobs of each."""

    def least(*more: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(sa.func.min(jobs.c.api_key_id).label("key")).where(*line, *more)

    first = least().cte(name, recursive=True)
    following = least(jobs.c.api_key_id > first.c.key).correlate(first).scalar_subquery()
    return first.union_all(sa.select(following).where(first.c.key.is_not(None)))
