"""Reading a request: its shape, and what holds of it at every gateway. What one gateway cannot do is `fitting`'s."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from jobs.errors import MOST_FIELDS, BadRequest
from jobs.request.fields import CHOICES, FIELDS, ChoiceField, Field, NumberField, TextField
from jobs.request.generation import Generation, JobRequest, Media, Mode

METADATA_ENTRIES = 16
METADATA_KEY_LENGTH = 64
METADATA_VALUE_LENGTH = 512
LONGEST_BATCH = 100
DAY_S = 86_400
DEFAULT_DURATION_S = 5
LONGEST_NAME = 64  # of a misspelt field that is looked for
DEFAULT_RATIO = "16:9"


@dataclass(frozen=True)
class MediaRule:
    """What a mode takes: at most so many of each media type, and which types make it what it is (one of them at least).

    These are the upstream model's own rules; gateways narrow them.
    """

    most: Mapping[str, int]
    leads: tuple[str, ...] = ()


MANY = 16
MEDIA = {
    Mode.TEXT: MediaRule({"driving_audio": 1}),
    Mode.IMAGE: MediaRule(
        {"first_frame": 1, "last_frame": 1, "first_clip": 1, "driving_audio": 1}, leads=("first_frame", "first_clip")
    ),
    Mode.REFERENCE: MediaRule(
        {"reference_image": MANY, "reference_video": MANY, "reference_voice": 1, "first_frame": 1},
        leads=("reference_image", "reference_video"),
    ),
    Mode.EDIT: MediaRule({"video": 1, "reference_image": MANY}, leads=("video",)),
}
MEDIA_TYPES = tuple(dict.fromkeys(kind for rule in MEDIA.values() for kind in rule.most))


# What is meant where nothing is said; None: nothing, or what follows from the rest of the request.
_UNSAID = {field.name: field.default for field in fields_of(Generation)} | {"prompt": None, "duration": None}
_NOT_BLANK = validate.Regexp(r"\s*\S", error="Holds nothing but spaces; say what is to be seen.")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")


def unsaid(name: str) -> Any:
    """What a field of the video means that is left out; None: nothing, or what follows from the rest of the request."""
    return _UNSAID[name]


def natural(mode: Mode, kinds: Collection[str]) -> dict[str, Any]:
    """What follows from the mode and the media types that are given, of fields about which nothing is said."""
    meant: dict[str, Any] = {"duration": 0 if mode is Mode.EDIT else DEFAULT_DURATION_S}
    if mode is Mode.TEXT or (mode is Mode.REFERENCE and "first_frame" not in kinds):
        meant["ratio"] = DEFAULT_RATIO
    return meant


class Text(fields.String):
    """A string that every database and gateway can hold: no NUL, no lone surrogate."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if _NOT_TEXT.search(text):
            raise ValidationError("Holds a NUL or half of a surrogate pair; send valid Unicode text.")
        return text


class Url(Text):
    """An http(s) URL with a host and no user name in it, at most 4096 characters."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        url = super()._deserialize(value, attr, data, **kwargs)
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
            good = good and parts.port != 0  # raises for one that is none
        except ValueError:
            good = False
        # urlsplit strips and skips control characters and spaces; a gateway would be sent them.
        if not good or len(url) > 4096 or " " in url or not url.isprintable():
            raise ValidationError("Not a URL that can be used; send https://host/path without a user name.")
        return url


class Strict(Schema):
    """Knows no other fields than its own, and helps whoever misspelt one."""

    class Meta:
        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Name the nearest field that exists beside each that does not."""
        if isinstance(error.messages, dict) and isinstance(data, Mapping):
            unknown = (name for name, said in error.messages.items() if said == ["Unknown field."])
            for name in islice(unknown, MOST_FIELDS):  # a search takes its time, and more of them are not told
                if name not in self.fields and name in data:
                    near = difflib.get_close_matches(str(name)[:LONGEST_NAME], self.fields, n=1)
                    error.messages[name] = [f"Unknown field; did you mean {near[0]}?" if near else "Unknown field."]


class _ShortList(fields.List[Any]):
    """A list whose length is looked at before its members are: each of them may have faults of its own."""

    def __init__(self, inner: fields.Field[Any], *, most: int, **kwargs: Any):
        super().__init__(inner, validate=validate.Length(max=most), **kwargs)
        self._length = validate.Length(max=most)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self._length(value)
        return super()._deserialize(value, attr, data, **kwargs)


class _ShortDict(fields.Dict):
    """As `_ShortList`, by names."""

    def __init__(self, *, most: int, **kwargs: Any):
        super().__init__(validate=validate.Length(max=most), **kwargs)
        self._length = validate.Length(max=most)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[Any, Any]:
        if isinstance(value, Mapping):
            self._length(value)
        read: dict[Any, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        return read


def fault_of_batch(name: str) -> str | None:
    """Why no batch can be called so: the name becomes a part of a path, a column's value, and a word of commands."""
    if not 1 <= len(name) <= LONGEST_BATCH or not name.isprintable() or name != name.strip():
        return f"Send 1 to {LONGEST_BATCH} visible characters; blanks only between others."
    if "/" in name or name in (".", ".."):
        return "It becomes a part of a path: leave / out, and dots alone."
    return None


def _is_name_of_batch(value: str) -> None:
    if fault := fault_of_batch(value):
        raise ValidationError(fault)


class MediaSchema(Strict):
    type = fields.String(
        required=True,
        validate=validate.OneOf(MEDIA_TYPES),
        metadata={"description": "What the file is for, in the upstream model's words; each mode takes some of them."},
    )
    url = Url(required=True, metadata={"description": "Where the gateway fetches it; presigned links must live on."})
    reference_voice = Url(
        load_default=None,
        metadata={"description": "How the person or thing in this reference_image or reference_video speaks."},
    )

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> Media:
        return Media(**data)


class ProviderChoice(fields.Field[tuple[str, ...]]):
    """`auto`, one name, or a list of names in order of preference. Which names exist is routing's business."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
            raise ValidationError('Send "auto", a gateway\'s name, or a list of names in order of preference.')
        if len(set(names)) != len(names):
            raise ValidationError("A name occurs twice.")
        if "auto" in names:
            if len(names) > 1:
                raise ValidationError('"auto" stands alone.')
            return ()
        return tuple(names)


def _reader(field: Field) -> fields.Field[Any]:
    """What reads one of the video's fields. One that has no value of its own may be left out or null."""
    said: dict[str, Any] = {"load_default": unsaid(field.name), "metadata": {"description": field.about}}
    said["allow_none"] = said["load_default"] is None
    match field:
        case TextField():
            length = validate.Length(min=1, max=field.longest)
            return Text(**said, validate=[length, *([] if field.optional else [_NOT_BLANK])])
        case NumberField():
            return fields.Integer(**said, strict=True, validate=validate.Range(min=field.least, max=field.most))
        case ChoiceField(is_switch=True):
            return fields.Boolean(**said, truthy={True}, falsy={False})
        case ChoiceField():
            return fields.String(**said, validate=validate.OneOf(field.values))
    raise TypeError(f"nothing reads a {type(field).__name__}")


class _VideoSchema(Strict):
    """What is said of the video. A base of its own, so that its fields come first wherever fields are listed."""

    mode = fields.Enum(
        Mode, by_value=True, load_default=Mode.TEXT, metadata={"description": "What the video is made from."}
    )

    class Meta(Strict.Meta):
        include: ClassVar[dict[str, fields.Field[Any]]] = {field.name: _reader(field) for field in FIELDS}


class RequestSchema(_VideoSchema):
    """The body of `POST /v1/jobs` and the arguments of `rushes.generate`."""

    media = _ShortList(
        fields.Nested(MediaSchema),
        most=MANY,
        load_default=list,
        metadata={"description": "The files that go in. References keep their order: the prompt may count them."},
    )
    provider = ProviderChoice(
        load_default=(),
        metadata={
            "description": "auto (the cheapest that fits), a name, or a list of names in order of preference.",
            "default": "auto",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        },
    )
    notify_url = Url(
        load_default=None,
        allow_none=True,
        metadata={"description": "Told of the job by signed POSTs; left out: the API key's own, null: nobody is told."},
    )
    metadata = _ShortDict(
        most=METADATA_ENTRIES,
        keys=Text(validate=validate.Length(min=1, max=METADATA_KEY_LENGTH)),
        values=Text(validate=validate.Length(max=METADATA_VALUE_LENGTH)),
        load_default=dict,
        metadata={"description": "Kept with the job and shown with it; no gateway sees it."},
    )
    batch = Text(
        load_default=None,
        allow_none=True,
        validate=_is_name_of_batch,
        metadata={"description": "The run of requests that it belongs to; what one cost is summed, and listed alone."},
    )
    on_unconfirmed = fields.String(
        load_default="wait",
        validate=validate.OneOf(("wait", "resubmit")),
        metadata={"description": "When an order's answer is lost: wait for word of it, or risk paying twice."},
    )
    start_within_s = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=60, max=30 * DAY_S),
        metadata={"description": "A job that no gateway has accepted by then fails. One day where nothing is said."},
    )

    @validates_schema(skip_on_field_errors=False)
    def suits_its_mode(self, data: dict[str, Any], **kwargs: Any) -> None:
        if faults := _against_the_mode(data):
            raise ValidationError(faults)

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> JobRequest:
        # Said for everybody here, so that the same request means the same at every gateway.
        meant = natural(data["mode"], [item.type for item in data["media"]])
        data |= {name: value for name, value in meant.items() if data[name] is None}
        video = {field.name: data.pop(field.name) for field in FIELDS}
        generation = Generation(mode=data.pop("mode"), media=tuple(data.pop("media")), **video)
        return JobRequest(generation=generation, providers=data.pop("provider"), **data)


_SCHEMA = RequestSchema()


def load_request(body: Any) -> JobRequest:
    """Read a client's request. Raises BadRequest that names each field and what is allowed."""
    try:
        request = _SCHEMA.load(body)
    except ValidationError as e:
        raise BadRequest(flatten(e.messages)) from e
    assert isinstance(request, JobRequest)
    return request


def _against_the_mode(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """What no gateway could make of a request in this mode, by field. Fields with faults of their own are not there."""
    mode: Mode | None = data.get("mode")
    if mode is None:
        return {}
    media: list[Any] = data.get("media", [None])
    sound = all(isinstance(item, Media) for item in media)  # else some of it has faults of its own
    kinds = [item.type for item in media] if sound else []
    faults: dict[str, list[str]] = {}
    if sound and (said := _media_against_the_mode(mode, media)):
        faults["media"] = said
    if data.get("prompt", "") is None and mode is not Mode.EDIT:
        faults["prompt"] = ["Missing data for required field."]
    framed = mode is Mode.IMAGE or (mode is Mode.REFERENCE and "first_frame" in kinds)
    if data.get("ratio") is not None and framed:
        faults["ratio"] = ["The video takes the shape of its first frame or clip; leave ratio out."]
    if data.get("duration") in (0, 1) and not (data["duration"] == 0 and mode is Mode.EDIT):
        faults["duration"] = ["At least 2 seconds; 0, the length of the input, is for video-edit alone."]
    for field in CHOICES:
        if field.only not in (None, mode) and data.get(field.name) is not None:
            faults[field.name] = [f"It is about {field.subject}; only with {field.only}."]
    return faults


def _media_against_the_mode(mode: Mode, media: list[Media]) -> list[str]:
    rule, kinds = MEDIA[mode], [item.type for item in media]
    faults = []
    strange = [kind for kind in dict.fromkeys(kinds) if kind not in rule.most]
    if strange:
        others = ", ".join(m.value for m, r in MEDIA.items() if strange[0] in r.most)
        taken = ", ".join(rule.most)
        faults.append(f"{mode} takes no {', '.join(strange)}, but {taken}; {strange[0]} goes with {others}.")
    for kind, most in rule.most.items():
        if kinds.count(kind) > most:
            faults.append(f"{kind} may occur {most} time{'s' * (most > 1)}.")
    if rule.leads and not strange and not set(rule.leads) & set(kinds):
        faults.append(f"{mode} wants {' or '.join(rule.leads)}.")
    speaking = MEDIA[Mode.REFERENCE].leads if mode is Mode.REFERENCE else ()
    if any(item.reference_voice and item.type not in speaking for item in media):
        faults.append(f"reference_voice stands inside the references of {Mode.REFERENCE.value} alone.")
    return faults


def flatten(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Marshmallow's nested messages as dotted paths: {"media": {0: {"url": [..]}}} becomes {"media.0.url": [..]}."""
    if isinstance(messages, Mapping):
        flat: dict[str, list[str]] = {}
        for name, inner in messages.items():
            is_marshmallows = name == "_schema" or (path and name in ("key", "value"))  # of an entry of a field
            part = "" if is_marshmallows else str(name)
            flat.update(flatten(inner, ".".join(p for p in (path, part) if p)))
        return flat
    return {path or "body": [str(m) for m in messages]}
