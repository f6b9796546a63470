"""How answers show a request: every field of it, as it was taken."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields, validate

from jobs.request.fields import FIELDS, ChoiceField, Field, NumberField
from jobs.request.generation import Mode
from jobs.request.schema import MEDIA_TYPES, unsaid
from rushes.api.schemas.base import Answer

LINK = "Without what signs it, but in an answer about this job alone to a key that may order."


class TakenMediaSchema(Answer):
    type = fields.String(validate=validate.OneOf(MEDIA_TYPES))
    url = fields.String(metadata={"description": LINK})
    reference_voice = fields.String(metadata={"description": f"{LINK} Only where one was given."})


def _shown(field: Field) -> fields.Field[Any]:
    said: dict[str, Any] = {"allow_none": unsaid(field.name) is None, "metadata": {"description": field.about}}
    match field:
        case NumberField():
            return fields.Integer(**said)
        case ChoiceField(is_switch=True):
            return fields.Boolean(**said)
    return fields.String(**said)


class TakenSchema(Answer):
    """A request as it was taken, with what is meant where nothing was said. Sent again, it orders the same video."""

    mode = fields.String(validate=validate.OneOf([m.value for m in Mode]))
    media = fields.List(fields.Nested(TakenMediaSchema))
    provider = fields.Raw(
        metadata={
            "description": "auto, a name, or names in order of preference.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        }
    )
    notify_url = fields.String(allow_none=True, metadata={"description": f"Who is told; null: nobody. {LINK}"})
    metadata = fields.Dict(keys=fields.String(), values=fields.String())
    batch = fields.String(allow_none=True)
    on_unconfirmed = fields.String()
    start_within_s = fields.Integer(allow_none=True)

    class Meta(Answer.Meta):
        include: ClassVar[dict[str, fields.Field[Any]]] = {field.name: _shown(field) for field in FIELDS}
