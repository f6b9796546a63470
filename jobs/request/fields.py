"""What a request can say of its video, field by field: the one place for names, words and limits.

Validation, the API's description and its answers, the options of `rushes submit`, what fits a gateway and the tables
of the documentation are made from these rows. A new field is a row here, a value of `Generation`, what a gateway offers
of it unless its own table says otherwise (`Ability`), and how each gateway writes it. `media` is not here: its items
hang together (schema.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.request.generation import LARGEST_SEED, RATIOS, RESOLUTIONS, Generation, Mode

LONGEST_PROMPT = 5000  # characters; every gateway's limit


@dataclass(frozen=True, kw_only=True)
class Field:
    """A value of `Generation`. `about` stands in the API's description, `brief` on the command line, if it differs.

    `offer`: what a gateway's `Ability`, and the answer that shows it, call what can be said; None: as the field.
    """

    name: str
    about: str
    brief: str | None = None
    offer: str | None = None
    offer_about: str | None = None

    @property
    def help(self) -> str:
        return self.brief or self.about

    @property
    def offered_as(self) -> str:
        return self.offer or self.name

    def of(self, spec: Generation) -> Any:
        return getattr(spec, self.name)


@dataclass(frozen=True, kw_only=True)
class TextField(Field):
    """`optional` False: hardly a gateway does without, and spaces alone will not do."""

    longest: int = LONGEST_PROMPT
    optional: bool = True


@dataclass(frozen=True, kw_only=True)
class NumberField(Field):
    """A whole number; gateways narrow the range."""

    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class LengthField(NumberField):
    """Seconds of video. What is meant where nothing is said depends on the mode."""


@dataclass(frozen=True, kw_only=True)
class ChoiceField(Field):
    """One of a few words, or a switch: then the values are True and False.

    `natural`: what every gateway does unasked, so that it fits everywhere. `only`: the one mode that it is about, and
    `subject`: what it is about there. `in_words`: how a table says that these can be chosen; others are listed.
    `unasked`: what an `Ability` calls that which is made where nothing is asked. `priced`: the price depends on it, so
    that price lists tell what can be chosen.
    """

    values: tuple[str | bool, ...]
    natural: str | None = None
    only: Mode | None = None
    subject: str = ""
    in_words: Mapping[tuple[str | bool, ...], str] = field(default_factory=dict)
    unasked: str | None = None
    priced: bool = False

    @property
    def is_switch(self) -> bool:
        return all(isinstance(value, bool) for value in self.values)

    @property
    def help(self) -> str:
        if self.brief or self.is_switch:
            return super().help
        *others, last = map(str, self.values)
        return f"{', '.join(others)} or {last}."


FIELDS: tuple[Field, ...] = (
    TextField(
        name="prompt",
        about="What is to be seen. Only video-edit may do without, at some gateways.",
        optional=False,
    ),
    TextField(
        name="negative_prompt",
        about="What is not to be seen. Most gateways take 500 characters.",
        brief="What must not be seen.",
    ),
    ChoiceField(
        name="resolution",
        about="The video's size; the price depends on it.",
        values=RESOLUTIONS,
        offer="resolutions",
        priced=True,
    ),
    ChoiceField(
        name="ratio",
        about="The shape. 16:9 where nothing is said; a first frame or clip brings its own, and then ratio is refused;"
        " an edited video keeps the input's, or what its gateway makes of it.",
        values=RATIOS,
        offer="ratios",
        offer_about="Shapes that can be asked for; none: the video takes the shape of its media.",
        in_words={(): "as the media", RATIOS: "any"},
        unasked="unasked_ratio",
    ),
    LengthField(
        name="duration",
        about="Seconds. 5 where nothing is said, and in video-edit 0, the length of the input. Gateways narrow the"
        " range.",
        brief="Seconds; 0 in video-edit: the length of the input.",
        least=0,
        most=15,
        offer_about="null: the video is always as long as its input.",
    ),
    NumberField(
        name="seed",
        about="The same seed and request give about the same video.",
        least=0,
        most=LARGEST_SEED,
    ),
    ChoiceField(
        name="prompt_extend",
        about="Whether the model may rewrite the prompt; not every gateway can switch it off.",
        brief="Whether the model may rewrite the prompt.",
        values=(True, False),
        offer_about="What can be said; only true: it cannot be switched off.",
        in_words={(True, False): "on or off", (True,): "always on"},
    ),
    ChoiceField(
        name="watermark",
        about="Whether the video bears the model's mark; not every gateway can be asked for one.",
        brief="Whether the video bears the model's mark.",
        values=(False, True),
        offer_about="What can be said; only false: there is none to be had.",
        in_words={(False, True): "off or on", (False,): "none to be had"},
    ),
    ChoiceField(
        name="audio_setting",
        about="video-edit alone: origin keeps the input's sound, auto lets the model decide.",
        brief="In video-edit: origin keeps the input's sound, auto does not have to.",
        values=("auto", "origin"),
        natural="auto",
        only=Mode.EDIT,
        subject="the sound of the edited video",
    ),
    ChoiceField(
        name="shot_type",
        about="One shot or several; few gateways can be asked.",
        values=("single", "multi"),
    ),
)
TEXTS = tuple(each for each in FIELDS if isinstance(each, TextField))
NUMBERS = tuple(each for each in FIELDS if isinstance(each, NumberField) and not isinstance(each, LengthField))
CHOICES = tuple(each for each in FIELDS if isinstance(each, ChoiceField))
