"""What the orders came to, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import fields, validate

from jobs.errors import BadRequest
from jobs.machine.rows import Standing
from jobs.providers.registry import PROVIDERS
from jobs.reports import costs
from jobs.reports.costs import LINES, PAID_NOT_DELIVERED, Sum
from jobs.request.schema import Strict
from jobs.store.database import Database
from jobs.store.spending import day_of
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.schemas.base import Answer

USUAL_DAYS = 30  # where no day is named, today included
LONGEST_DAYS = 366


def _day(description: str) -> fields.Date:
    wrong = "Not a day; send YYYY-MM-DD, for example 2026-11-21. Days are UTC."
    return fields.Date(error_messages={"invalid": wrong}, metadata={"description": description})


# Made by from_dict because `from` is a word of Python's.
CostsQuerySchema = Strict.from_dict(
    {
        "from": _day("The first day, in UTC; 29 days before the last one if left out."),
        "to": _day("The last day, in UTC; today if left out."),
        "provider": fields.String(
            validate=validate.OneOf(sorted(PROVIDERS), error="Knows no {input}; choose from {choices}."),
            metadata={"description": "Only this gateway."},
        ),
    },
    name="CostsQuerySchema",
)


_Fields = dict[str, fields.Field[Any]]
_LINE: _Fields = {"line": fields.String(validate=validate.OneOf(LINES))}
_SUMS: _Fields = {
    "attempts": fields.Integer(),
    "usd": fields.Float(metadata={"description": "What the gateways reported, else what was expected."}),
    "unpriced": fields.Integer(metadata={"description": "How many of the attempts have neither, and are left out."}),
}
_OF_A_DAY: _Fields = {
    "provider": fields.String(),
    "day": fields.String(),
    **_LINE,
    "credits": fields.Float(metadata={"description": "In the gateway's own unit."}),
    **_SUMS,
}
TotalSchema = Answer.from_dict(_SUMS, name="TotalSchema")
LineTotalSchema = Answer.from_dict({**_LINE, **_SUMS}, name="LineTotalSchema")
CostSumSchema = Answer.from_dict(_OF_A_DAY, name="CostSumSchema")
CostsSchema = Answer.from_dict(
    {
        "from": fields.String(),
        "to": fields.String(),
        "data": fields.List(
            fields.Nested(CostSumSchema), metadata={"description": "By gateway, day and line; the newest day first."}
        ),
        "totals": fields.List(
            fields.Nested(LineTotalSchema), metadata={"description": "Every line, over all of data."}
        ),
        "paid_not_delivered": fields.Nested(
            TotalSchema, metadata={"description": "Made and charged, and the job has ended without it."}
        ),
        "uncertain": fields.Nested(TotalSchema, metadata={"description": "Nobody knows whether it was charged."}),
    },
    name="CostsSchema",
)


def blueprint(database: Database) -> Blueprint:
    """`/v1/costs`."""
    routes = StrictBlueprint("costs", __name__, url_prefix="/v1/costs", description="What the orders came to")

    @routes.get("")
    @routes.arguments(CostsQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, CostsSchema)
    def show(query: Mapping[str, Any]) -> ResponseReturnValue:
        """The account of some days (UTC), by gateway, day and what became of the money.

        Without days: the last 30, today included. An order counts to the day on which it was made.
        """
        with database.read() as db:
            since, until = _days(query, date.fromisoformat(day_of(database.clock(db))))
            found = costs.sums(db, since=str(since), until=str(until), provider=query.get("provider"))
        totals = {line: _total([each for each in found if each.line == line]) for line in LINES}
        return {
            "from": str(since),
            "to": str(until),
            "data": [{**asdict(each), "usd": _round(each.usd), "credits": _round(each.credits)} for each in found],
            "totals": [{"line": line, **total} for line, total in totals.items()],
            "paid_not_delivered": totals[PAID_NOT_DELIVERED],
            "uncertain": totals[Standing.UNCERTAIN.value],
        }

    return routes


def _days(query: Mapping[str, Any], today: date) -> tuple[date, date]:
    """The first and the last day that are asked for. Raises BadRequest."""
    usual = timedelta(days=USUAL_DAYS - 1)
    until: date = query.get("to", today)
    since: date = query.get("from", max(until, date.min + usual) - usual)
    if since > until:
        last = "the last day (`to`)" if "to" in query else "today, the last day where `to` is left out"
        raise BadRequest({"from": [f"{since} is after {until}, {last}; send an earlier one."]})
    if (days := (until - since).days + 1) > LONGEST_DAYS:
        earliest = until - timedelta(days=LONGEST_DAYS - 1)
        raise BadRequest({"from": [f"These are {days} days; at most {LONGEST_DAYS} at once: from {earliest} on."]})
    return since, until


def _total(those: list[Sum]) -> dict[str, Any]:
    """Over gateways and days. Credits are of different kinds, and have no sum."""
    return {
        "attempts": sum(each.attempts for each in those),
        "usd": _round(sum(each.usd for each in those)),
        "unpriced": sum(each.unpriced for each in those),
    }


def _round(amount: float) -> float:
    return round(amount, 6)
