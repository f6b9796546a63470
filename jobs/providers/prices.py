"""What a video is expected to cost. Pure; a gateway's price list is its capability table's."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.providers.base import Provider
from jobs.request.generation import Generation

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
    ability = provider.abilities[spec.mode]
    seconds, exact = float(spec.duration), spec.duration > 0
    if not spec.duration:
        seconds = LONGEST_INPUT_S
    inputs = sum(item.type in INPUTS for item in spec.media) if ability.input_is_billed else 0
    seconds += inputs * LONGEST_INPUT_S
    per_s = ability.credits_per_s.get(spec.resolution)
    credits = None if per_s is None else round(per_s * seconds, 6)
    usd_per_s = provider.usd_per_s.get((spec.mode, spec.resolution))
    if usd_per_s is not None:
        usd: float | None = round(usd_per_s * seconds, 6)
    else:
        usd = provider.in_usd(credits)
    return Estimate(seconds, credits, usd, exact and not inputs)
