"""The due jobs of a step on PostgreSQL, read from the heads of lines: of each state and API key the most urgent ones.

To sort all that are due takes as long as there are of them, at every look: a third of a second for a hundred thousand.
What is found is the same, in the same order. SQLite has no LATERAL, and sorts.

PostgreSQL is to go along the lines' own indexes, also before it knows anything of the table: by what it reckons of many
conditions together it may take another index, and read all lines to their ends. So nothing here hangs on how many rows
there are in a state, with a lease or with an alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from jobs.machine.states import State
from jobs.store.column_types import Instant
from jobs.store.prepared import at, planned_once
from jobs.store.step_table import BY_NAME, OF_NEWS, Step
from jobs.store.tables import jobs

SPARE = 8  # turns that are read of each key beyond its share


class Line(NamedTuple):
    """By what a line is ordered, what stands in it, in the words of the index that leads to its head, and its end."""

    urgency: sa.Column[Any]
    stands: sa.ColumnElement[bool]
    last: sa.ColumnElement[Any]


_HAS_ALARM = jobs.c.alarm_at.is_not(None)
_NEVER = sa.literal_column("'infinity'::timestamptz", Instant)
_LINES = (
    Line(jobs.c.link_dies_at, sa.and_(_HAS_ALARM, jobs.c.link_dies_at.is_not(None)), _NEVER),
    # Those that wait stand behind those that are due.
    Line(jobs.c.alarm_at, sa.and_(_HAS_ALARM, jobs.c.link_dies_at.is_(None)), at("now")),
)


def read(db: Connection, step: Step, values: Mapping[str, Any]) -> Sequence[sa.Row[Any]]:
    """Rows that begin with id and version, most urgent first, in turn between API keys. `values`: now, ahead, limit.

    Of each line its key's share of `limit` is read. Where others have less than theirs, and so it may have more turns
    than were read, as many are read of each as are wanted of all.
    """
    rows = db.execute(_statement(step.name), {**values, "least": 1}).all()
    if rows and rows[-1].turn >= rows[-1].share:
        rows = db.execute(_statement(step.name), {**values, "least": values["limit"]}).all()
    return rows


@cache
def _statement(step: str) -> sa.Select[Any]:
    states = [state for state in State if BY_NAME[step].serves(state, False)]
    lines = [_lines(line, states) for line in _LINES]
    share = _share(lines)
    found = sa.union_all(*_parts(BY_NAME[step], lines, share)).subquery()
    turn = sa.func.row_number().over(partition_by=found.c.api_key_id, order_by=(found.c.urgency, found.c.id))
    ranked = sa.select(found.c.id, found.c.version, found.c.urgency, turn.label("turn")).subquery()
    first = sa.select(ranked.c.id, ranked.c.version, ranked.c.turn, share.label("share"))
    first = first.order_by(ranked.c.turn, ranked.c.urgency, ranked.c.id)
    return planned_once(first.limit(sa.bindparam("limit", type_=sa.Integer)))


def _lines(line: Line, states: Sequence[State]) -> sa.CTE:
    """States and API keys that have jobs in line: from one key to the next in the index, past all jobs of each."""

    def least(state: sa.ColumnElement[str], *more: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
        found = sa.select(sa.func.min(jobs.c.api_key_id)).where(jobs.c.state == state, line.stands, *more)
        return found.correlate_except(jobs).scalar_subquery()

    of_step = sa.func.unnest(postgresql.array([state.value for state in states])).column_valued("of_step")
    of_first_keys = sa.select(of_step.label("state"), least(of_step).label("key"))
    found = of_first_keys.cte(f"by_{line.urgency.name}", recursive=True)
    following = sa.select(found.c.state, least(found.c.state, jobs.c.api_key_id > found.c.key))
    return found.union_all(following.where(found.c.key.is_not(None)))


def _share(lines: Sequence[sa.CTE]) -> sa.ScalarSelect[int]:
    """How many are read of each line: what its key has of `limit` if all have the same, or `least` if that is more."""
    keys = sa.union(*(sa.select(each.c.key) for each in lines)).subquery()
    one_each = sa.func.greatest(sa.func.count(keys.c.key), 1, type_=sa.Integer)
    of_each = sa.bindparam("limit", type_=sa.Integer) // one_each
    most = sa.func.greatest(of_each + SPARE, sa.bindparam("least", type_=sa.Integer))
    return sa.select(sa.select(most.label("share")).cte("shares").c.share).scalar_subquery()


def _parts(step: Step, lines: Sequence[sa.CTE], share: sa.ScalarSelect[int]) -> Iterator[sa.Select[Any]]:
    """The heads of all lines that the step serves, and what stands in no line: each due row once."""
    whole = [state for state in State if step.serves(state, True) and step.serves(state, False)]
    of_news = [state for state in State if step.serves(state, True) and state not in whole]
    wanted = sa.true() if whole else _has_no_news()
    yield from (_heads(line, each, share, wanted) for line, each in zip(_LINES, lines, strict=True))
    yield from (_with_news(state) for state in of_news)
    # Written in what is the future, as the clock was set back since: a span without an end would be taken for long.
    beyond = jobs.c.updated_at > sa.select(at("ahead")).scalar_subquery()
    yield _rows().where(_HAS_ALARM, beyond, jobs.c.updated_at < _NEVER, _unreckoned(step.rows))


def _heads(line: Line, lines: sa.CTE, share: sa.ScalarSelect[int], wanted: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Of each line the first that are due.

    Said as a span of the index, in its order: by an equal key PostgreSQL might take the index of all alarms of a state,
    and to come to the end of a short line read through the others.
    """
    key = jobs.c.api_key_id
    end = sa.tuple_(key, line.urgency) <= sa.tuple_(lines.c.key, line.last)
    span = (jobs.c.state == lines.c.state, line.stands, key >= lines.c.key, end)
    due = _rows(line.urgency).where(*span, _unreckoned(jobs.c.alarm_at <= at("now"), *_believed(), wanted))
    head = due.order_by(key, line.urgency, jobs.c.id).limit(share).correlate(lines).lateral()
    return sa.select(*head.c).select_from(lines.join(head, sa.true())).where(lines.c.key.is_not(None))


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


def _unreckoned(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """All of them, of which PostgreSQL takes no index, and reckons that half the rows are so."""
    return sa.func.coalesce(sa.and_(*conditions), sa.false())
