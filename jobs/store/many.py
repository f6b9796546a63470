"""Many ids, and many rows, in one statement whose text is the same for however many: PostgreSQL prepares it once.

Each count of places in `IN (…)` is another statement to it, and a server keeps a hundred of a connection. Rows that are
written one by one are as many statements. SQLite has no arrays, and needs none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

Row = Mapping[str, Any]


class one_of(sa.ColumnElement[bool]):  # noqa: N801  # read as a condition, beside `of` and `at`
    """The column has one of the values that are given under this name, as a list."""

    _traverse_internals = [  # noqa: RUF012  # what SQLAlchemy tells statements apart by
        ("column", InternalTraversal.dp_clauseelement),
        ("name", InternalTraversal.dp_string),
    ]
    inherit_cache = True
    type = sa.Boolean()

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        self.column, self.name = column, name


@compiles(one_of)
def _in_list(element: one_of, compiler: Any, **how: Any) -> str:
    values: sa.BindParameter[Any] = sa.bindparam(element.name, expanding=True)
    text: str = compiler.process(element.column.in_(values), **how)
    return text


@compiles(one_of, "postgresql")
def _in_array(element: one_of, compiler: Any, **how: Any) -> str:
    values = sa.bindparam(element.name, type_=ARRAY(element.column.type))
    text: str = compiler.process(element.column == sa.func.any(values), **how)
    return text


def insert(db: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows that name the same columns."""
    if len(rows) > 1 and db.dialect.name == "postgresql":
        db.execute(insert_arrays(table, tuple(rows[0])), arrays(rows))
    elif rows:
        db.execute(_insert(table), rows)


@cache
def _insert(table: sa.Table) -> sa.Insert:
    return sa.insert(table)


def arrays(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The parameters of `insert_arrays`."""
    return {f"all_{name}": [row[name] for row in rows] for name in rows[0]}


@cache
def insert_arrays(table: sa.Table, names: tuple[str, ...]) -> sa.Insert:
    """The statement that writes rows with these columns, on PostgreSQL."""
    columns = [table.c[name] for name in names]
    values = (sa.bindparam(f"all_{column.name}", type_=ARRAY(column.type)) for column in columns)
    rows = sa.func.unnest(*values).table_valued(*(sa.column(c.name, c.type) for c in columns), name="rows")
    return sa.insert(table).from_select(names, sa.select(*rows.render_derived().c))
