"""A job's evidence as the API shows it; the values are made by jobs/reports/evidence.py."""

from __future__ import annotations

from marshmallow import fields

from rushes.api.schemas.base import Answer
from rushes.api.schemas.jobs import EventSchema, JobSchema


class ProvenBytesSchema(Answer):
    bytes = fields.Integer(metadata={"description": "How many were sent, or came."})
    sha256 = fields.String(metadata={"description": "Of the bytes that were sent, or came."})
    masked = fields.Boolean(metadata={"description": "true: a secret among them reads … here."})
    base64 = fields.String(metadata={"description": "The bytes; but for what is masked, those that have this SHA-256."})
    text = fields.String(allow_none=True, metadata={"description": "The same to be read; null: they are no UTF-8."})


class SentRequestSchema(ProvenBytesSchema):
    method = fields.String()
    url = fields.String()
    headers = fields.Dict(keys=fields.String(), values=fields.String())


class EvidenceOrderSchema(Answer):
    number = fields.Integer()
    provider = fields.String()
    task_id = fields.String(allow_none=True)
    outcome = fields.String()
    key_fingerprint = fields.String(metadata={"description": "Names the gateway's key that was used."})
    request = fields.Nested(
        SentRequestSchema, allow_none=True, metadata={"description": "The POST; null: `not_kept` says why."}
    )
    answers = fields.List(
        fields.Dict(), metadata={"description": "What came of each POST: status and body, or why there was none."}
    )
    money = fields.Dict()
    link = fields.String(allow_none=True)
    times = fields.Dict()


class EvidenceCallbackSchema(Answer):
    id = fields.String()
    attempt = fields.Integer()
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    body = fields.Nested(ProvenBytesSchema)
    received_at = fields.String()
    acted_on_at = fields.String(allow_none=True)


class MissingSchema(Answer):
    what = fields.String()
    why = fields.String()


class EvidenceSchema(Answer):
    format = fields.String(metadata={"description": "rushes-evidence/1. It grows; names do not change."})
    how_to_read = fields.String(metadata={"description": "What the checksums are of, and what is masked."})
    made_at = fields.String()
    made_by = fields.Dict(metadata={"description": "The service's version, and the API key that asked."})
    not_kept = fields.List(
        fields.Nested(MissingSchema), metadata={"description": "What one looks for in vain, and why."}
    )
    job = fields.Nested(JobSchema)
    start_by = fields.String()
    orders = fields.List(fields.Nested(EvidenceOrderSchema))
    callbacks = fields.List(fields.Nested(EvidenceCallbackSchema))
    hearsay = fields.List(fields.Dict(), metadata={"description": "Task ids that callbacks have told of."})
    history = fields.List(fields.Nested(EventSchema))
    archive = fields.Dict(allow_none=True, metadata={"description": "The video, and its object now; null: none."})
    notices = fields.List(fields.Dict(), metadata={"description": "What was told, with each try."})
    sha256 = fields.String(metadata={"description": "Of all members before it; `how_to_read` says in which form."})
