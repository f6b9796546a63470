"""Parts of statements that are built once, as their modules' constants: to build one takes many times what it runs.

A value comes as a parameter of the execution. Columns that an UPDATE is to write are parameters by their own names;
those that it compares are called `of_` and the column's name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BindParameter

from jobs.store.column_types import Instant


def of(*columns: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Each of these columns equals its parameter, `of_<name>`."""
    return sa.and_(*(column == sa.bindparam(f"of_{column.name}", type_=column.type) for column in columns))


def at(name: str) -> sa.BindParameter[datetime]:
    """A parameter that is a time."""
    return sa.bindparam(name, type_=Instant)


def planned_once(statement: sa.Select[Any]) -> sa.Select[Any]:
    """This statement with its constants written out.

    PostgreSQL plans a statement once for good where its plan does not hang on the parameters. One in whose place stands
    a state of jobs may find a row or a million, so it is planned each time.
    """

    def written(element: Any, **_: Any) -> Any:
        is_constant = isinstance(element, BindParameter) and not element.required
        return element.render_literal_execute() if is_constant else None

    return cast("sa.Select[Any]", visitors.replacement_traverse(statement, {}, written))
