"""What may be asked: one request for one video, in the upstream model's words."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from jobs.errors import BadRequest

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
RESOLUTIONS = ("720p", "1080p")
MEDIA_TYPES = (
    "first_frame",
    "last_frame",
    "first_clip",
    "driving_audio",
    "reference_image",
    "reference_video",
    "reference_voice",
    "video",
)
LONGEST_PROMPT = 5000  # characters; every gateway's limit
LARGEST_SEED = 2**31 - 1
METADATA_ENTRIES = 16
METADATA_KEY_LENGTH = 64
METADATA_VALUE_LENGTH = 512
DAY_S = 86_400
DEFAULT_DURATION_S = 5
DEFAULT_RATIO = "16:9"


class Mode(StrEnum):
    TEXT = "text-to-video"
    IMAGE = "image-to-video"
    REFERENCE = "reference-to-video"
    EDIT = "video-edit"


@dataclass(frozen=True)
class Media:
    type: str
    url: str
    reference_voice: str | None = None


@dataclass(frozen=True)
class Generation:
    """The video that is wanted. `duration` is in seconds; 0 is the length of the video that is edited."""

    mode: Mode
    prompt: str
    negative_prompt: str | None = None
    resolution: str = "1080p"
    ratio: str | None = None
    duration: int = DEFAULT_DURATION_S
    seed: int | None = None
    prompt_extend: bool = True
    watermark: bool = False
    audio_setting: str | None = None
    media: tuple[Media, ...] = ()


@dataclass(frozen=True)
class JobRequest:
    """A whole request: the video, and how the job is to be treated."""

    generation: Generation
    providers: tuple[str, ...]  # in order of preference; empty: any
    notify_url: str | None = None
    metadata: Mapping[str, str] | None = None
    on_unconfirmed: str = "wait"
    start_within_s: int | None = None


class _Text(fields.String):
    """A string that every database and gateway can hold: no NUL, no lone surrogate."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if any(unicodedata.category(c) == "Cs" or c == "\0" for c in text):
            raise ValidationError("Holds a NUL or half of a surrogate pair; send valid Unicode text.")
        return text


class _Url(_Text):
    """An http(s) URL with a host and no user name in it, at most 4096 characters."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        url = super()._deserialize(value, attr, data, **kwargs)
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        except ValueError:
            good = False
        if not good or len(url) > 4096:
            raise ValidationError("Not a URL that can be used; send https://host/path without a user name.")
        return url


class Strict(Schema):
    """Knows no other fields than its own, and helps whoever misspelt one."""

    class Meta:
        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Name the nearest field that exists beside each that does not."""
        if isinstance(error.messages, dict) and isinstance(data, Mapping):
            for name, said in error.messages.items():
                if name not in self.fields and name in data and said == ["Unknown field."]:
                    near = difflib.get_close_matches(str(name), self.fields, n=1)
                    error.messages[name] = [f"Unknown field; did you mean {near[0]}?" if near else "Unknown field."]


class MediaSchema(Strict):
    type = fields.String(required=True, validate=validate.OneOf(MEDIA_TYPES))
    url = _Url(required=True)
    reference_voice = _Url(load_default=None)

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


class RequestSchema(Strict):
    """The body of `POST /v1/jobs` and the arguments of `rushes.generate`."""

    mode = fields.Enum(Mode, by_value=True, load_default=Mode.TEXT)
    prompt = _Text(required=True, validate=validate.Length(min=1, max=LONGEST_PROMPT))
    negative_prompt = _Text(load_default=None, allow_none=True, validate=validate.Length(min=1, max=LONGEST_PROMPT))
    resolution = fields.String(load_default="1080p", validate=validate.OneOf(RESOLUTIONS))
    ratio = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(RATIOS))
    duration = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=15),
        metadata={"description": "Seconds. 5 where nothing is said; the gateway's own range is checked as well."},
    )
    seed = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(min=0, max=LARGEST_SEED)
    )
    prompt_extend = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    watermark = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    audio_setting = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(("auto", "origin")))
    media = fields.List(fields.Nested(MediaSchema), load_default=list, validate=validate.Length(max=16))
    provider = ProviderChoice(load_default=(), metadata={"description": "auto, a name, or a list of names."})
    notify_url = _Url(load_default=None, allow_none=True)
    metadata = fields.Dict(
        keys=_Text(validate=validate.Length(min=1, max=METADATA_KEY_LENGTH)),
        values=_Text(validate=validate.Length(max=METADATA_VALUE_LENGTH)),
        load_default=dict,
        validate=validate.Length(max=METADATA_ENTRIES),
    )
    on_unconfirmed = fields.String(load_default="wait", validate=validate.OneOf(("wait", "resubmit")))
    start_within_s = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(min=60, max=30 * DAY_S)
    )

    @validates_schema(skip_on_field_errors=True)
    def media_suits_mode(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["mode"] is Mode.TEXT and any(m.type != "driving_audio" for m in data["media"]):
            raise ValidationError("text-to-video takes no media but driving_audio; choose another mode.", "media")

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> JobRequest:
        # Said for everybody here, so that the same request means the same at every gateway.
        if data["duration"] is None:
            data["duration"] = 0 if data["mode"] is Mode.EDIT else DEFAULT_DURATION_S
        if data["ratio"] is None and data["mode"] is Mode.TEXT:
            data["ratio"] = DEFAULT_RATIO
        return JobRequest(
            generation=Generation(
                media=tuple(data.pop("media")),
                **{k: data.pop(k) for k in Generation.__dataclass_fields__ if k != "media"},
            ),
            providers=data.pop("provider"),
            **data,
        )


_SCHEMA = RequestSchema()


def load_request(body: Any) -> JobRequest:
    """Read a client's request. Raises BadRequest that names each field and what is allowed."""
    try:
        request = _SCHEMA.load(body)
    except ValidationError as e:
        raise BadRequest(flatten(e.messages)) from e
    assert isinstance(request, JobRequest)
    return request


def flatten(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Marshmallow's nested messages as dotted paths: {"media": {0: {"url": [..]}}} becomes {"media.0.url": [..]}."""
    if isinstance(messages, Mapping):
        flat: dict[str, list[str]] = {}
        for name, inner in messages.items():
            part = "" if name in ("_schema", "key", "value") else str(name)
            flat.update(flatten(inner, ".".join(p for p in (path, part) if p)))
        return flat
    return {path or "body": [str(m) for m in messages]}
