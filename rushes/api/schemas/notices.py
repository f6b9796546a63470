"""What the views of notices and of kept callbacks take and answer."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from jobs.providers.registry import PROVIDERS
from jobs.request.schema import Strict
from jobs.store.notices import MEANINGS, NoticeState
from rushes.api.schemas.base import Answer
from rushes.api.schemas.parameters import JOB_ID, Moment, PageSchema

UNKNOWN_WORD = "Knows no {input}; choose from {choices}."


def _is_job_id(value: str) -> None:
    if not JOB_ID.fullmatch(value):
        raise ValidationError("No id of a job; ids look like job_01K8Z3V0QWERTYUIOPASDFGHJK.")


def _job_id(description: str) -> fields.String:
    return fields.String(validate=_is_job_id, metadata={"description": description})


def _yes_or_no(description: str) -> fields.Boolean:
    return fields.Boolean(
        truthy={"true", "1"},
        falsy={"false", "0"},
        error_messages={"invalid": "Send true or false."},
        metadata={"description": description},
    )


class NoticesQuerySchema(PageSchema):
    job_id = _job_id("Only those of this job.")
    state = fields.String(
        validate=validate.OneOf([state.value for state in NoticeState], error=UNKNOWN_WORD),
        metadata={"description": "waiting for its next try, delivered, or failed: it was given up."},
    )
    type = fields.String(
        validate=validate.OneOf(list(MEANINGS), error=UNKNOWN_WORD), metadata={"description": "Only this event."}
    )


class ReplayFailedSchema(Strict):
    """Which of the notices that were given up; all of them where nothing is said."""

    job_id = _job_id("Only those of this job.")
    since = Moment(metadata={"description": "Only those written then or later: ISO 8601 with a zone."})


class ReplayedSchema(Answer):
    replayed = fields.Integer(metadata={"description": "How many notices go out once more."})


class NoticeSchema(Answer):
    id = fields.String(metadata={"description": "The header `webhook-id` of each of its tries."})
    job_id = fields.String()
    sequence = fields.Integer(metadata={"description": "From 1, within the job."})
    type = fields.String(validate=validate.OneOf(list(MEANINGS)))
    url = fields.String(metadata={"description": "Where it goes, without a query, which may hold a token."})
    state = fields.String(validate=validate.OneOf([state.value for state in NoticeState]))
    tries = fields.Integer(metadata={"description": "How often it was sent, replays included."})
    last_status = fields.Integer(allow_none=True, metadata={"description": "null: no answer came, or none yet."})
    last_error = fields.String(allow_none=True)
    next_try_at = fields.String(allow_none=True, metadata={"description": "null: none is to come."})
    created_at = fields.String()
    delivered_at = fields.String(allow_none=True)


class NoticeListSchema(Answer):
    data = fields.List(fields.Nested(NoticeSchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class TrySchema(Answer):
    number = fields.Integer(metadata={"description": "From 1."})
    at = fields.String()
    status = fields.Integer(allow_none=True, metadata={"description": "null: no answer came."})
    error = fields.String(allow_none=True, metadata={"description": "Why no answer came; null: one did."})
    took_s = fields.Float()


class WholeNoticeSchema(NoticeSchema):
    body = fields.Dict(metadata={"description": "What is sent, as it was written with the fact."})
    history = fields.List(fields.Nested(TrySchema), metadata={"description": "Every try, the first one first."})


class CallbacksQuerySchema(PageSchema):
    job_id = _job_id("Only those of this job.")
    provider = fields.String(
        validate=validate.OneOf(sorted(PROVIDERS), error=UNKNOWN_WORD), metadata={"description": "Only this gateway's."}
    )
    readable = _yes_or_no("Whether its body is what the gateway documents.")
    unread = _yes_or_no("Whether its job has yet to act on it.")


class CallbackSchema(Answer):
    id = fields.String()
    provider = fields.String()
    job_id = fields.String(metadata={"description": "A restored database may not know it."})
    attempt = fields.Integer(metadata={"description": "The job's order that it speaks of."})
    task_id = fields.String(allow_none=True, metadata={"description": "The task that it names."})
    readable = fields.Boolean(metadata={"description": "Whether its body is what the gateway documents."})
    signature = fields.String(
        allow_none=True,
        validate=validate.OneOf(["good", "bad", "none"]),
        metadata={"description": "Of gateways that sign; null: not judged."},
    )
    status = fields.Integer(metadata={"description": "What it was answered with."})
    received_at = fields.String()
    read_at = fields.String(allow_none=True, metadata={"description": "When its job had acted on it; null: unread."})


class CallbackListSchema(Answer):
    data = fields.List(fields.Nested(CallbackSchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class WholeCallbackSchema(CallbackSchema):
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Those that gateways document."}
    )
    encoding = fields.String(
        validate=validate.OneOf(["utf-8", "base64"]), metadata={"description": "How `body` stands here."}
    )
    body = fields.String(metadata={"description": "The bytes that came: as text where they are UTF-8."})
