"""Stretches in which gateways are ill: from when to when, which of them, and what becomes of requests meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sim_fate import ILLNESSES, Fate

BEGIN_WITHIN_S = 7_200  # by then the last orders come in
LENGTHS_S = ((60, 600), (600, 3_600), (3_600, 14_400))  # minutes to hours
AT_ALL = 0.25  # of the illnesses befall every gateway at once, as a network or a provider of theirs does


class Outage(NamedTuple):
    provider: str
    illness: str
    begins: float
    ends: float


class Outages:
    """All of one run, drawn before it begins."""

    def __init__(self, fate: Fate, providers: Sequence[str]) -> None:
        self._fate = fate
        self._all = [
            each for name in providers for illness in ILLNESSES for each in self._drawn(illness, name, providers)
        ]

    def illness(self, provider: str, now: float) -> str | None:
        """What ails a gateway now. Once fate is calm nobody is ill."""
        if self._fate.calm:
            return None
        found = (o.illness for o in self._all if o.provider == provider and o.begins <= now < o.ends)
        return next(found, None)

    def _drawn(self, illness: str, provider: str, providers: Collection[str]) -> list[Outage]:
        fate = self._fate
        if not fate.strikes(illness):
            return []
        begins = fate.between(0, BEGIN_WITHIN_S)
        ends = begins + fate.between(*fate.one_of(LENGTHS_S))
        befallen = providers if fate.chance(AT_ALL) else (provider,)
        return [Outage(name, illness, begins, ends) for name in befallen]
