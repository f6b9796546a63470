"""Does a request fit a gateway? Either the exact request to send, or every reason why not. Pure, and driven by tables.

What a client asked for and a gateway cannot express is a reason. What it did not ask for is none: a default that the
gateway has by nature may stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Ability, MediaSet, Misfit, Text, Voices, Why
from jobs.request.fields import CHOICES, NUMBERS, TEXTS
from jobs.request.generation import Generation


def fit(spec: Generation, provider: Provider, callback_url: str | None = None) -> Request | list[Misfit]:
    """The request that makes this video at this gateway; or, if it cannot, every reason."""
    return misfits(spec, provider) or provider.request_for(spec, callback_url)


def misfits(spec: Generation, provider: Provider) -> list[Misfit]:
    """Every reason why this gateway cannot make the video; empty when it can."""
    ability = provider.abilities.get(spec.kind)
    if ability is None:
        return [_not_sold(spec, provider)]
    return [
        *_texts(spec, ability),
        *_media(spec, ability, provider),
        *_voices(spec, ability),
        *_duration(spec, ability),
        *_numbers(spec, ability),
        *_choices(spec, ability),
    ]


def _not_sold(spec: Generation, provider: Provider) -> Misfit:
    modes = provider.modes(spec.model)
    if not modes:
        return Misfit("model", spec.model, ", ".join(provider.models), Why.NO_FIELD)
    return Misfit("mode", spec.mode.value, ", ".join(sorted(modes)), Why.NO_FIELD)


def _texts(spec: Generation, ability: Ability) -> Iterator[Misfit]:
    for field in TEXTS:
        given: str | None = field.of(spec)
        rule: Text = ability.offer(field)
        if given is None:
            if rule.required:
                yield Misfit(field.name, None, "a text", Why.LIMIT)
        elif (length := rule.length_of(given)) > rule.longest:
            unit = "UTF-16 code units" if rule.utf16 else "characters"
            yield Misfit(field.name, f"{length} {unit}", f"at most {rule.longest} {unit}", rule.beyond)


def _media(spec: Generation, ability: Ability, provider: Provider) -> Iterator[Misfit]:
    given = {item.type for item in spec.media} - {"reference_voice"}
    if not any(_holds(given, each) for each in ability.media if provider.offers(each)):
        yield _strange_set(given, ability, provider)
    for count in ability.counts:
        found = sum(item.type in count.types for item in spec.media)
        if found > count.most:
            kinds = " and ".join(count.types)
            yield Misfit("media", f"{found} {kinds}", f"at most {count.most} {kinds}", count.beyond)


def _holds(given: set[str], each: MediaSet) -> bool:
    return set(each.needs) <= given <= each.types


def _strange_set(given: set[str], ability: Ability, provider: Provider) -> Misfit:
    asked = ", ".join(sorted(given)) or "none"
    offered = [each for each in ability.media if provider.offers(each)]
    allowed = "; or ".join(_in_words(each) for each in offered)
    switch = next((each.undocumented for each in ability.media if _holds(given, each)), None)
    if switch:
        variable = f"RUSHES_{provider.name.upper()}_UNDOCUMENTED"
        return Misfit(
            "media", asked, f"{allowed} (the operator can turn it on: {switch} in {variable})", Why.UNDOCUMENTED
        )
    known = frozenset().union(*(each.types for each in offered))
    return Misfit("media", asked, allowed, Why.LIMIT if given <= known else Why.NO_FIELD)


def _in_words(each: MediaSet) -> str:
    words = " with ".join(each.needs) or "none"
    return f"{words}, optionally {', '.join(each.may)}" if each.may else words


def _voices(spec: Generation, ability: Ability) -> Iterator[Misfit]:
    """Whose voice is whose must be sayable: nothing is guessed, and no voice is dropped."""
    alone = spec.urls("reference_voice")
    spoken = [item.reference_voice is not None for item in spec.references]
    voices = sum(item.reference_voice is not None for item in spec.media) + len(alone)
    if not voices:
        return
    resolved = sum(spoken)  # a lone voice beside a lone reference is that reference's
    if ability.voices is Voices.NONE:
        yield Misfit("media", f"{voices} reference_voice", "no voices", Why.NO_FIELD)
    elif ability.voices is Voices.ONE:
        if voices > 1 or (resolved and len(spoken) > 1):
            allowed = "one, the main character's, as an item of its own"
            yield Misfit("media", f"{voices} reference_voice", allowed, Why.NO_FIELD)
    elif resolved != voices:
        yield Misfit("media", "reference_voice", "inside the reference whose voice it is", Why.NO_FIELD)
    elif ability.voices is Voices.IN_ORDER:
        kinds = {item.type for item in spec.references}
        if len(kinds) > 1 or spoken != sorted(spoken, reverse=True):
            allowed = "voices of the first references, all of them images or all of them videos"
            yield Misfit("media", f"{voices} reference_voice", allowed, Why.NO_FIELD)


def _duration(spec: Generation, ability: Ability) -> Iterator[Misfit]:
    given, rule = spec.duration, ability.duration
    if rule is None:
        if given:
            yield Misfit("duration", given, "0, the length of the input", Why.NO_FIELD)
        return
    if given == 0 and rule.whole_input:
        return
    kinds = {item.type for item in spec.media}
    narrower = [(most, kind) for kind, most in rule.most_with.items() if kind in kinds]
    most, kind = min(narrower, default=(rule.most, ""))
    if not rule.least <= given <= most:
        allowed = f"{rule.least} to {most} seconds" + (f" with a {kind}" if kind else "")
        yield Misfit("duration", given, f"0 or {allowed}" if rule.whole_input else allowed, Why.LIMIT)


def _numbers(spec: Generation, ability: Ability) -> Iterator[Misfit]:
    for field in NUMBERS:
        given, (least, most) = field.of(spec), ability.offer(field)
        if given is not None and not least <= given <= most:
            yield Misfit(field.name, given, f"{least} to {most}", Why.LIMIT)


def _choices(spec: Generation, ability: Ability) -> Iterator[Misfit]:
    for field in CHOICES:
        given, allowed = field.of(spec), ability.offer(field)
        if given not in (None, field.natural, *allowed):
            yield Misfit(field.name, given, ", ".join(map(_word, allowed)) or "nothing; leave it out", Why.NO_FIELD)


def _word(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
