"""A span of days, in UTC, as views take it: `from` and `to`, both included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from marshmallow import fields

from jobs.errors import BadRequest


def day(description: str) -> fields.Date:
    wrong = "Not a day; send YYYY-MM-DD, for example 2026-11-21. Days are UTC."
    return fields.Date(error_messages={"invalid": wrong}, metadata={"description": description})


def span(usual_days: int) -> dict[str, fields.Field[Any]]:
    """The two fields of a query. By name in a dict, as `from` is a word of Python's."""
    return {
        "from": day(f"The first day, in UTC; {usual_days - 1} days before the last one if left out."),
        "to": day("The last day, in UTC; today if left out."),
    }


def days_of(query: Mapping[str, Any], today: date, usual_days: int) -> tuple[date, date]:
    """The first and the last day that are asked for. Raises BadRequest."""
    usual = timedelta(days=usual_days - 1)
    until: date = query.get("to", today)
    since: date = query.get("from", max(until, date.min + usual) - usual)
    if since > until:
        last = "the last day (`to`)" if "to" in query else "today, the last day where `to` is left out"
        raise BadRequest({"from": [f"{since} is after {until}, {last}; send an earlier one."]})
    return since, until
