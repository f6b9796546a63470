"""Our requests at the sandbox's gateways, which were written apart from ours, from the same pages."""

from __future__ import annotations

import json
from collections.abc import Callable

from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Voices
from jobs.request.generation import Generation
from sandbox.fields import Invalid
from sandbox.gateway import Refused
from sandbox.gateways import GATEWAYS
from sandbox.tasks import Order

INPUT_S = 5  # what the sandbox takes a video to last that is edited whole


def order_of(request: Request, provider: Provider) -> Order | str:
    """What the sandbox's gateway makes of a request; a text says why it refuses it, at once or after accepting it."""
    body = json.loads(json.dumps(request.body))
    try:
        order = GATEWAYS[provider.name].submits[request.path](body, True)
    except (Invalid, Refused) as refused:
        return str(refused) or type(refused).__name__
    return f"accepted, then {order.failure.code}: {order.failure.message}" if order.failure else order


def unlike(spec: Generation, order: Order, provider: Provider) -> list[str]:
    """What the order has otherwise than was asked. Not shown in an order: rewriting, watermark, sound, shot type."""
    told = {
        "mode": (spec.mode.value, order.mode),
        "model": (provider.abilities[spec.kind].model, order.model),
        "prompt": (spec.prompt or "", order.prompt),
        "negative_prompt": (spec.negative_prompt, order.negative_prompt),
        "resolution": (spec.resolution, order.resolution),
        "ratio": (spec.ratio or order.ratio, order.ratio),
        "duration": (spec.duration or INPUT_S, order.duration),
        "seed": (spec.seed, order.seed),
        "media": (_files(spec), _by_kind(order)),
        "voices": (_voices(spec, provider), _SPEAKING[provider.abilities[spec.kind].voices](order)),
    }
    return [name for name, (asked, made) in told.items() if asked != made]


def _files(spec: Generation) -> dict[str, list[str]]:
    """The files asked for, each kind in the order given; of voices alone, not whose they are."""
    found: dict[str, list[str]] = {}
    for item in spec.media:
        if item.type != "reference_voice":
            found.setdefault(item.type, []).append(item.url)
    voices = [item.reference_voice for item in spec.media if item.reference_voice] + spec.urls("reference_voice")
    return found | ({"reference_voice": sorted(voices)} if voices else {})


def _by_kind(order: Order) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, url in order.media:
        found.setdefault(kind, []).append(url)
    if "reference_voice" in found:
        found["reference_voice"].sort()
    return found


def _voices(spec: Generation, provider: Provider) -> dict[str, str] | list[str]:
    """Whose voice is whose, as asked; where only the main character can speak, a voice of its own is that one's."""
    spoken = {item.url: item.reference_voice for item in spec.references if item.reference_voice}
    if provider.abilities[spec.kind].voices is not Voices.ONE:
        return spoken
    return [*spoken.values(), *spec.urls("reference_voice")][:1]


def _main(order: Order) -> list[str]:
    return [url for kind, url in order.media if kind == "reference_voice"]


def _by_position(order: Order) -> dict[str, str]:
    """The first voice speaks for the first reference, and so on."""
    references = [url for kind, url in order.media if kind in ("reference_image", "reference_video")]
    voices = [url for kind, url in order.media if kind == "reference_voice"]
    return dict(zip(references, voices, strict=False))


def _behind_each(order: Order) -> dict[str, str]:
    """A voice stands behind the reference that speaks with it."""
    follows = zip(order.media, order.media[1:], strict=False)
    return {url: voice for (_, url), (kind, voice) in follows if kind == "reference_voice"}


_SPEAKING: dict[Voices, Callable[[Order], dict[str, str] | list[str]]] = {
    Voices.NONE: lambda order: {},
    Voices.ONE: _main,
    Voices.IN_ORDER: _by_position,
    Voices.EACH: _behind_each,
}
