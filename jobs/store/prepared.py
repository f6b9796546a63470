"""Parts of statements that are built once, as their modules' constants: to build one takes many times what it runs.

A value comes as a parameter of the execution. Columns that an UPDATE is to write are parameters by their own names;
those that it compares are called `of_` and the column's name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from jobs.store.tables import Instant


def of(*columns: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Each of these columns equals its parameter, `of_<name>`."""
    return sa.and_(*(column == sa.bindparam(f"of_{column.name}", type_=column.type) for column in columns))


def at(name: str) -> sa.BindParameter[datetime]:
    """A parameter that is a time."""
    return sa.bindparam(name, type_=Instant)
