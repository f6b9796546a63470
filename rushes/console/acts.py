"""What a form comes to: a request to the API, and the page after it, which tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, redirect, request

from rushes.console.door import Door, safe
from rushes.console.service import Refused, Reply


def attempt(ask: Callable[[], Reply], said: Callable[[Reply], str]) -> tuple[dict[str, Any], Reply | None]:
    """Ask, and what to tell of it. None: it was refused."""
    try:
        reply = ask()
    except Refused as refusal:
        return {"tone": "bad", "text": refusal.title, "more": _words(refusal)}, None
    return {"tone": "good", "text": said(reply)}, reply


def tell(door: Door, told: dict[str, Any], place: str) -> Response:
    """To the page that the form names as the one that it stood on, else to this one."""
    return door.say(redirect(safe(request.form.get("back", ""), place), 303), told)


def done(door: Door, ask: Callable[[], Reply], said: Callable[[Reply], str], place: str) -> Response:
    """Do it, and show what came of it."""
    return tell(door, attempt(ask, said)[0], place)


def _words(refusal: Refused) -> str:
    """Why, with each field that was wrong."""
    fields = [f"{name}: {' '.join(said)}" for name, said in refusal.errors.items()]
    return " ".join([refusal.detail, *fields]).strip()
