"""What became of a batch, over HTTP."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate

from jobs.machine.states import State
from jobs.machine.times import iso
from jobs.reports import batches
from jobs.reports.batches import Batch
from jobs.reports.costs import LINES
from jobs.store.database import Database
from rushes.api.costs import LineTotalSchema
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema
from rushes.api.schemas.base import Answer

TO_USD = 6  # digits behind the point


class BatchSchema(Answer):
    name = fields.String()
    jobs = fields.Integer()
    states = fields.Dict(
        keys=fields.String(validate=validate.OneOf([s.value for s in State])),
        values=fields.Integer(),
        metadata={"description": "How many jobs are in each state; those without any are left out."},
    )
    needs_person = fields.Integer(metadata={"description": "Jobs that somebody should look at."})
    usd = fields.Float(metadata={"description": "All that was charged or may be, as far as prices are known."})
    money = fields.List(fields.Nested(LineTotalSchema), metadata={"description": "Every line of the account."})
    video_bytes = fields.Integer(metadata={"description": "Of the archived videos."})
    video_s = fields.Float(metadata={"description": "Seconds of archived video."})
    created_at = fields.String(metadata={"description": "When the first job was asked for."})
    ended_at = fields.String(allow_none=True, metadata={"description": "When the last job ended; null: not all have."})


def blueprint(database: Database) -> Blueprint:
    """`/v1/batches`."""
    routes = StrictBlueprint("batches", __name__, url_prefix="/v1/batches", description="What became of batches")

    @routes.get("/<batch>")
    @routes.response(200, BatchSchema)
    @routes.alt_response(404, schema=ProblemSchema, content_type=MEDIA_TYPE, description="unknown_batch")
    def show(batch: str) -> ResponseReturnValue:
        """A batch: its jobs by state, what they cost, how long it took."""
        with database.read() as db:
            return answer(_json(batches.read(db, batch)))

    return routes


def _json(batch: Batch) -> dict[str, Any]:
    money = [{"line": line, **batch.lines[line]._asdict()} for line in LINES]
    for each in money:
        each["usd"] = round(each["usd"], TO_USD)
    taken = [each["usd"] for each in money if each["line"] != "refunded"]
    return {
        "name": batch.name,
        "jobs": batch.jobs,
        "states": {state.value: batch.states[state] for state in State if state in batch.states},
        "needs_person": batch.flagged,
        "usd": round(sum(taken), TO_USD),
        "money": money,
        "video_bytes": batch.bytes,
        "video_s": round(batch.video_s, 3),
        "created_at": iso(batch.created_at),
        "ended_at": iso(batch.ended_at),
    }
