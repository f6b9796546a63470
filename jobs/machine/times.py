"""Times as they are told: ISO 8601 in UTC, ending in Z; and times that cannot be believed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import overload

# A moment that lies further ahead than this was written before the clock was set back, which happens to this machine's,
# and on SQLite that is the database's.
CLOCK_SET_BACK = timedelta(seconds=5)


@overload
def iso(moment: datetime) -> str: ...
@overload
def iso(moment: datetime | None) -> str | None: ...
def iso(moment: datetime | None) -> str | None:
    """For programs, to the millisecond: 2026-11-21T16:00:00.000Z."""
    return None if moment is None else _z(moment, "milliseconds")


def iso_s(moment: datetime) -> str:
    """For people, to the second: 2026-11-21T16:00:00Z."""
    return _z(moment, "seconds")


def _z(moment: datetime, to: str) -> str:
    return moment.isoformat(timespec=to).replace("+00:00", "Z")
