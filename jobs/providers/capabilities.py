"""What a gateway can do, as data. Validation, the API, the command line and the docs all read these tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobs.request.fields import Field
from jobs.request.generation import LARGEST_SEED, RATIOS, RESOLUTIONS


class Why(StrEnum):
    """Why a request does not fit a gateway."""

    LIMIT = "limit"  # the gateway would refuse it
    ALTERED = "altered"  # the gateway would cut or drop it in silence
    NO_FIELD = "no_field"  # nothing in the gateway's request can say it
    UNDOCUMENTED = "undocumented"  # it may work; the operator can turn it on
    UNPRICED = "unpriced"  # no price is known, or it is more than a whole day's budget


@dataclass(frozen=True)
class Misfit:
    """One reason why a gateway cannot serve a request: the field, what was asked, what is allowed."""

    field: str
    given: object
    allowed: str
    why: Why


@dataclass(frozen=True)
class MediaSet:
    """Media types that may stand together: all of `needs`, any of `may`.

    `undocumented`: the word that turns the set on in RUSHES_<PROVIDER>_UNDOCUMENTED; None: the gateway documents it.
    """

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    undocumented: str | None = None

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self.needs + self.may)


@dataclass(frozen=True)
class Count:
    """How many items of these media types together, at most. `beyond`: what becomes of more."""

    types: tuple[str, ...]
    most: int
    beyond: Why = Why.LIMIT


@dataclass(frozen=True)
class Length:
    """Seconds of video that can be asked for. `whole_input`: 0, the length of the edited video, can be too."""

    least: int
    most: int
    whole_input: bool = False
    most_with: Mapping[str, int] = field(default_factory=dict)  # narrower where a media type is present


@dataclass(frozen=True)
class Text:
    """How long a text may be. `utf16`: the gateway counts UTF-16 code units, else characters (code points)."""

    longest: int
    required: bool = False
    utf16: bool = False
    beyond: Why = Why.LIMIT

    def length_of(self, text: str) -> int:
        return len(text.encode("utf-16-le", "surrogatepass")) // 2 if self.utf16 else len(text)


class Voices(StrEnum):
    """How a gateway lets references speak."""

    NONE = "none"
    ONE = "one"  # one voice, the main character's
    IN_ORDER = "in_order"  # a list of voices beside the references, matched by position
    EACH = "each"  # a voice inside each reference


@dataclass(frozen=True)
class Ability:
    """One mode at one gateway. `credits_per_s` by resolution is empty where no price is published."""

    model: str
    media: tuple[MediaSet, ...]
    duration: Length | None  # None: always as long as the input
    prompt: Text
    negative_prompt: Text
    counts: tuple[Count, ...] = ()
    resolutions: tuple[str, ...] = RESOLUTIONS
    ratios: tuple[str, ...] = RATIOS  # empty: the shape follows the media
    unasked_ratio: str = "as the input"  # the shape where none is asked for
    seed: tuple[int, int] = (0, LARGEST_SEED)
    prompt_extend: tuple[bool, ...] = (True, False)  # what can be said; (True,): rewriting cannot be switched off
    watermark: tuple[bool, ...] = (False, True)
    audio_setting: tuple[str, ...] = ()
    shot_type: tuple[str, ...] = ()
    voices: Voices = Voices.NONE
    credits_per_s: Mapping[str, float] = field(default_factory=dict)
    input_is_billed: bool = False  # the seconds of input videos count beside those of the output
    files: Mapping[str, str] = field(default_factory=dict)  # by media type: what the gateway takes; its own to check

    def offer(self, asked: Field) -> Any:
        """What can be said in a field: a Text, a Length, a least and a most, or the values to choose from."""
        return getattr(self, asked.offered_as)


@dataclass(frozen=True)
class Callbacks:
    """How a gateway calls back. `https_only`: it refuses plain http (or is assumed to)."""

    https_only: bool
    signed: bool
    tries: str  # its timetable, in words
    longest_url: int = 2048


@dataclass(frozen=True)
class Polling:
    """Seconds from acceptance to the first query, between later ones, and queries a second per key."""

    first_s: float = 15
    then_s: float = 15
    budget_per_s: float = 5
