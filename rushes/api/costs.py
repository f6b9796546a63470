"""What the orders came to, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import ValidationError, fields, validate
from sqlalchemy.engine import Connection

from jobs.errors import BadRequest
from jobs.intake import api_keys
from jobs.machine.rows import Standing
from jobs.providers.registry import PROVIDERS
from jobs.reports import costs
from jobs.reports.costs import GROUPS, LINES, OF_METADATA, PAID_NOT_DELIVERED, USUAL, Only, Sum
from jobs.request.schema import METADATA_KEY_LENGTH, Strict, Text
from jobs.store.database import Database
from jobs.store.spending import day_of
from rushes.api.edge import spreadsheets
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.schemas.base import Answer
from rushes.api.schemas.days import days_of, span
from rushes.api.schemas.parameters import InOrder, one_of

USUAL_DAYS = 30  # where no day is named, today included
LONGEST_DAYS = 366
MOST_GROUPS = 5
MOST_SUMS = 10_000
SHOWN_KEYS = 16  # of metadata, where one is named that no job has
FORMATS = ("json", "csv")
SUMMED = ("line", "attempts", "usd", "credits", "unpriced")  # the columns of a sheet after its groups


def _is_group(name: str) -> None:
    key = name.removeprefix(OF_METADATA)
    if name not in GROUPS and not (key != name and 1 <= len(key) <= METADATA_KEY_LENGTH):
        raise ValidationError(f"Knows no {name}; choose from {', '.join(GROUPS)} and {OF_METADATA}<key>.")


CostsQuerySchema = Strict.from_dict(
    {
        **span(USUAL_DAYS),
        "provider": one_of(sorted(PROVIDERS), "Only orders at this gateway."),
        "batch": Text(metadata={"description": "Only orders of this batch."}),
        "key": Text(metadata={"description": "Only what was asked for with this API key: its id, or its name."}),
        "by": InOrder(
            Text(validate=_is_group),
            load_default=list(USUAL),
            validate=validate.Length(min=1, max=MOST_GROUPS, error=f"Choose from 1 to {MOST_GROUPS}."),
            metadata={
                "description": f"What is summed apart: {', '.join(GROUPS)} and {OF_METADATA}<key>, at most"
                f" {MOST_GROUPS}: with commas, or given several times."
            },
        ),
        "format": one_of(FORMATS, "json, or csv: a table for spreadsheets."),
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
_OF_A_GROUP: _Fields = {
    "provider": fields.String(),
    "day": fields.String(),
    "key": fields.String(metadata={"description": "The API key's id, or `celery`: what came by the broker."}),
    "key_name": fields.String(allow_none=True, metadata={"description": "Several keys may have one name."}),
    "batch": fields.String(allow_none=True, metadata={"description": "null: orders of no batch."}),
    "metadata": fields.Dict(
        keys=fields.String(),
        values=fields.String(allow_none=True),
        metadata={"description": "The entries that are summed apart; null: the jobs have no such entry."},
    ),
    **_LINE,
    "credits": fields.Float(
        allow_none=True,
        metadata={"description": "In the gateway's own unit; null: of several gateways there is no sum."},
    ),
    **_SUMS,
}
TotalSchema = Answer.from_dict(_SUMS, name="TotalSchema")
LineTotalSchema = Answer.from_dict({**_LINE, **_SUMS}, name="LineTotalSchema")
CostSumSchema = Answer.from_dict(_OF_A_GROUP, name="CostSumSchema")
CostsSchema = Answer.from_dict(
    {
        "from": fields.String(),
        "to": fields.String(),
        "by": fields.List(fields.String(), metadata={"description": "What is summed apart."}),
        "data": fields.List(
            fields.Nested(CostSumSchema),
            metadata={"description": "By what is summed apart, and line; the newest day first."},
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
        """The account of some days (UTC), by what became of the money, and by gateway and day or what `by` names.

        Without days: the last 30, today included. An order counts to the day on which it was made. Whatever it is
        summed by, and whatever has been pruned since, the sums come to the same.
        """
        by: list[str] = query["by"]
        with database.read() as db:
            since, until = _days(query, date.fromisoformat(day_of(database.clock(db))))
            found = _account(db, since, until, by, _only(db, query))
            names = api_keys.names(db) if "key" in by else {}
        data = [_json(each, names) for each in found]
        if query.get("format") == "csv":
            return spreadsheets.sheet(_heads(by), map(_flat, data), f"rushes-costs-{since}-{until}.csv")
        totals = {line: _total([each for each in found if each.line == line]) for line in LINES}
        told = {
            "from": str(since),
            "to": str(until),
            "by": by,
            "data": data,
            "totals": [{"line": line, **total} for line, total in totals.items()],
            "paid_not_delivered": totals[PAID_NOT_DELIVERED],
            "uncertain": totals[Standing.UNCERTAIN.value],
        }
        return answer(told)

    return routes


def _only(db: Connection, query: Mapping[str, Any]) -> Only:
    """Which orders are asked for. Raises BadRequest for a key that is none."""
    only: Only = {"provider": query.get("provider"), "batch": query.get("batch")}
    if (said := query.get("key")) is not None:
        only["keys"] = api_keys.ids_called(db, said)
        if not only["keys"]:  # not repeated: it may be the key itself
            raise BadRequest(
                {"key": ["No API key has this id or name; `rushes keys list` shows them, by=key those used."]}
            )
    return only


def _account(db: Connection, since: date, until: date, by: Sequence[str], only: Only) -> list[Sum]:
    """The sums. Raises BadRequest where they are too many, and for a key of metadata that no job has."""
    days = {"since": str(since), "until": str(until)}
    found = costs.sums(db, **days, by=by, limit=MOST_SUMS + 1, **only)
    if len(found) > MOST_SUMS:
        raise BadRequest({"by": [f"These are more than {MOST_SUMS} sums; ask for fewer days, or sum less apart."]})
    for name in by:
        if found and name not in GROUPS and all(each.group[name] is None for each in found):
            known = costs.metadata_keys(db, **days, limit=SHOWN_KEYS, **only)
            there = (
                f"there are {', '.join(OF_METADATA + key for key in known)}" if known else "their jobs have no metadata"
            )
            raise BadRequest({"by": [f"No order of {since} to {until} has {name}; {there}."]})
    return found


def _json(each: Sum, names: Mapping[str, str]) -> dict[str, Any]:
    group: dict[str, Any] = {name: value for name, value in each.group.items() if name in GROUPS}
    if "key" in group:
        group["key_name"] = names.get(group["key"])
    if entries := {name.removeprefix(OF_METADATA): value for name, value in each.group.items() if name not in GROUPS}:
        group["metadata"] = entries
    return {
        **group,
        "line": each.line,
        "attempts": each.attempts,
        "usd": _round(each.usd),
        "unpriced": each.unpriced,
        "credits": None if each.credits is None else _round(each.credits),
    }


def _heads(by: Sequence[str]) -> list[str]:
    groups = [head for name in by for head in ((name, "key_name") if name == "key" else (name,))]
    return [*groups, *SUMMED]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A sum with the entries of metadata beside the rest, as one line of a sheet."""
    return {**row, **{OF_METADATA + key: value for key, value in row.get("metadata", {}).items()}}


def _days(query: Mapping[str, Any], today: date) -> tuple[date, date]:
    """The first and the last day that are asked for. Raises BadRequest."""
    since, until = days_of(query, today, USUAL_DAYS)
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
