"""What happens to all jobs, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate

from jobs.machine.states import State
from jobs.machine.times import iso
from jobs.reports import happenings
from jobs.reports.happenings import MOST, Happening
from jobs.request.schema import Strict
from jobs.store.database import Database
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.schemas.base import Answer

LAST_NUMBER = 2**63 - 1


class MovesQuerySchema(Strict):
    after = fields.Integer(
        validate=validate.Range(0, LAST_NUMBER, error="Send `next` of the answer before."),
        error_messages={"invalid": "Not a whole number; send `next` of the answer before."},
        metadata={"description": "`next` of the answer before; left out: nothing is told but where to begin."},
    )


class MoveSchema(Answer):
    number = fields.Integer(metadata={"description": "It grows; moves that are made at once may be told in any order."})
    at = fields.String()
    job_id = fields.String()
    state = fields.String(validate=validate.OneOf([s.value for s in State]))
    provider = fields.String(allow_none=True)
    error = fields.String(allow_none=True, metadata={"description": "The job's error code, as it is now."})
    key = fields.String(metadata={"description": "Where the video belongs in the bucket."})


class MovesSchema(Answer):
    data = fields.List(fields.Nested(MoveSchema), metadata={"description": f"The oldest first; {MOST} at most."})
    next = fields.Integer(metadata={"description": "What to send as `after` next time."})


def blueprint(database: Database) -> Blueprint:
    """`/v1/events`."""
    routes = StrictBlueprint("events", __name__, url_prefix="/v1/events", description="What happens to all jobs")

    @routes.get("")
    @routes.arguments(MovesQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, MovesSchema)
    def list_(query: Mapping[str, Any]) -> ResponseReturnValue:
        """Every job's moves from one state to another, as they are made.

        It is for whoever follows them: of a job that ended more than a day ago (`RUSHES_PACK_HISTORY_D`) only its own
        events tell.
        """
        with database.read() as db:
            if "after" not in query:
                return answer({"data": [], "next": happenings.latest(db)})
            found = happenings.since(db, query["after"])
        return answer({"data": [_json(each) for each in found], "next": found[-1].number if found else query["after"]})

    return routes


def _json(move: Happening) -> dict[str, Any]:
    return {**move._asdict(), "at": iso(move.at)}
