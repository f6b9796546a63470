"""Which gateways may serve a request, in which order, at what price. Pure: what hinders a gateway now is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import BadRequest
from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome
from jobs.providers.base import Provider
from jobs.providers.capabilities import Misfit, Why
from jobs.providers.fitting import misfits
from jobs.providers.prices import Estimate, estimate
from jobs.request.generation import JobRequest
from jobs.settings import Settings

# Refusals that are about the request itself: asking the same gateway again is pointless.
ABOUT_REQUEST = frozenset({"invalid_request", "content_refused"})


@dataclass(frozen=True)
class Candidate:
    """A gateway and a request: what it is expected to cost there, or every reason why it does not fit."""

    name: str
    estimate: Estimate | None
    misfits: tuple[Misfit, ...] = ()


@dataclass(frozen=True)
class Obstacle:
    """What keeps a gateway from taking an order just now, and for how long it had better not be looked at.

    `code`: see error_codes.WAITS. `may_ask`: a question that costs nothing may show that the gateway answers again.
    """

    code: str
    reason: str
    wait_s: float
    provider: str | None = None
    may_ask: bool = False


@dataclass(frozen=True)
class Choice:
    """The gateway that an order goes to, and what was held against the others. `chosen` None: the job waits."""

    chosen: Candidate | None
    obstacles: Mapping[str, Obstacle]
    candidates: tuple[Candidate, ...]

    @property
    def wait(self) -> Obstacle | None:
        """The obstacle that will go first; None when nothing is waited for."""
        return min(self.obstacles.values(), key=lambda o: o.wait_s, default=None)

    def as_json(self) -> dict[str, Any]:
        """For a job's history, and for whoever asks without buying."""
        return {
            "chosen": self.chosen.name if self.chosen else None,
            "considered": [_considered(c, self) for c in self.candidates],
        }


def candidates(
    request: JobRequest,
    providers: Mapping[str, Provider],
    configured: Collection[str],
    daily_usd: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """The configured gateways that the client would take, best first: in its own order, else the cheapest first.

    One without a known price comes last. Raises BadRequest where a name is unknown or none has a key.
    """
    unknown = [name for name in request.providers if name not in providers]
    if unknown:
        raise BadRequest({"provider": [f"Knows no {', '.join(unknown)}; choose from {', '.join(sorted(providers))}."]})
    wanted = list(request.providers) or list(providers)
    if not any(name in configured for name in wanted):
        keys = ", ".join(f"RUSHES_{name.upper()}_API_KEY" for name in wanted)
        raise BadRequest({"provider": [f"None of these has an API key here; the operator sets {keys}."]})
    budgets = daily_usd or {}
    found = [_candidate(request, providers[n], budgets.get(n)) for n in wanted if n in configured]
    return found if request.providers else sorted(found, key=_price)


def route(found: Collection[Candidate]) -> list[str]:
    """The names of those that fit, in the order given. Raises BadRequest with every reason when there is none."""
    fitting = [candidate.name for candidate in found if not candidate.misfits]
    if not fitting:
        raise BadRequest(_reasons(found))
    return fitting


def remaining(route: list[str], attempts: Collection[Attempt]) -> list[str]:
    """What is left of a route after what was tried: gateways that have not failed it yet come first."""
    refusing = {a.provider for a in attempts if a.outcome is AttemptOutcome.REFUSED and a.error_code in ABOUT_REQUEST}
    failed = {a.provider for a in attempts if a.is_without_video}
    left = [name for name in route if name not in refusing]
    return sorted(left, key=lambda name: name in failed)


def left(case: Case, providers: Mapping[str, Provider], settings: Settings) -> list[str]:
    """The gateways still open to a job, best first; none where all have lost their keys (they may get them back)."""
    try:
        found = candidates(case.job.wanted, providers, settings.accounts, settings.daily_usd)
        return remaining(route(found), case.attempts.values())
    except BadRequest:
        return []


def choose(
    found: Collection[Candidate], names: Collection[str], obstacle: Callable[[Candidate], Obstacle | None]
) -> Choice:
    """The first of `names` that nothing hinders. `obstacle` is asked for one after the other until then."""
    by_name = {candidate.name: candidate for candidate in found}
    obstacles: dict[str, Obstacle] = {}
    for name in names:
        hindered = obstacle(by_name[name])
        if hindered is None:
            return Choice(by_name[name], obstacles, tuple(found))
        obstacles[name] = hindered
    return Choice(None, obstacles, tuple(found))


def _candidate(request: JobRequest, provider: Provider, daily_usd: float | None) -> Candidate:
    spec = request.generation
    faults = misfits(spec, provider)
    if faults:
        return Candidate(provider.name, None, tuple(faults))
    price = estimate(spec, provider)
    return Candidate(provider.name, price, tuple(_beyond_budget(price, provider.name, daily_usd)))


def _beyond_budget(price: Estimate, name: str, daily_usd: float | None) -> list[Misfit]:
    if daily_usd is None:
        return []
    if price.usd is None:
        allowed = f"a known price, for its daily budget's sake: the operator sets RUSHES_{name.upper()}_USD_PER_S"
        return [Misfit("provider", name, allowed, Why.UNPRICED)]
    if price.usd > daily_usd:
        return [Misfit("duration", f"${price.usd:.2f}", f"${daily_usd:.2f} a day in all", Why.UNPRICED)]
    return []


def _price(candidate: Candidate) -> float:
    usd = candidate.estimate.usd if candidate.estimate else None
    return float("inf") if usd is None else usd


def _reasons(found: Collection[Candidate]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for candidate in found:
        for fault in candidate.misfits:
            given = "it without" if fault.given is None else repr(fault.given)
            said = f"{candidate.name} does not serve {given}; it allows {fault.allowed}."
            reasons.setdefault(fault.field, []).append(said)
    return reasons


def _considered(candidate: Candidate, choice: Choice) -> dict[str, Any]:
    hindered = choice.obstacles.get(candidate.name)
    price = candidate.estimate
    told: dict[str, Any] = {"provider": candidate.name}
    if price:
        told |= {"credits": price.credits, "usd": price.usd, "exact": price.exact, "seconds": price.seconds}
    if candidate.misfits:
        told["misfits"] = [
            {"field": m.field, "given": m.given, "allowed": m.allowed, "why": m.why.value} for m in candidate.misfits
        ]
    if hindered:
        told["obstacle"] = {"code": hindered.code, "reason": hindered.reason}
    return told
