"""A request as people and programs see it again: as it was taken, defaults filled in. Pure.

It is a body that asks for the same video. What signs an input's link opens a door, so that it is shown only to those
who may order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jobs.request.fields import FIELDS
from jobs.request.generation import Mode
from jobs.request.schema import natural, unsaid

LINKS = ("url", "reference_voice")  # of a media item


def as_taken(body: Mapping[str, Any], *, notify_url: str | None) -> dict[str, Any]:
    """Every field of the request. `notify_url`: who is told in truth, which may be the API key's own.

    The body is one that was taken, by whatever version. Raises ValueError, KeyError, TypeError, AttributeError
    for another.
    """
    # A member that is null was left out: MediaSchema takes both.
    media = [{name: value for name, value in item.items() if value is not None} for item in body.get("media", ())]
    if not all(isinstance(value, str) for item in media for value in item.values()):
        raise TypeError("media that no version has taken")
    mode = Mode(body.get("mode", Mode.TEXT))
    video = {field.name: body.get(field.name, unsaid(field.name)) for field in FIELDS}
    found = natural(mode, [item["type"] for item in media])
    video |= {name: value for name, value in found.items() if video[name] is None}
    return {
        "mode": mode.value,
        **video,
        "media": media,
        "provider": body.get("provider", "auto"),
        "notify_url": notify_url,
        "metadata": dict(body.get("metadata", {})),
        "batch": body.get("batch"),
        "on_unconfirmed": body.get("on_unconfirmed", "wait"),
        "start_within_s": body.get("start_within_s"),
    }


def masked(taken: Mapping[str, Any]) -> dict[str, Any]:
    """The same for everybody: links without what is behind their question mark, which may be a signature.

    Of the address of notices the host alone is shown: in those of chats the path is the secret.
    """
    media = [
        {name: masked_link(value) if name in LINKS else value for name, value in item.items()}
        for item in taken["media"]
    ]
    return {**taken, "media": media, "notify_url": host_alone(taken["notify_url"])}


def host_alone(url: str | None) -> str | None:
    """Of the address of notices what may be shown."""
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def masked_link(link: str) -> str:
    """A link without what is behind its question mark."""
    place, mark, _ = link.partition("#")[0].partition("?")
    return f"{place}?…" if mark else place
