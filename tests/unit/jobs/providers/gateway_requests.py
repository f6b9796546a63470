"""Requests in our own words, as clients send them: what every test of asking a gateway starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.request.generation import Generation, Kind, Mode
from jobs.request.schema import load_request


def item(kind: str, name: str, voice: str | None = None) -> dict[str, str]:
    """One file that goes in, at https://h/<name>; a voice inside it likewise."""
    given = {"type": kind, "url": f"https://h/{name}"}
    return given | {"reference_voice": f"https://h/{voice}"} if voice else given


def items(kind: str, count: int, start: int = 1) -> list[dict[str, str]]:
    """So many files of a kind, at https://h/<kind>1 and on."""
    return [item(kind, f"{kind}{number}") for number in range(start, start + count)]


def asked(mode: Mode, *media: dict[str, str], **fields: Any) -> Generation:
    """What load_request makes of such a body; its prompt is "p" where nothing else is said."""
    return load_request({"mode": mode.value, "prompt": "p", "media": list(media), **fields}).generation


def text(*media: dict[str, str], **fields: Any) -> Generation:
    return asked(Mode.TEXT, *media, **fields)


def image(*media: dict[str, str], **fields: Any) -> Generation:
    return asked(Mode.IMAGE, *media, **fields)


def reference(*media: dict[str, str], **fields: Any) -> Generation:
    return asked(Mode.REFERENCE, *media, **fields)


def edit(*media: dict[str, str], **fields: Any) -> Generation:
    return asked(Mode.EDIT, *media, **fields)


FRAME, LAST = item("first_frame", "first.png"), item("last_frame", "last.png")
CLIP, AUDIO = item("first_clip", "clip.mp4"), item("driving_audio", "a.mp3")
VIDEO = item("video", "v.mp4")
GIRL, BOY = item("reference_image", "girl.png"), item("reference_image", "boy.png")
DANCE, WALK = item("reference_video", "dance.mp4"), item("reference_video", "walk.mp4")
VOICE = item("reference_voice", "voice.mp3")
SPEAKING_GIRL = item("reference_image", "girl.png", "girl.mp3")
SPEAKING_BOY = item("reference_image", "boy.png", "boy.mp3")
SPEAKING_DANCE = item("reference_video", "dance.mp4", "dance.mp3")
LEAD = {Mode.TEXT: (), Mode.IMAGE: (FRAME,), Mode.REFERENCE: (GIRL,), Mode.EDIT: (VIDEO,)}
"""The least media that a mode can do with, everywhere."""


def plain(mode: Mode, **fields: Any) -> Generation:
    """The least that can be asked in a mode."""
    return asked(mode, *LEAD[mode], **fields)


def least(kind: Kind, **fields: Any) -> Generation:
    """The least that can be asked of a model in a mode."""
    model, mode = kind
    return replace(plain(mode, **fields), model=model)
