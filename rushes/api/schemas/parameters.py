"""What the views take beside the body of an order. Requests are strict, and a refusal says what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from jobs import gate
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import Mode
from jobs.request.schema import (
    METADATA_ENTRIES,
    METADATA_KEY_LENGTH,
    METADATA_VALUE_LENGTH,
    Strict,
    Text,
)
from rushes.api.edge.long_polls import LONGEST_WAIT_S

LONGEST_LIST = 100
LONGEST_CURSOR = 200
LONGEST_SOUGHT = 200  # characters of a prompt
OF_METADATA = "metadata."


class Moment(fields.AwareDateTime):
    """A time with its zone. Gives UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            said = "Not a time with a zone; send for example 2026-11-21T16:00:00Z. In a URL, + is written %2B."
            raise ValidationError(said) from None


class Several(fields.List[str]):
    """A parameter that may be given more than once, or once with commas; in whatever order, it means the same."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        parts = self._arranged([part.strip() for text in value for part in text.split(",")])
        try:
            return super()._deserialize(parts, attr, data, **kwargs)
        except ValidationError as e:  # by index, which nobody counts in a URL
            raise ValidationError([said for each in e.messages_dict.values() for said in each]) from None

    def _arranged(self, parts: list[str]) -> list[str]:
        return sorted(set(parts))


class InOrder(Several):
    """The same where the order in which they are given means something."""

    def _arranged(self, parts: list[str]) -> list[str]:
        return list(dict.fromkeys(parts))


def _only(what: str) -> fields.Boolean:
    return fields.Boolean(
        truthy={"true", "1"},
        falsy=set(),
        error_messages={"invalid": "Send true for these alone, or leave it out."},
        metadata={"description": f"true: only jobs that {what}.", "enum": [True]},
    )


def one_of(names: Sequence[str], description: str) -> fields.String:
    known = validate.OneOf(names, error="Knows no {input}; choose from {choices}.")
    return fields.String(validate=known, metadata={"description": description})


class PageSchema(Strict):
    """What chooses a page of any list."""

    limit = fields.Integer(
        load_default=20,
        validate=validate.Range(min=1, max=LONGEST_LIST, error=f"Choose from 1 to {LONGEST_LIST}."),
        error_messages={"invalid": f"Not a whole number; choose from 1 to {LONGEST_LIST}."},
        metadata={"description": "How many a page holds."},
    )
    cursor = fields.String(
        validate=validate.Length(
            max=LONGEST_CURSOR, error="Not one of ours; send the `next_cursor` of the page before."
        ),
        metadata={"description": "`next_cursor` of the page before, with the same filters."},
    )


class ListQuerySchema(PageSchema):
    state = Several(
        one_of([s.value for s in State], "A state."),
        load_default=list,
        metadata={"description": "Only jobs in this state, or in one of these: with commas, or given several times."},
    )
    provider = one_of(sorted(PROVIDERS), "Only jobs whose latest order is at this gateway.")
    mode = one_of([m.value for m in Mode], "Only jobs of this mode.")
    created_after = Moment(metadata={"description": "Only jobs created then or later: ISO 8601 with a zone."})
    created_before = Moment(metadata={"description": "Only jobs created earlier: ISO 8601 with a zone."})
    batch = Text(metadata={"description": "Only jobs of this batch."})
    prompt = Text(
        validate=validate.Length(min=1, max=LONGEST_SOUGHT, error=f"Send 1 to {LONGEST_SOUGHT} characters."),
        metadata={"description": "Only jobs whose prompt holds this text, in capitals or not."},
    )
    overdue = _only("are past their expected time")
    needs_person = _only("somebody should look at")
    metadata = fields.Dict(
        keys=Text(validate=validate.Length(min=1, max=METADATA_KEY_LENGTH)),
        values=Text(validate=validate.Length(max=METADATA_VALUE_LENGTH)),
        load_default=dict,
        validate=validate.Length(max=METADATA_ENTRIES),
        error_messages={"invalid": f"Name the entry: {OF_METADATA}scene=12."},
        metadata={"description": f"Only jobs with this entry: {OF_METADATA}scene=12. May be several; all must match."},
    )

    @pre_load
    def gather_metadata(self, data: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        entries = {n.removeprefix(OF_METADATA): value for n, value in data.items() if n.startswith(OF_METADATA)}
        rest = {name: value for name, value in data.items() if not name.startswith(OF_METADATA)}
        return {**rest, "metadata": entries} if entries else rest


class WaitQuerySchema(Strict):
    wait = fields.Float(
        load_default=0.0,
        validate=validate.Range(0, LONGEST_WAIT_S, error=f"Choose from 0 to {LONGEST_WAIT_S} seconds."),
        error_messages={"invalid": f"Not a number of seconds; choose from 0 to {LONGEST_WAIT_S}."},
        metadata={
            "description": "Seconds to wait for the job's end, and for the answer about a task that a person named;"
            " with If-None-Match, for any change. Answers at once, with Retry-After, where too many wait already."
        },
    )


class VideoQuerySchema(Strict):
    download = fields.Boolean(
        load_default=False,
        truthy={"true", "1"},
        falsy={"false", "0"},
        error_messages={"invalid": "Send download=true for a link that browsers save, or leave it out."},
        metadata={"description": "true: a link that a browser saves under the job's id, instead of playing it."},
    )


class QuoteQuerySchema(Strict):
    dry_run = fields.Boolean(
        load_default=False,
        truthy={"true", "1"},
        falsy={"false", "0"},
        error_messages={"invalid": "Send dry_run=true to ask without buying, or leave it out."},
        metadata={"description": "true: say where the request would go and at what price; nothing is kept or sent."},
    )


class RetrySchema(Strict):
    """The body of a retry; it may be left out."""

    accept_double_charge = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Order once more even where an earlier order may have been paid."},
    )


def _is_seen_whole(value: str) -> None:
    if " " in value or gate.name(value) is None:
        raise ValidationError("Holds a blank, or what cannot be seen; send the id as the gateway shows it.")


class SettleSchema(Strict):
    """What a person found out about an order: exactly one of these."""

    task_id = Text(
        validate=[
            validate.Length(min=1, max=gate.LONGEST_NAME, error=f"Send 1 to {gate.LONGEST_NAME} characters."),
            _is_seen_whole,
        ],
        metadata={"description": "The gateway's id of its task. It is asked about, and believed if that fits."},
    )
    made = fields.Boolean(
        truthy={True},
        falsy={False},
        validate=validate.Equal(False, error="To say that it was made, send its task_id."),
        metadata={"description": "false: it was not made. A person may be wrong: then it may be paid twice."},
    )
    charged = fields.Boolean(
        truthy={True},
        falsy={False},
        metadata={"description": "Whether an order that is closed was charged."},
    )

    @validates_schema
    def is_one_thing(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if len(data) != 1:
            names = ", ".join(self.fields)
            raise ValidationError(f"Send exactly one of {names}.", next(iter(data), "task_id"))


JOB_ID = re.compile(r"job_[0-9A-Z]{26}")
ORDER_NUMBER = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
