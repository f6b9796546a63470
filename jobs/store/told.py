"""What a transaction writes into histories, as lines of the log, and what is counted of it: told once it is committed,
and never otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.engine import Connection

from jobs import measures
from jobs.machine.states import State
from jobs.measures import Measure
from jobs.tallies import Tallies

LOGGER = "jobs.history"
IN_HISTORY_ALONE = frozenset({"considered"})  # long: every gateway of a route, with its price and its faults
_KEY = "told"  # in what SQLAlchemy keeps with a connection

log = structlog.get_logger(LOGGER)


@dataclass
class Noted:
    """What a transaction will have done: lines of histories, counts by their labels, and values that were measured."""

    lines: list[Mapping[str, Any]] = field(default_factory=list)
    counts: list[tuple[Measure, tuple[str, ...]]] = field(default_factory=list)
    values: list[tuple[Measure, float, tuple[str, ...]]] = field(default_factory=list)


def begin(db: Connection) -> Noted:
    """A transaction begins: what is noted in it gathers here."""
    noted = Noted()
    db.info[_KEY] = noted
    return noted


def note(db: Connection, lines: Iterable[Mapping[str, Any]]) -> None:
    """Lines of histories, as rows with the `provider` of their order, if it is known."""
    _noted(db).lines.extend(lines)


def count(db: Connection, measure: Measure, *labels: str) -> None:
    """One more of what a counter counts."""
    _noted(db).counts.append((measure, labels))


def observe(db: Connection, measure: Measure, value: float, *labels: str) -> None:
    """A value for a histogram."""
    _noted(db).values.append((measure, value, labels))


def tell(noted: Noted, tallies: Tallies) -> None:
    """The transaction is committed. An order whose answer is lost is a warning."""
    for measure, labels in noted.counts:
        tallies.count(measure, *labels)
    for measure, value, labels in noted.values:
        tallies.observe(measure, value, *labels)
    for line in noted.lines:
        before, after = line["from_state"], line["to_state"]
        is_lost = after == State.UNCONFIRMED and before != State.UNCONFIRMED
        detail = {name: value for name, value in line["detail"].items() if name not in IN_HISTORY_ALONE}
        provider = line.get("provider") or detail.pop("provider", None)
        if after is not None:
            tallies.count(measures.MOVES, line["event"], str(after), provider or "")
        said = {
            "attempt": line["attempt"] or None,
            "provider": provider,
            "from": before,
            "to": after,
            "detail": detail or None,
        }
        known = {name: value for name, value in said.items() if value is not None}
        log.log(logging.WARNING if is_lost else logging.INFO, f"job_{line['event']}", job=line["job_id"], **known)


def _noted(db: Connection) -> Noted:
    noted: Noted = db.info.setdefault(_KEY, Noted())
    return noted
