"""How ends of orders were heard of, as the API shows it."""

from __future__ import annotations

from marshmallow import fields

from jobs.providers.registry import PROVIDERS
from jobs.reports.callbacks import DELAYS_OF
from jobs.request.schema import Strict
from rushes.api.schemas.base import Answer
from rushes.api.schemas.days import span
from rushes.api.schemas.parameters import one_of
from rushes.api.schemas.providers import EndsSchema

USUAL_DAYS = 7  # where no day is named, today included

FiguresQuerySchema = Strict.from_dict(
    {**span(USUAL_DAYS), "provider": one_of(sorted(PROVIDERS), "Only this gateway.")}, name="FiguresQuerySchema"
)


class DelaySchema(Answer):
    """Seconds from the end of the task, by its gateway's clock."""

    orders = fields.Integer(
        metadata={"description": f"Of the last {DELAYS_OF} ends, those of which the gateway told when it was."}
    )
    p50 = fields.Float(metadata={"description": "Half of them took at most so long."})
    p95 = fields.Float(metadata={"description": "Of twenty, nineteen did."})


class FigureSchema(EndsSchema):
    provider = fields.String()
    called_after_s = fields.Nested(
        DelaySchema, allow_none=True, metadata={"description": "Until the first callback was here, in time or late."}
    )
    found_after_s = fields.Nested(
        DelaySchema, allow_none=True, metadata={"description": "Until the end was found, where it had to be asked."}
    )


FiguresSchema = Answer.from_dict(
    {
        "from": fields.String(),
        "to": fields.String(),
        "data": fields.List(
            fields.Nested(FigureSchema), metadata={"description": "By gateway; those without an end are left out."}
        ),
    },
    name="FiguresSchema",
)
