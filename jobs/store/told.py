"""What a transaction writes into histories, as lines of the log: told once it is committed, and never otherwise."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from sqlalchemy.engine import Connection

from jobs.machine.states import State

LOGGER = "jobs.history"
IN_HISTORY_ALONE = frozenset({"considered"})  # long: every gateway of a route, with its price and its faults
_KEY = "told"  # in what SQLAlchemy keeps with a connection

log = structlog.get_logger(LOGGER)


def begin(db: Connection) -> list[Mapping[str, Any]]:
    """A transaction begins: what is noted in it gathers in this list."""
    lines: list[Mapping[str, Any]] = []
    db.info[_KEY] = lines
    return lines


def note(db: Connection, lines: Iterable[Mapping[str, Any]]) -> None:
    """Lines of histories, as rows with the `provider` of their order, if it is known."""
    db.info.setdefault(_KEY, []).extend(lines)


def tell(lines: Iterable[Mapping[str, Any]]) -> None:
    """The transaction is committed. An order whose answer is lost is a warning."""
    for line in lines:
        is_lost = line["to_state"] == State.UNCONFIRMED and line["from_state"] != State.UNCONFIRMED
        detail = {name: value for name, value in line["detail"].items() if name not in IN_HISTORY_ALONE}
        said = {
            "attempt": line["attempt"] or None,
            "provider": line.get("provider") or detail.pop("provider", None),
            "from": line["from_state"],
            "to": line["to_state"],
            "detail": detail or None,
        }
        known = {name: value for name, value in said.items() if value is not None}
        log.log(logging.WARNING if is_lost else logging.INFO, f"job_{line['event']}", job=line["job_id"], **known)
