"""A request as a form bears it, and back: names and texts, as they were typed. Pure.

Nothing is judged here. What a number, a link or a mode must be like, the API says, in words for each field; what the
fields are, their table says, and what gateways take of them, their capabilities.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from jobs.request.fields import FIELDS, ChoiceField, Field, LengthField, NumberField, TextField
from jobs.request.generation import Mode
from jobs.request.schema import MEDIA, RequestSchema, unsaid
from rushes import provider_words

Json = Mapping[str, Any]
Typed = MultiDict[str, str]  # what stands in the form's fields, by their names

ANYBODY = "auto"
BLANK_ENTRIES = 2  # of the metadata, beside those that are filled
SWITCH = {True: "true", False: "false"}
LABELS = {True: "on", False: "off"}
TREATMENT = RequestSchema().fields
WHEN_LOST: Sequence[str] = TREATMENT["on_unconfirmed"].validate.choices  # type: ignore[union-attr] # it has such a list


@dataclass(frozen=True)
class Input:
    """A field of the video as it stands in the form. `limits`: what gateways take of it, and which of them."""

    name: str
    kind: str  # text, number or choice
    about: str
    value: str
    limits: Sequence[tuple[str, str]] = ()
    options: Sequence[tuple[str, str]] = ()
    is_wanted: bool = False


@dataclass(frozen=True)
class Link:
    """A row for a file that goes in."""

    kind: str
    url: str = ""
    voice: str = ""


def mode_of(typed: Typed) -> Mode:
    """The mode that the form is shown for; for a word that is none, the usual one."""
    return next((mode for mode in Mode if mode == typed.get("mode")), Mode.TEXT)


def body(typed: Typed) -> dict[str, Any]:
    """The request that is meant, as the API takes it. What is left blank is left out."""
    said: dict[str, Any] = {"mode": typed.get("mode", Mode.TEXT.value)}
    for field in FIELDS:
        if text := typed.get(field.name, "").replace("\r\n", "\n"):
            said[field.name] = _read(field, text)
    if media := [_item(link) for link in _links(typed)]:
        said["media"] = media
    names = [name for name in typed.getlist("provider") if name]
    said["provider"] = names[0] if len(names) == 1 else names or ANYBODY
    if entries := dict(_entries(typed)):
        said["metadata"] = entries
    said |= {name: typed[name] for name in ("batch", "on_unconfirmed") if typed.get(name)}
    if within := typed.get("start_within_s", ""):
        said["start_within_s"] = _number(within)
    if typed.get("notify_nobody"):
        said["notify_url"] = None
    elif url := typed.get("notify_url", "").strip():
        said["notify_url"] = url
    return said


def typed_as(request: Json) -> Typed:
    """A form filled with a request as a job shows it: to order it anew, in no batch."""
    typed: Typed = MultiDict({"mode": request["mode"], "on_unconfirmed": request["on_unconfirmed"]})
    for field in FIELDS:
        if (value := request[field.name]) is not None:
            typed[field.name] = _word(value)
    for item in request["media"]:
        typed.add("type", item["type"])
        typed.add("url", item["url"])
        typed.add("voice", item.get("reference_voice", ""))
    names = [request["provider"]] if isinstance(request["provider"], str) else request["provider"]
    typed.setlist("provider", [name for name in names if name != ANYBODY])
    typed.setlist("entry", list(request["metadata"]))
    typed.setlist("value", list(request["metadata"].values()))
    typed["start_within_s"] = str(request["start_within_s"] or "")
    typed["notify_url" if request["notify_url"] else "notify_nobody"] = request["notify_url"] or "true"
    return typed


def inputs(typed: Typed, gateways: Sequence[Json]) -> list[Input]:
    """The fields that this mode has at these gateways, and those that something stands in."""
    mode = mode_of(typed)
    found = (_input(field, mode, typed.get(field.name, ""), gateways) for field in FIELDS)
    return [each for each in found if each is not None]


def links(typed: Typed) -> list[Link]:
    """A row for each link, and a blank one for each kind of which the mode takes another."""
    given, most = _links(typed), MEDIA[mode_of(typed)].most
    counts = {kind: sum(link.kind == kind for link in given) for kind in most}
    return [*given, *(Link(kind) for kind in most if counts[kind] < most[kind])]


def kinds(typed: Typed) -> list[str]:
    """The media types that the mode takes."""
    return list(MEDIA[mode_of(typed)].most)


def entries(typed: Typed) -> list[tuple[str, str]]:
    """The rows of the metadata."""
    return [*_entries(typed), *([("", "")] * BLANK_ENTRIES)]


def choices(typed: Typed, gateways: Sequence[Json]) -> list[str]:
    """What is chosen of the gateways, in order, with a blank for each that may follow."""
    chosen = [name for name in typed.getlist("provider") if name]
    return [*chosen, *([""] * max(1, len(gateways) - len(chosen)))]


def about(name: str) -> str:
    """What a field means that is not of the video."""
    return str(TREATMENT[name].metadata["description"])


def _read(field: Field, text: str) -> Any:
    match field:
        case NumberField():
            return _number(text)
        case ChoiceField(is_switch=True):
            return next((value for value, word in SWITCH.items() if word == text), text)
    return text


def _word(value: Any) -> str:
    return SWITCH[value] if isinstance(value, bool) else str(value)


def _number(text: str) -> int | str:
    """The number; what is none goes to the API as it is, which says so."""
    try:
        return int(text)
    except ValueError:
        return text


def _links(typed: Typed) -> list[Link]:
    rows = itertools.zip_longest(*(typed.getlist(name) for name in ("type", "url", "voice")), fillvalue="")
    return [Link(kind, url.strip(), voice.strip()) for kind, url, voice in rows if url.strip() or voice.strip()]


def _item(link: Link) -> dict[str, str]:
    voice = {"reference_voice": link.voice} if link.voice else {}
    return {"type": link.kind, "url": link.url, **voice}


def _entries(typed: Typed) -> list[tuple[str, str]]:
    rows = itertools.zip_longest(typed.getlist("entry"), typed.getlist("value"), fillvalue="")
    return [row for row in rows if any(row)]


def _input(field: Field, mode: Mode, value: str, gateways: Sequence[Json]) -> Input | None:
    offers = [gateway["modes"][mode.value][field.offered_as] for gateway in gateways]
    options: list[tuple[str, str]] = []
    match field:
        case TextField():
            kind, is_there = "text", True
        case LengthField():
            kind, is_there = "number", any(offer is not None for offer in offers)
        case NumberField():
            kind, is_there = "number", bool(offers)
        case ChoiceField():
            kind = "choice"
            values = [each for each in field.values if any(each in offer for offer in offers)]
            options = [(_word(each), LABELS[each] if isinstance(each, bool) else each) for each in values]
            is_there = any(each != unsaid(field.name) for each in values)
        case _:
            raise TypeError(f"no form has a {type(field).__name__}")
    if not is_there and not value:
        return None
    if kind == "choice" and value and value not in dict(options):
        options.append((value, value))
    limits = _limits(field, mode, gateways)
    is_wanted = isinstance(field, TextField) and not field.optional
    return Input(field.name, kind, field.about, value, limits, options, is_wanted)


def _limits(field: Field, mode: Mode, gateways: Sequence[Json]) -> list[tuple[str, str]]:
    """What gateways take, each word once, with those that it holds for; nobody's name where it holds for all."""
    said: dict[str, list[str]] = {}
    for gateway in gateways:
        words = provider_words.ability(gateway["modes"][mode.value], gateway).get(field.name)
        if words is not None:
            said.setdefault(words, []).append(gateway["name"])
    return [(words, "" if len(said) == 1 else ", ".join(names)) for words, names in said.items()]
