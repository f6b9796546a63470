"""The types of columns: what a value must be before it is kept, alike on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from jobs import gate


class Instant(TypeDecorator[datetime]):
    """An aware UTC time to the microsecond. SQLite has no such type: there it is ISO text, which sorts as time does."""

    impl = sa.String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(32))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} names no time zone; times are aware UTC.")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value)


class Words(TypeDecorator[str]):
    """Words for people, wherever they come from: through the gate, and cut to the column's length if it has one."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, longest: int | None = None) -> None:
        super().__init__()
        self.longest = longest

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return sa.Text() if self.longest is None else sa.String(self.longest)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else gate.words(value, self.longest or gate.LONGEST_WORDS)


JSON = sa.JSON(none_as_null=True)
# Numbers of lines: a job has many, and 32 bits are not enough for a service's life. SQLite counts in 64 by this alone.
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Told(TypeDecorator[Any]):
    """JSON for people, whose words may come from outside: through the gate."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return gate.json_value(value)
