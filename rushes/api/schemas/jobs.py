"""What the API answers about jobs."""

from __future__ import annotations

from marshmallow import fields, validate

from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.providers.prices import LONGEST_INPUT_S
from jobs.reports.queue_position import LONGEST_COUNTED
from jobs.request.generation import Mode
from rushes.api.schemas.base import Answer
from rushes.api.schemas.taken import TakenSchema

POSITION = (
    "Its place in line, from 1: an estimate by age, as keys take turns and a full gateway's jobs are passed by. null:"
    f" {LONGEST_COUNTED} or more are before it, or it was not counted, as in lists and in the answer to an order."
)
UNKNOWN_FACT = "null: the film was accepted, and does not show it."
NOT_EXACT = f"false: it rests on an input's unknown length, taken to be {LONGEST_INPUT_S} s."


class ErrorSchema(Answer):
    code = fields.String(metadata={"description": "Ours, and stable; docs/errors.md has all of them."})
    message = fields.String(metadata={"description": "For people: the gateway's own words, or ours."})
    retryable = fields.Boolean(metadata={"description": "Whether the same request, sent again, may come out well."})
    provider_code = fields.String(
        allow_none=True, metadata={"description": "The gateway's own code; null: it gave none, or the fault is ours."}
    )


class CostSchema(Answer):
    standing = fields.String(
        validate=validate.OneOf([s.value for s in Standing]),
        metadata={"description": "Where the money is: none, held, charged, refunded or uncertain."},
    )
    estimated_credits = fields.Float(
        allow_none=True, metadata={"description": "In the gateway's own unit; null: no price is published."}
    )
    estimated_usd = fields.Float(allow_none=True, metadata={"description": "null: no price or no rate is known."})
    estimate_exact = fields.Boolean(metadata={"description": NOT_EXACT})
    reported_credits = fields.Float(
        allow_none=True, metadata={"description": "What the gateway said that it took; null: it does not say."}
    )
    reported_usd = fields.Float(allow_none=True, metadata={"description": "The same in US dollars."})


class WaitingSchema(Answer):
    provider = fields.String(allow_none=True, metadata={"description": "The gateway that is waited for."})
    code = fields.String(metadata={"description": "Stable; docs/errors.md has all of them."})
    reason = fields.String(metadata={"description": "The same for people."})
    until = fields.String(allow_none=True, metadata={"description": "When the job is looked at again."})
    position = fields.Integer(allow_none=True, metadata={"description": POSITION})
    start_by = fields.String(metadata={"description": "When it fails as not_started, unless a gateway accepts it."})


class NamedSchema(Answer):
    task_id = fields.String()
    state = fields.String(
        validate=validate.OneOf(["asking", "believed", "refused"]),
        metadata={"description": "Whether its gateway has yet to be asked, or what came of that."},
    )
    reason = fields.String(allow_none=True, metadata={"description": "Why it was refused; null: it was not."})


class UnprovenSchema(Answer):
    sha256 = fields.String()
    bytes = fields.Integer()
    reason = fields.String(metadata={"description": "Why the proof refused it."})
    kept_at = fields.String(metadata={"description": "It is kept for RUSHES_KEEP_ASIDE_D from here on."})
    accepted_by = fields.String(
        allow_none=True, metadata={"description": "The API key of who took it, while it is copied; null: nobody has."}
    )


class AttemptSchema(Answer):
    number = fields.Integer(metadata={"description": "From 1."})
    provider = fields.String()
    task_id = fields.String(allow_none=True)
    outcome = fields.String(validate=validate.OneOf([o.value for o in AttemptOutcome]))
    cost = fields.Nested(CostSchema)
    link = fields.String(
        allow_none=True, metadata={"description": "Of a video that was paid for and not delivered, while it lives."}
    )
    settled = fields.String(
        allow_none=True,
        validate=validate.OneOf([s.value for s in Settled]),
        metadata={"description": "What a person said of it, while its standing rests on that."},
    )
    named = fields.Nested(
        NamedSchema, allow_none=True, metadata={"description": "The task that a person named last; null: none."}
    )
    unproven = fields.Nested(
        UnprovenSchema,
        allow_none=True,
        metadata={"description": "A film that the proof refused and that is kept aside, to be accepted; null: none."},
    )
    created_at = fields.String()


class VideoSchema(Answer):
    bucket = fields.String()
    key = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    duration_s = fields.Float(allow_none=True, metadata={"description": UNKNOWN_FACT})
    width = fields.Integer(allow_none=True, metadata={"description": UNKNOWN_FACT})
    height = fields.Integer(allow_none=True, metadata={"description": UNKNOWN_FACT})
    fps = fields.Float(allow_none=True, metadata={"description": UNKNOWN_FACT})


class LinksSchema(Answer):
    self = fields.String()
    events = fields.String()
    video = fields.String(allow_none=True, metadata={"description": "null: the job is not archived."})
    poster = fields.String(allow_none=True, metadata={"description": "The first frame, as a JPEG; null: none."})


class JobSchema(Answer):
    id = fields.String()
    state = fields.String(validate=validate.OneOf([s.value for s in State]))
    accepted_by = fields.String(
        allow_none=True,
        metadata={
            "description": "The API key of who took the archived film as it is; null: it was proven, or is not there."
        },
    )
    mode = fields.String(validate=validate.OneOf([m.value for m in Mode]))
    provider = fields.String(allow_none=True)
    attempt = fields.Integer()
    task_id = fields.String(allow_none=True)
    progress = fields.Integer(allow_none=True)
    overdue = fields.Boolean()
    waiting = fields.Nested(
        WaitingSchema,
        allow_none=True,
        metadata={"description": "Why a queued job is not ordered yet; null in every other state."},
    )
    needs_person = fields.String(allow_none=True, metadata={"description": "Why somebody should look; null: nobody."})
    cancel_requested = fields.Boolean()
    error = fields.Nested(ErrorSchema, allow_none=True)
    cost = fields.Nested(CostSchema, allow_none=True, metadata={"description": "The current attempt's money."})
    attempts = fields.List(fields.Nested(AttemptSchema), metadata={"description": "Every order, the first one first."})
    video = fields.Nested(VideoSchema, allow_none=True)
    request = fields.Nested(TakenSchema)
    metadata = fields.Dict(keys=fields.String(), values=fields.String())
    batch = fields.String(allow_none=True, metadata={"description": "The run that it belongs to; null: none."})
    created_at = fields.String()
    updated_at = fields.String()
    ended_at = fields.String(allow_none=True)
    links = fields.Nested(LinksSchema)


class JobListSchema(Answer):
    data = fields.List(fields.Nested(JobSchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class EventSchema(Answer):
    at = fields.String()
    event = fields.String()
    attempt = fields.Integer()
    from_state = fields.String(allow_none=True)
    to_state = fields.String(allow_none=True)
    detail = fields.Dict()


class EventListSchema(Answer):
    data = fields.List(fields.Nested(EventSchema))


class QuotedPriceSchema(Answer):
    seconds = fields.Float(metadata={"description": "Seconds that would be billed."})
    credits = fields.Float(allow_none=True, metadata={"description": "In the gateway's own unit."})
    usd = fields.Float(allow_none=True)
    exact = fields.Boolean(metadata={"description": NOT_EXACT})


class QuotedWaitSchema(Answer):
    provider = fields.String()
    code = fields.String()
    reason = fields.String()
    seconds = fields.Float(metadata={"description": "Until the job would be looked at again."})
    position = fields.Integer(allow_none=True, metadata={"description": "The place that it would have, as for a job."})
    start_by = fields.String(metadata={"description": "When it would fail as not_started."})


class MisfitSchema(Answer):
    field = fields.String()
    given = fields.Raw(allow_none=True)
    allowed = fields.String()
    why = fields.String(metadata={"description": "limit, altered, no_field, undocumented or unpriced."})


class HindranceSchema(Answer):
    code = fields.String()
    reason = fields.String()
    holds_up = fields.Integer(metadata={"description": "Queued jobs that wait for the gateway."})


class ConsideredSchema(QuotedPriceSchema):
    provider = fields.String()
    misfits = fields.List(fields.Nested(MisfitSchema), metadata={"description": "Why it cannot make the video."})
    obstacle = fields.Nested(HindranceSchema, metadata={"description": "Why it takes no order just now."})


class QuoteSchema(Answer):
    dry_run = fields.Boolean(metadata={"description": "Always true."})
    made = fields.String(
        allow_none=True, metadata={"description": "The job that the Idempotency-Key has made already; null: none."}
    )
    provider = fields.String(
        allow_none=True, metadata={"description": "Where the order would go now; null: the job would wait."}
    )
    price = fields.Nested(QuotedPriceSchema, allow_none=True)
    waits = fields.Nested(
        QuotedWaitSchema, allow_none=True, metadata={"description": "What would be waited for; null: nothing."}
    )
    considered = fields.List(
        fields.Nested(ConsideredSchema), metadata={"description": "Every configured gateway asked for, in order."}
    )
