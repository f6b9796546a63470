"""What needs a person, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate

from jobs.machine.error_codes import REASONS
from jobs.machine.times import iso
from jobs.providers.base import Provider
from jobs.reports import attention
from jobs.reports.attention_items import MOST, Item, Looking
from jobs.request.schema import Strict
from jobs.settings import Settings
from jobs.store.database import Database
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.schemas.base import Answer

USUAL = 100


class AttentionQuerySchema(Strict):
    reason = fields.String(
        validate=validate.OneOf(sorted(REASONS), error="Knows no {input}; choose from {choices}."),
        metadata={"description": "Only this one."},
    )
    limit = fields.Integer(
        strict=False,
        load_default=USUAL,
        validate=validate.Range(1, MOST, error=f"Choose from 1 to {MOST}."),
        metadata={"description": "At most so many."},
    )


class AttentionItemSchema(Answer):
    reason = fields.String(metadata={"description": "Stable; docs/errors.md has all of them."})
    detail = fields.String(metadata={"description": "For people, with the values."})
    then = fields.String(metadata={"description": "What a person can do."})
    command = fields.String(
        metadata={"description": "What answers it; of what stands in brackets, one is chosen by what was found."}
    )
    job_id = fields.String(allow_none=True, metadata={"description": "null: it is about a gateway."})
    provider = fields.String(allow_none=True)
    since = fields.String(allow_none=True)
    until = fields.String(allow_none=True, metadata={"description": "When it settles itself, or is lost."})
    attempt = fields.Integer(allow_none=True, metadata={"description": "The order's number; null: it is about none."})
    ordered_at = fields.String(allow_none=True, metadata={"description": "When it was ordered, at the earliest."})
    task_id = fields.String(allow_none=True, metadata={"description": "null: its task is not known."})
    account = fields.String(allow_none=True, metadata={"description": "The fingerprint of the gateway's key."})
    prompt = fields.String(allow_none=True, metadata={"description": "How its prompt begins."})
    link = fields.String(allow_none=True, metadata={"description": "Of the video that was made, where there is one."})


class AttentionSchema(Answer):
    data = fields.List(fields.Nested(AttentionItemSchema), metadata={"description": "What is most urgent comes first."})
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": f"How many for each reason, at most {MOST}; those without any are left out."},
    )
    has_more = fields.Boolean()


@dataclass(frozen=True)
class AttentionApi:
    """What this view works with."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database


def blueprint(api: AttentionApi) -> Blueprint:
    """`/v1/attention`."""
    about = "What the service will not, or cannot, settle by itself"
    routes = StrictBlueprint("attention", __name__, url_prefix="/v1/attention", description=about)

    @routes.get("")
    @routes.arguments(AttentionQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, AttentionSchema)
    def show(query: Mapping[str, Any]) -> ResponseReturnValue:
        """What needs a person, by reason."""
        with api.database.read() as db:
            looking = Looking(api.settings, api.providers, api.database.clock(db))
            found = list(attention.items(db, looking))
        counts: dict[str, int] = {}
        for item in found:
            counts[item.reason] = counts.get(item.reason, 0) + 1
        wanted = [item for item in found if query.get("reason") in (None, item.reason)]
        shown = [_told(item) for item in wanted[: query["limit"]]]
        return {"data": shown, "counts": counts, "has_more": len(wanted) > len(shown)}

    return routes


def _told(item: Item) -> dict[str, Any]:
    times = {"since": iso(item.since), "until": iso(item.until), "ordered_at": iso(item.ordered_at)}
    return {**asdict(item), **times, "then": REASONS[item.reason].then, "command": item.command}
