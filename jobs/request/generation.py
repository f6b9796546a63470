"""What is wanted: one video, in the upstream model's words, and how its job is to be treated. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
RESOLUTIONS = ("720p", "1080p")
LARGEST_SEED = 2**31 - 1
AREAS = {"720p": 1280 * 720, "1080p": 1920 * 1080}  # in pixels, whatever the shape: Wan keeps the area
AREA_OFF = 1.4  # as a factor; between the two sizes there is one of 2.25
SHAPE_OFF = 1.1  # as a factor; between the two nearest shapes there is one of 1.33
LENGTH_OFF_S = 0.6  # gateways count frames: five seconds are 5.06
# A film is as long as was ordered within the larger of these; one of less than half did not come whole.
RIGHT_WITHIN_S, RIGHT_WITHIN_SHARE = 1, 0.2
NOT_WHOLE_SHARE = 0.5
# With these the length may follow from what they hold.
DECIDE_LENGTH = frozenset({"first_clip", "driving_audio", "reference_video", "reference_voice", "video"})
WAN_2_7 = "wan-2.7"
DEFAULT_MODEL = WAN_2_7  # the one that is meant where a request names none, as all do today


class Mode(StrEnum):
    TEXT = "text-to-video"
    IMAGE = "image-to-video"
    REFERENCE = "reference-to-video"
    EDIT = "video-edit"


Kind = tuple[str, Mode]  # which of the upstream models makes a video, and from what: the key of what gateways can do


@dataclass(frozen=True)
class Media:
    """One file that goes in. `reference_voice`: how the person or thing in a reference speaks."""

    type: str
    url: str
    reference_voice: str | None = None


class Film(NamedTuple):
    """A film's length in seconds, and its size in pixels."""

    duration_s: float
    width: int
    height: int


@dataclass(frozen=True)
class Generation:
    """The video that is wanted. `duration` is in seconds; 0 is the length of the video that is edited.

    `ratio` None: the shape follows the media.
    """

    mode: Mode
    prompt: str | None
    negative_prompt: str | None = None
    resolution: str = "1080p"
    ratio: str | None = None
    duration: int = 5
    seed: int | None = None
    prompt_extend: bool = True
    watermark: bool = False
    audio_setting: str | None = None
    shot_type: str | None = None
    media: tuple[Media, ...] = ()
    model: str = DEFAULT_MODEL

    @property
    def kind(self) -> Kind:
        return self.model, self.mode

    def urls(self, kind: str) -> list[str]:
        """The URLs of one media type, in the order given."""
        return [item.url for item in self.media if item.type == kind]

    def url(self, kind: str) -> str | None:
        """The URL of a media type of which there is one at most."""
        return next(iter(self.urls(kind)), None)

    @property
    def references(self) -> tuple[Media, ...]:
        """Reference images and videos in the order given, each with its voice.

        A voice that stands alone belongs to the one reference, where there is only one.
        """
        found = tuple(item for item in self.media if item.type in ("reference_image", "reference_video"))
        alone = self.url("reference_voice")
        if alone and len(found) == 1 and found[0].reference_voice is None:
            return (Media(found[0].type, found[0].url, alone),)
        return found

    @property
    def ordered_s(self) -> int | None:
        """How many seconds were ordered; None where a clip or a sound that is given may decide, as in every edit."""
        given = {item.type for item in self.media} | {"reference_voice" for x in self.media if x.reference_voice}
        return None if self.mode is Mode.EDIT or given & DECIDE_LENGTH else self.duration

    def is_as_long(self, seconds: float) -> bool:
        """Whether a film of that length is as long as was ordered, as far as the order says."""
        ordered = self.ordered_s
        return ordered is None or abs(seconds - ordered) <= max(RIGHT_WITHIN_S, RIGHT_WITHIN_SHARE * ordered)

    def is_whole(self, seconds: float) -> bool:
        """Whether a film of that length may be all of what was ordered."""
        return self.ordered_s is None or seconds >= NOT_WHOLE_SHARE * self.ordered_s

    def may_be(self, film: Film) -> bool:
        """Whether nothing that is wanted speaks against the film. What is left open, or media decide, does not."""
        if self.ordered_s is not None and abs(film.duration_s - self.ordered_s) > LENGTH_OFF_S:
            return False
        if not _is_near(film.width * film.height, AREAS[self.resolution], AREA_OFF):
            return False
        if self.ratio is None:
            return True
        return _has_shape(film, self.ratio)

    def is_denied_by(self, film: Film) -> bool:
        """Whether the film shows that something else was ordered: another size or shape, or twice its length.

        A size or a shape that nobody can order says nothing: a gateway has its own.
        """
        sizes = {name for name, area in AREAS.items() if _is_near(film.width * film.height, area, AREA_OFF)}
        shapes = {ratio for ratio in RATIOS if _has_shape(film, ratio)}
        is_of_another = (sizes and self.resolution not in sizes) or (self.ratio and shapes and self.ratio not in shapes)
        return bool(is_of_another) or not self.is_whole(film.duration_s)


def _has_shape(film: Film, ratio: str) -> bool:
    across, _, down = ratio.partition(":")
    return _is_near(film.width * int(down), film.height * int(across), SHAPE_OFF)


def _is_near(one: float, other: float, factor: float) -> bool:
    return one <= other * factor and other <= one * factor


@dataclass(frozen=True)
class JobRequest:
    """A whole request: the video, and how the job is to be treated."""

    generation: Generation
    providers: tuple[str, ...]  # in order of preference; empty: any
    notify_url: str | None = None
    metadata: Mapping[str, str] | None = None
    batch: str | None = None
    on_unconfirmed: str = "wait"
    start_within_s: int | None = None
