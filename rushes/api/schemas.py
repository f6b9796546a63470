"""What the API answers. Clients may meet new fields at any time, so answers are open; requests are strict."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from jobs.generation import Mode, Strict
from jobs.states import State

LONGEST_LIST = 100


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE


class ErrorSchema(_Answer):
    code = fields.String()
    message = fields.String()
    retryable = fields.Boolean()


class CostSchema(_Answer):
    standing = fields.String(metadata={"description": "none, held, charged, refunded or uncertain."})
    estimated_credits = fields.Float(allow_none=True)
    estimated_usd = fields.Float(allow_none=True)
    reported_credits = fields.Float(allow_none=True)


class VideoSchema(_Answer):
    bucket = fields.String()
    key = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    duration_s = fields.Float()
    width = fields.Integer()
    height = fields.Integer()
    fps = fields.Float()


class LinksSchema(_Answer):
    self = fields.String()
    events = fields.String()
    video = fields.String(allow_none=True)


class JobSchema(_Answer):
    id = fields.String()
    state = fields.String(validate=validate.OneOf([s.value for s in State]))
    mode = fields.String(validate=validate.OneOf([m.value for m in Mode]))
    provider = fields.String(allow_none=True)
    attempt = fields.Integer()
    task_id = fields.String(allow_none=True)
    progress = fields.Integer(allow_none=True)
    overdue = fields.Boolean()
    needs_person = fields.String(allow_none=True, metadata={"description": "Why somebody should look; null: nobody."})
    cancel_requested = fields.Boolean()
    error = fields.Nested(ErrorSchema, allow_none=True)
    cost = fields.Nested(CostSchema, allow_none=True)
    video = fields.Nested(VideoSchema, allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String())
    created_at = fields.String()
    updated_at = fields.String()
    ended_at = fields.String(allow_none=True)
    links = fields.Nested(LinksSchema)


class JobListSchema(_Answer):
    data = fields.List(fields.Nested(JobSchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class EventSchema(_Answer):
    at = fields.String()
    event = fields.String()
    attempt = fields.Integer()
    from_state = fields.String(allow_none=True)
    to_state = fields.String(allow_none=True)
    detail = fields.Dict()


class EventListSchema(_Answer):
    data = fields.List(fields.Nested(EventSchema))


class ListQuerySchema(Strict):
    state = fields.String(validate=validate.OneOf([s.value for s in State]))
    limit = fields.Integer(load_default=20, validate=validate.Range(min=1, max=LONGEST_LIST))
    cursor = fields.String(validate=validate.Length(max=200))
