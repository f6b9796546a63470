"""What a video is expected to cost. Pure; a gateway's price list is its capability table's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from jobs.providers.base import Provider
from jobs.request.generation import DEFAULT_MODEL, RESOLUTIONS, Generation, Kind, Mode

# Nobody has measured the input yet. Pages that say how long the input of an edit may be say 10 s, or 15 s at most.
LONGEST_INPUT_S = 15
INPUTS = ("video", "reference_video", "first_clip")


@dataclass(frozen=True)
class Estimate:
    """Seconds that are billed, in the gateway's credits and in US dollars; None where no price or rate is known.

    `exact` False: it rests on the length of an input that is not known yet, and is the most that it can come to.
    """

    seconds: float
    credits: float | None
    usd: float | None
    exact: bool


def estimate(spec: Generation, provider: Provider) -> Estimate:
    """What the gateway is expected to charge for a video that fits it."""
    ability = provider.abilities[spec.kind]
    seconds, exact = float(spec.duration), spec.duration > 0
    if not spec.duration:
        seconds = LONGEST_INPUT_S
    inputs = sum(item.type in INPUTS for item in spec.media) if ability.input_is_billed else 0
    seconds += inputs * LONGEST_INPUT_S
    per_s = ability.credits_per_s.get(spec.resolution)
    credits = None if per_s is None else round(per_s * seconds, 6)
    usd_per_s = provider.usd_per_s.get((spec.kind, spec.resolution))
    if usd_per_s is not None:
        usd: float | None = round(usd_per_s * seconds, 6)
    else:
        usd = provider.in_usd(credits)
    return Estimate(seconds, credits, usd, exact and not inputs)


def price_list(provider: Provider, kind: Kind) -> dict[str, Estimate]:
    """What a second without media is expected to cost, by resolution."""
    sizes = provider.abilities[kind].resolutions
    return {resolution: _without_media(provider, kind, resolution, 1) for resolution in sizes}


def cheapest_usd(provider: Provider) -> float | None:
    """The least that an order at this gateway can cost; None where no price is known."""
    found = [
        _without_media(provider, kind, resolution, ability.duration.least if ability.duration else 0).usd
        for kind, ability in provider.abilities.items()
        for resolution in ability.resolutions
    ]
    return min((usd for usd in found if usd is not None), default=None)


def operator_prices(named: Mapping[str, float], provider: Provider) -> dict[tuple[Kind, str], float]:
    """An operator's prices of a second, as it names them; "image-to-video/1080p" is stronger than "1080p"."""
    found = {}
    for kind, resolution in product(_kinds(provider), RESOLUTIONS):
        of_mode, of_model = _names(kind, resolution)
        price = named.get(of_mode, named.get(of_model))
        if price is not None:
            found[kind, resolution] = price
    return found


def price_names(provider: Provider) -> set[str]:
    """The names that an operator can give a price under."""
    return {name for each in product(_kinds(provider), RESOLUTIONS) for name in _names(*each)}


def _names(kind: Kind, resolution: str) -> tuple[str, str]:
    """What the price of a second is called, for this mode and for every mode. Only other models are named in it."""
    model, mode = kind
    prefix = "" if model == DEFAULT_MODEL else f"{model}/"
    return f"{prefix}{mode}/{resolution}", f"{prefix}{resolution}"


def _kinds(provider: Provider) -> list[Kind]:
    """What can be priced: every mode of the default model, served here or not, and what else is sold."""
    return [*((DEFAULT_MODEL, mode) for mode in Mode), *provider.abilities]


def _without_media(provider: Provider, kind: Kind, resolution: str, seconds: int) -> Estimate:
    model, mode = kind
    return estimate(Generation(mode, None, resolution=resolution, duration=seconds, model=model), provider)
