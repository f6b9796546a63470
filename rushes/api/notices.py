"""Notices over HTTP: what pipelines were told, what became of it, and telling them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import g
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from sqlalchemy.engine import RowMapping

from jobs.machine.times import iso
from jobs.ringer import Ringer
from jobs.store import notices
from jobs.store.database import Database
from jobs.store.notices import NOTICE_ID, STATES, NoticeState
from jobs.store.step_table import NOTIFY
from jobs.store.tables import notices as table
from rushes.api.edge import answers, cursors
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema
from rushes.api.schemas.notices import (
    NoticeListSchema,
    NoticeSchema,
    NoticesQuerySchema,
    ReplayedSchema,
    ReplayFailedSchema,
    WholeNoticeSchema,
)
from storage.outbound.guard import masked


@dataclass(frozen=True)
class NoticesApi:
    """What these views work with."""

    database: Database
    ringer: Ringer


def blueprint(api: NoticesApi) -> Blueprint:
    """`/v1/notices`."""
    about = "What pipelines were told, and what became of it"
    routes = StrictBlueprint("notices", __name__, url_prefix="/v1/notices", description=about)
    unknown = {"schema": ProblemSchema, "content_type": MEDIA_TYPE, "description": "unknown_notice"}

    @routes.get("")
    @routes.arguments(NoticesQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, NoticeListSchema)
    def list_(query: Mapping[str, Any]) -> ResponseReturnValue:
        """The newest notices first, a page at a time."""
        limit = query["limit"]
        after = _place(query["cursor"], query) if "cursor" in query else None
        with api.database.read() as db:
            rows = notices.page(db, _wanted(query), after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = cursors.write(last["created_at"].isoformat(), last["id"], of=query) if last else None
        return answers.page([_shown(row) for row in rows[:limit]], cursor)

    @routes.get("/<notice_id>")
    @routes.response(200, WholeNoticeSchema)
    @routes.alt_response(404, **unknown)
    def show(notice_id: str) -> ResponseReturnValue:
        """One notice: what it says, and each of its tries."""
        with api.database.read() as db:
            row, tries = notices.find(db, notice_id)
        names = ("number", "status", "error", "took_s")
        history = [{**{name: each[name] for name in names}, "at": iso(each["at"])} for each in tries]
        return {**_shown(row), "body": row["body"], "history": history}

    @routes.post("/<notice_id>/replay")
    @routes.response(202, NoticeSchema, description="It goes out once more, under the same id.")
    @routes.alt_response(404, **unknown)
    def replay(notice_id: str) -> ResponseReturnValue:
        """Send a notice once more, delivered or not. Its timetable starts anew."""
        with api.database.write() as db:
            notices.replay(db, notice_id, now=api.database.clock(db), api_key_id=g.api_key_id)
            row, _ = notices.find(db, notice_id)
        api.ringer.ring(NOTIFY.name, row["job_id"])
        return _shown(row), 202

    @routes.post("/replay")
    @routes.arguments(ReplayFailedSchema, location="json", as_kwargs=False, required=False, error_status_code=422)
    @routes.response(202, ReplayedSchema)
    def replay_failed(body: Mapping[str, Any]) -> ResponseReturnValue:
        """Send every notice that was given up once more: all of them, or those of a job or since a time."""
        chosen = {"job_id": body.get("job_id"), "since": body.get("since")}
        replayed = notices.replay_failed(api.database, **chosen, api_key_id=g.api_key_id)
        if replayed:
            api.ringer.sweep()
        return {"replayed": replayed}, 202

    return routes


def _wanted(query: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    wanted = [table.c[name] == query[name] for name in ("job_id", "type") if name in query]
    return [*wanted, STATES[NoticeState(query["state"])]] if "state" in query else wanted


def _place(cursor: str, query: Mapping[str, Any]) -> tuple[datetime, str]:
    """Where the page before ended. Raises BadRequest."""
    try:
        at, notice_id = cursors.read(cursor, query)
        moment = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise cursors.wrong() from None
    if not NOTICE_ID.fullmatch(notice_id):
        raise cursors.wrong()
    return moment, notice_id


def _shown(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "job_id": row["job_id"],
        "sequence": row["sequence"],
        "type": row["type"],
        "url": masked(row["url"]),
        "state": notices.state_of(row).value,
        "tries": row["tried"],
        "last_status": row["last_status"],
        "last_error": row["last_error"],
        "next_try_at": iso(row["alarm_at"]),
        "created_at": iso(row["created_at"]),
        "delivered_at": iso(row["delivered_at"]),
    }
