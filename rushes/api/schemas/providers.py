"""A gateway as the API shows it; the values are made by jobs/reports/providers.py."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields, validate

from jobs.request.fields import FIELDS, ChoiceField, Field, LengthField, NumberField, TextField
from jobs.request.generation import DEFAULT_MODEL
from jobs.request.schema import Strict
from rushes.api.schemas.base import Answer

USUAL_REST_S, LONGEST_REST_S = 3600.0, 30 * 86_400.0


def _about(description: str) -> dict[str, Any]:
    return {"metadata": {"description": description}}


def _words(description: str) -> fields.List[str]:
    return fields.List(fields.String(), **_about(description))


class MediaSetSchema(Answer):
    needs = _words("Media types that must all be there.")
    may = _words("Media types that may be there beside them.")
    undocumented = fields.String(
        allow_none=True, **_about("The word that turns the set on in RUSHES_<GATEWAY>_UNDOCUMENTED; null: documented.")
    )
    on = fields.Boolean(**_about("Whether requests with these media go to this gateway here."))


class CountSchema(Answer):
    types = _words("Media types that are counted together.")
    most = fields.Integer()
    beyond = fields.String(**_about("What would become of more: limit (refused) or altered (dropped in silence)."))


class DurationSchema(Answer):
    least = fields.Integer(**_about("Seconds."))
    most = fields.Integer(**_about("Seconds."))
    whole_input = fields.Boolean(**_about("Whether 0, the length of the edited video, can be asked for as well."))
    most_with = fields.Dict(
        keys=fields.String(), values=fields.Integer(), **_about("Narrower where a media type is present.")
    )


class TextSchema(Answer):
    longest = fields.Integer()
    unit = fields.String(**_about("What is counted: characters, or UTF-16 code units."))
    required = fields.Boolean()
    beyond = fields.String(**_about("What would become of more: limit (refused) or altered (cut in silence)."))


class SeedSchema(Answer):
    """The range of any whole number; it bears the name of the first field that had one."""

    least = fields.Integer()
    most = fields.Integer()


class PriceSchema(Answer):
    credits = fields.Float(allow_none=True, **_about("A second in the gateway's own unit; null: not published."))
    usd = fields.Float(
        allow_none=True,
        **_about("A second, by the operator's price, else the credits' rate; null: unknown."),
    )


def _offer(field: Field) -> fields.Field[Any]:
    """What describes what a gateway lets be said in a field of the request."""
    about = _about(field.offer_about) if field.offer_about else {}
    match field:
        case TextField():
            return fields.Nested(TextSchema, **about)
        case LengthField():
            return fields.Nested(DurationSchema, allow_none=True, **about)
        case NumberField():
            return fields.Nested(SeedSchema, **about)
        case ChoiceField(is_switch=True):
            return fields.List(fields.Boolean(), **about)
    return fields.List(fields.String(), **about)


class _OffersSchema(Answer):
    """What can be asked of a model in a mode. A base of its own, for the order in which fields are listed."""

    model = fields.String()
    media = fields.List(fields.Nested(MediaSetSchema), **_about("Sets of media types that may stand together."))
    counts = fields.List(fields.Nested(CountSchema))

    class Meta(Answer.Meta):
        include: ClassVar[dict[str, fields.Field[Any]]] = {field.offered_as: _offer(field) for field in FIELDS}


class AbilitySchema(_OffersSchema):
    unasked_ratio = fields.String(**_about("The shape where none is asked for."))
    voices = fields.String(
        **_about("none, one (the main character's), in_order (of the first references), each (inside every reference).")
    )
    files = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        **_about("By media type: what the gateway takes, and checks."),
    )
    price_per_s = fields.Dict(keys=fields.String(), values=fields.Nested(PriceSchema), **_about("By resolution."))
    input_is_billed = fields.Boolean(**_about("Whether the seconds of input videos are billed beside the output's."))


class CallbacksSchema(Answer):
    https_only = fields.Boolean()
    signed = fields.Boolean()
    tries = fields.String()
    longest_url = fields.Integer()


class IdempotencySchema(Answer):
    header = fields.String()
    life_s = fields.Float()


class PollingSchema(Answer):
    first_s = fields.Float(**_about("From acceptance to the first query."))
    then_s = fields.Float(**_about("Between later queries."))
    budget_per_s = fields.Float(**_about("Queries a second, per key: RUSHES_<GATEWAY>_QUERIES_PER_S, or our default."))


class SwitchSchema(Answer):
    what = fields.String(**_about("The model and media that it allows."))
    on = fields.Boolean()


class ObstacleSchema(Answer):
    code = fields.String()
    reason = fields.String()
    seconds = fields.Integer(**_about("For so long it had better not be looked at again."))


class PauseSchema(Answer):
    reason = fields.String()
    since = fields.String(allow_none=True, **_about("When the first of its rests in a row began."))
    until = fields.String()
    seconds = fields.Integer(**_about("For so long yet; 0: it is over, and one order or question is to try."))


class PausesSchema(Answer):
    submit = fields.Nested(PauseSchema, allow_none=True)
    query = fields.Nested(PauseSchema, allow_none=True)
    previous_query = fields.Nested(
        PauseSchema, allow_none=True, **_about("Questions with the key before it, about what was ordered with that.")
    )


class BudgetSchema(Answer):
    daily_usd = fields.Float()
    spent_usd = fields.Float(**_about("Ordered today: reserved, charged or uncertain."))
    uncertain_usd = fields.Float(**_about("What of it nobody knows to be charged or not."))
    day = fields.String(**_about("Today, in UTC."))


class EndsSchema(Answer):
    """How the ends of orders came to be known."""

    ended = fields.Integer(**_about("Orders whose end the gateway told, whatever that was."))
    told = fields.Integer(**_about("Of these: by a callback, before they were asked about."))
    asked = fields.Integer(**_about("The others: found by asking."))
    late = fields.Integer(**_about("Asked about, and called back after all."))
    lost = fields.Integer(**_about("Asked about, and never called back so far, though there was a callback URL."))
    loss_ratio = fields.Float(
        allow_none=True, **_about("What is lost, of told, late and lost together; null: none was to be called back.")
    )


class StandsSchema(Answer):
    """How a key stands just now."""

    obstacle = fields.Nested(
        ObstacleSchema, allow_none=True, **_about("What keeps even its cheapest order from going now; null: nothing.")
    )
    paused = fields.Nested(PausesSchema, **_about("The rests of the key, by what it is used for; null: it is well."))
    in_flight = fields.Integer(**_about("Tasks that the key has there, without a last word."))
    max_in_flight = fields.Integer()
    unanswered = fields.Integer(**_about("Orders whose answer is not known, since the last one that was accepted."))
    max_unconfirmed = fields.Integer(**_about("With so many unanswered, no more are risked."))
    holds_up = fields.Integer(**_about("Queued jobs that wait for it."))
    budget = fields.Nested(BudgetSchema, allow_none=True, **_about("null: no daily budget is set."))
    unknown_words = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        **_about("Status words that are not in our table, and how often they were met."),
    )


class StatusSchema(StandsSchema):
    last_day = fields.Nested(EndsSchema, **_about("How ends were heard of in the last 24 hours."))


class StandingSchema(StatusSchema):
    """Status, by the name that it had; it goes with the field of that name."""


class ProviderSchema(Answer):
    name = fields.String()
    base_url = fields.String()
    configured = fields.Boolean(**_about("Whether it has an API key here, and so is used."))
    credit = fields.String(**_about("What the gateway's unit of money is called."))
    usd_per_credit = fields.Float(allow_none=True)
    callbacks = fields.Nested(CallbacksSchema, allow_none=True, **_about("null: it is only ever asked."))
    idempotency = fields.Nested(IdempotencySchema, allow_none=True)
    polling = fields.Nested(PollingSchema)
    task_life_s = fields.Float()
    link_life_s = fields.Float()
    tells_balance = fields.String(
        allow_none=True,
        validate=validate.OneOf(["key", "account"]),
        **_about("Whose use it tells when it is asked for its balance; null: it cannot be asked."),
    )
    refunds_failures = fields.Boolean(**_about("false: a failed task's money is uncertain."))
    switches = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(SwitchSchema),
        **_about("What its pages do not promise and RUSHES_<GATEWAY>_UNDOCUMENTED turns on, by word."),
    )
    modes = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(AbilitySchema),
        **_about(f"The modes it serves, with {DEFAULT_MODEL}: what requests mean today."),
    )
    models = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Nested(AbilitySchema)),
        **_about("The modes it serves, by the upstream's model."),
    )
    status = fields.Nested(
        StatusSchema, allow_none=True, **_about("How its key stands just now; null: it has no API key here.")
    )
    standing = fields.Nested(
        StandingSchema,
        allow_none=True,
        metadata={"description": "Going: the same as status, under its earlier name.", "deprecated": True},
    )


class ProviderListSchema(Answer):
    data = fields.List(fields.Nested(ProviderSchema))


class AmountSchema(Answer):
    amount = fields.Float(**_about("In the gateway's unit."))
    usd = fields.Float(allow_none=True, **_about("null: what a unit is worth is not published."))


class OrdersAmountSchema(AmountSchema):
    orders = fields.Integer()


class SinceSchema(Answer):
    asked_at = fields.String(**_about("When it was asked before."))
    took = fields.Nested(AmountSchema, **_about("What the gateway counts as used since then."))
    booked = fields.Nested(AmountSchema, **_about("What our account has more of held and charged orders than then."))
    difference = fields.Nested(AmountSchema, **_about("`took` less `booked`. Nothing is settled by it."))


class BalanceSchema(Answer):
    provider = fields.String()
    asked_at = fields.String()
    unit = fields.String(**_about("In which the gateway counts here."))
    counts = fields.String(
        validate=validate.OneOf(["key", "account"]), **_about("Whose use it tells. Others may use it too.")
    )
    left = fields.Nested(AmountSchema, **_about("What can still be spent."))
    used = fields.Nested(AmountSchema, **_about("What was used since the beginning, without what came back."))
    under_way = fields.Nested(OrdersAmountSchema, **_about("Our orders without a last word, as we expect them."))
    uncertain = fields.Nested(
        OrdersAmountSchema, **_about("Our orders of which nobody knows whether they were charged.")
    )
    since = fields.Nested(SinceSchema, allow_none=True, **_about("null: it is asked for the first time."))
    explained = fields.List(fields.String(), **_about("For people: what may be behind a difference."))


class RestSchema(Strict):
    """The body of a rest; it may be left out."""

    seconds = fields.Float(
        load_default=USUAL_REST_S,
        validate=validate.Range(1, LONGEST_REST_S, error=f"Choose from 1 to {LONGEST_REST_S:.0f} seconds."),
        **_about("How long it rests, unless it is resumed before."),
    )
