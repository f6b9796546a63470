"""Kept callbacks over HTTP: what gateways said, and letting it count once more."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from flask import g
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from sqlalchemy.engine import Connection, RowMapping

from jobs.errors import BadRequest
from jobs.machine.times import iso
from jobs.reports import callbacks as figures
from jobs.store import callbacks
from jobs.store.callbacks import CALLBACK_ID
from jobs.store.core import Core
from jobs.store.step_table import wake
from jobs.store.tables import inbox as table
from rushes.api.edge import answers, cursors
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema
from rushes.api.schemas.callback_figures import USUAL_DAYS, FiguresQuerySchema, FiguresSchema
from rushes.api.schemas.days import days_of
from rushes.api.schemas.notices import CallbackListSchema, CallbackSchema, CallbacksQuerySchema, WholeCallbackSchema


@dataclass(frozen=True)
class CallbacksApi:
    """What these views work with."""

    core: Core


def blueprint(api: CallbacksApi) -> Blueprint:
    """`/v1/callbacks`."""
    about = "What gateways called back with, as it came"
    routes = StrictBlueprint("callbacks", __name__, url_prefix="/v1/callbacks", description=about)
    problem = {"schema": ProblemSchema, "content_type": MEDIA_TYPE}

    @routes.get("")
    @routes.arguments(CallbacksQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, CallbackListSchema)
    def list_(query: Mapping[str, Any]) -> ResponseReturnValue:
        """The newest callbacks first, a page at a time, without their bodies."""
        limit = query["limit"]
        before = _place(query["cursor"], query) if "cursor" in query else None
        with api.core.database.read() as db:
            rows = callbacks.page(db, _wanted(query), before=before, limit=limit + 1)
        found = [_shown(row) for row in rows[:limit]]
        cursor = cursors.write(found[-1]["id"], of=query) if len(rows) > limit else None
        return answers.page(found, cursor)

    @routes.get("/figures")
    @routes.arguments(FiguresQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, FiguresSchema)
    def show_figures(query: Mapping[str, Any]) -> ResponseReturnValue:
        """How ends of orders were heard of, by gateway: told by callback, or asked; lost callbacks, and delays.

        Of the days (UTC) on which the ends were heard; without days the last 7, today included. They reach as far back
        as callbacks are kept: which of the pruned ones came late, and which never, nobody knows.
        """
        with api.core.database.read() as db:
            since, until = _days(query, api.core.settings.keep_callbacks_d, api.core.database.clock(db))
            return {"from": str(since), "to": str(until), "data": _figures(db, since, until, query.get("provider"))}

    @routes.get("/<callback_id>")
    @routes.response(200, WholeCallbackSchema)
    @routes.alt_response(404, **problem, description="unknown_callback")
    def show(callback_id: str) -> ResponseReturnValue:
        """One callback, with the headers that were kept and its body."""
        with api.core.database.read() as db:
            row = callbacks.find(db, callback_id)
        return {**_shown(row), "headers": row["headers"], **_body(row["body"])}

    @routes.post("/<callback_id>/replay")
    @routes.response(202, CallbackSchema, description="It counts as unread again, and its job acts on it.")
    @routes.alt_response(404, **problem, description="unknown_callback, or unknown_job: a backup was put back")
    @routes.alt_response(409, **problem, description="settled")
    def replay(callback_id: str) -> ResponseReturnValue:
        """Let a callback count as one that has just come: its job asks the gateway again."""
        core = api.core
        with core.database.write() as db:
            now, who = core.database.clock(db), g.api_key_id
            state = callbacks.replay(db, callback_id, core.settings, core.providers, api_key_id=who, now=now)
            row = callbacks.find(db, callback_id)
        core.ringer.ring(wake(state, news=True).name, row["job_id"])
        return _shown(row), 202

    return routes


def _days(query: Mapping[str, Any], keep_d: float, now: datetime) -> tuple[date, date]:
    """The first and the last day that are asked for. Raises BadRequest."""
    since, until = days_of(query, now.date(), USUAL_DAYS)
    earliest = figures.earliest_day(keep_d=keep_d, now=now)
    if "from" not in query and until >= earliest:
        since = max(since, earliest)
    if since < earliest:
        why = f"Callbacks are kept for {keep_d:g} days (RUSHES_KEEP_CALLBACKS_D), and tell which came late"
        raise BadRequest({"from" if "from" in query else "to": [f"{why}; send {earliest} or a later day."]})
    return since, until


def _figures(db: Connection, first: date, last: date, provider: str | None) -> list[dict[str, Any]]:
    since = datetime.combine(first, time(), UTC)
    until = datetime.combine(min(last, date.max - timedelta(days=1)) + timedelta(days=1), time(), UTC)
    return figures.figures(db, since=since, until=until, provider=provider)


def _wanted(query: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    wanted = [table.c[name] == query[name] for name in ("job_id", "provider", "readable") if name in query]
    if "unread" in query:
        wanted.append(table.c.read_at.is_(None) if query["unread"] else table.c.read_at.is_not(None))
    return wanted


def _place(cursor: str, query: Mapping[str, Any]) -> int:
    """The number of the last callback of the page before. Raises BadRequest."""
    named = CALLBACK_ID.fullmatch(cursors.read(cursor, query)[0])
    if named is None:
        raise cursors.wrong()
    return int(named[1])


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"encoding": "utf-8", "body": body.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "body": base64.b64encode(body).decode()}


def _shown(row: RowMapping) -> dict[str, Any]:
    names = ("provider", "job_id", "attempt", "task_id", "readable", "signature", "status")
    times = {"received_at": iso(row["received_at"]), "read_at": iso(row["read_at"])}
    return {"id": f"cbk_{row['id']}", **{name: row[name] for name in names}, **times}
