"""Kept callbacks over HTTP: what gateways said, and letting it count once more."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import g
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from sqlalchemy.engine import RowMapping

from jobs.machine.times import iso
from jobs.store import callbacks
from jobs.store.callbacks import CALLBACK_ID
from jobs.store.core import Core
from jobs.store.step_table import wake
from jobs.store.tables import inbox as table
from rushes.api.edge import answers, cursors
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema
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
