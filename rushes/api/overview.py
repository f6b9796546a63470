"""How the service is doing, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate

from jobs.machine.states import State
from jobs.machine.times import iso
from jobs.providers.base import Provider
from jobs.reports import overview
from jobs.reports.overview import READ, Overview, Span
from jobs.reports.providers import statuses_of
from jobs.request.schema import Strict
from jobs.settings import Settings
from jobs.store.database import Database
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.schemas.base import Answer
from rushes.api.schemas.callback_figures import FigureSchema
from rushes.api.schemas.providers import StandsSchema

LEFT_OUT = "Those without any are left out."


class OverviewQuerySchema(Strict):
    span = fields.String(
        load_default=Span.HOUR.value,
        validate=validate.OneOf([s.value for s in Span], error="Knows no {input}; choose from {choices}."),
        metadata={"description": "How far back is looked."},
    )


def _by_state(description: str) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=validate.OneOf([s.value for s in State])),
        values=fields.Integer(),
        metadata={"description": f"{description} {LEFT_OUT}"},
    )


class StepSchema(Answer):
    begins_at = fields.String()
    ended = _by_state("How many jobs ended within it.")


class PaceSchema(Answer):
    provider = fields.String()
    archived = fields.Integer(metadata={"description": "How many jobs the times are of."})
    p50_s = fields.Float(metadata={"description": "Half of the jobs took no longer, from the request to the archive."})
    p95_s = fields.Float(metadata={"description": "19 of 20 jobs took no longer."})


class DyingSchema(Answer):
    job_id = fields.String()
    provider = fields.String(allow_none=True)
    link_dies_at = fields.String()
    troubles = fields.Integer(metadata={"description": "How often in a row copying has failed."})


class ProviderStandsSchema(StandsSchema):
    name = fields.String()


class OverviewSchema(Answer):
    span = fields.String(validate=validate.OneOf([s.value for s in Span]))
    now = fields.String()
    since = fields.String(
        metadata={
            "description": "How far back what ended was read: the whole span, or as far as the last"
            f" {READ} jobs reach that ended."
        }
    )
    live = _by_state("How many jobs are in each state just now.")
    ended = _by_state("How many jobs have ended since.")
    steps = fields.List(fields.Nested(StepSchema), metadata={"description": "The span in equal parts, oldest first."})
    paces = fields.List(fields.Nested(PaceSchema), metadata={"description": "By gateway, of the archived jobs."})
    callbacks = fields.List(
        fields.Nested(FigureSchema),
        metadata={
            "description": "By gateway, how the ends of orders were heard of since: told by callback, or asked."
            " As far back as callbacks are kept."
        },
    )
    providers = fields.List(
        fields.Nested(ProviderStandsSchema), metadata={"description": "How each gateway that has a key stands now."}
    )
    dying = fields.List(
        fields.Nested(DyingSchema), metadata={"description": "Videos being copied whose links die first."}
    )


def blueprint(database: Database, providers: Mapping[str, Provider], settings: Settings) -> Blueprint:
    """`/v1/overview`."""
    routes = StrictBlueprint("overview", __name__, url_prefix="/v1/overview", description="How the service is doing")

    @routes.get("")
    @routes.arguments(OverviewQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, OverviewSchema)
    def show(query: Mapping[str, Any]) -> ResponseReturnValue:
        """What is worked on now, and what ended of late, how fast."""
        span = Span(query["span"])
        with database.read() as db:
            now = database.clock(db)
            found = overview.read(db, span, keep_callbacks_d=settings.keep_callbacks_d, now=now)
            statuses = statuses_of(db, providers, settings, now=now)
        stands = [{"name": name, **status} for name, status in statuses.items()]
        return answer({"span": span.value, "now": iso(now), **_json(found), "providers": stands})

    return routes


def _json(found: Overview) -> dict[str, Any]:
    return {
        "since": iso(found.since),
        "live": _counts(found.live),
        "ended": _counts(found.ended),
        "steps": [{"begins_at": iso(step.begins_at), "ended": _counts(step.ended)} for step in found.steps],
        "paces": [pace._asdict() for pace in found.paces],
        "callbacks": found.callbacks,
        "dying": [{**each._asdict(), "link_dies_at": iso(each.link_dies_at)} for each in found.dying],
    }


def _counts(by_state: Mapping[State, int]) -> dict[str, int]:
    return {state.value: by_state[state] for state in State if state in by_state}
