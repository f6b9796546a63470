"""How one order looks."""

from __future__ import annotations

from marshmallow import fields, validate

from jobs.machine.rows import AttemptOutcome, Origin
from rushes.api.schemas.base import Answer
from rushes.api.schemas.jobs import ErrorSchema


class SentSchema(Answer):
    method = fields.String()
    path = fields.String()
    headers = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "Without the key."})
    body = fields.Dict(allow_none=True, metadata={"description": "Links without what signs them."})


class OrderSchema(Answer):
    job_id = fields.String()
    number = fields.Integer(metadata={"description": "From 1."})
    provider = fields.String()
    origin = fields.String(
        validate=validate.OneOf([o.value for o in Origin]), metadata={"description": "How it is known of."}
    )
    account = fields.String(metadata={"description": "The fingerprint of the gateway's key."})
    base_url = fields.String()
    sent = fields.Nested(
        SentSchema, allow_none=True, metadata={"description": "null: it was pruned, or not sent from here."}
    )
    sends = fields.Integer(metadata={"description": "How often it was sent, under one idempotency key."})
    task_id = fields.String(allow_none=True)
    outcome = fields.String(validate=validate.OneOf([o.value for o in AttemptOutcome]))
    last_word = fields.String(allow_none=True, metadata={"description": "What was last said of it."})
    news_by = fields.String(
        allow_none=True, validate=validate.OneOf(["callback", "poll"]), metadata={"description": "How that came."}
    )
    polls = fields.Integer(metadata={"description": "How often the gateway was asked about it."})
    error = fields.Nested(ErrorSchema, allow_none=True)
    created_at = fields.String()
    sending_at = fields.String(allow_none=True, metadata={"description": "When its first byte may have left."})
    accepted_at = fields.String(allow_none=True)
    lost_at = fields.String(allow_none=True, metadata={"description": "When its answer was given up."})
    finished_at = fields.String(allow_none=True, metadata={"description": "When the gateway had made the video."})
    closed_at = fields.String(allow_none=True)
    answered_at = fields.String(
        allow_none=True, metadata={"description": "When the gateway last answered a question about it."}
    )
