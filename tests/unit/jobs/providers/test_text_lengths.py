"""How long a text may be, to the character: code points at most gateways, UTF-16 code units at Apiframe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gateway_requests import plain
from sandbox_orders import order_of, unlike

from jobs.providers.base import Provider, Request
from jobs.providers.capabilities import Text, Why
from jobs.providers.fitting import fit, misfits
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import WAN_2_7, Generation, Mode
from sandbox.tasks import Order

# What looks like one character -> its code points, its UTF-16 code units.
CHARACTERS = {
    "x": (1, 1),
    "é": (1, 1),
    "e\u0301": (2, 2),
    "猫": (1, 1),
    "\uffff": (1, 1),
    "\U00010000": (1, 2),
    "𠮷": (1, 2),  # an ideograph beyond the first plane
    "🦊": (1, 2),
    "👩‍👩‍👧": (5, 8),
    "🇫🇷": (2, 4),
}


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_text_is_measured_in_the_gateways_unit(character: str) -> None:
    points, units = CHARACTERS[character]
    assert Text(10).length_of(character * 3) == 3 * points
    assert Text(10, utf16=True).length_of(character * 3) == 3 * units


def test_only_apiframe_counts_as_javascript_does() -> None:
    counting = {p.name: {a.prompt.utf16 for a in p.abilities.values()} for p in PROVIDERS.values()}
    assert counting == {name: {name == "apiframe"} for name in PROVIDERS}


def saying(mode: Mode, field: str, words: str) -> Generation:
    """A request longer than load_request would take, if need be."""
    change: dict[str, Any] = {field: words}
    return replace(plain(mode), **change)


NEGATIVE = {"aivideoapi": 500, "apiframe": 2500, "easyrouter": 500, "gravitex": 500, "evolink": 500}
LIMITS = [
    (provider, mode, field, most)
    for provider in PROVIDERS.values()
    for mode in provider.modes(WAN_2_7)
    for field, most in (("prompt", 5000), ("negative_prompt", NEGATIVE[provider.name]))
]


@pytest.mark.parametrize("character", ["x", "猫", "🦊"])
@pytest.mark.parametrize(
    ("provider", "mode", "field", "most"), LIMITS, ids=[f"{p.name}-{mode}-{field}" for p, mode, field, _ in LIMITS]
)
def test_a_text_of_the_limit_arrives_whole_and_one_more_does_not(
    provider: Provider, mode: Mode, field: str, most: int, character: str
) -> None:
    units = CHARACTERS[character][1 if provider.name == "apiframe" else 0]
    whole = saying(mode, field, character * (most // units))
    request = fit(whole, provider)
    assert isinstance(request, Request)
    order = order_of(request, provider)
    assert isinstance(order, Order)
    assert unlike(whole, order, provider) == []

    longer = saying(mode, field, character * (most // units) + "x")
    [misfit] = misfits(longer, provider)
    unit = "UTF-16 code units" if provider.name == "apiframe" else "characters"
    assert (misfit.field, misfit.given, misfit.allowed) == (field, f"{most + 1} {unit}", f"at most {most} {unit}")
    assert misfit.why is (Why.ALTERED if provider.name == "evolink" else Why.LIMIT)
    cut = order_of(provider.request_for(longer, None), provider)
    if provider.name == "evolink":
        assert isinstance(cut, Order)
        assert getattr(cut, field) == character * most
    else:
        assert isinstance(cut, str)
        assert field in cut


def test_half_an_emoji_at_the_limit_is_counted_not_cut() -> None:
    """4,999 callbacks and a fox are 5,000 characters, and 5,001 of JavaScript's."""
    spec = replace(plain(Mode.TEXT), prompt="x" * 4999 + "🦊")
    fits = [name for name, provider in PROVIDERS.items() if isinstance(fit(spec, provider), Request)]
    assert fits == ["aivideoapi", "easyrouter", "gravitex", "evolink"]
