"""A job's metadata as rows, for statements that look into it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def entries_of(metadata: sa.ColumnElement[Any], *, is_sqlite: bool) -> sa.TableValuedAlias:
    """A row with `key` and `value` for each entry. Not by a JSON path: SQLite's cannot hold every name."""
    each = sa.func.json_each if is_sqlite else sa.func.json_each_text
    return each(metadata).table_valued("key", "value")
