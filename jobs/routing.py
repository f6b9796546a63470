"""Which gateways may serve a request, in which order. Pure: what is paused or full is the caller's knowledge."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jobs.errors import BadRequest
from jobs.generation import Generation, JobRequest
from jobs.providers.base import Misfit, Provider
from jobs.records import Attempt, AttemptOutcome

# Refusals that are about the request itself: asking the same gateway again is pointless.
ABOUT_REQUEST = frozenset({"invalid_request", "content_refused"})


def route(request: JobRequest, providers: Mapping[str, Provider], configured: Collection[str]) -> list[str]:
    """The gateways that are configured and can make the video, in the client's order, else cheapest first.

    One without a published price comes last. Raises BadRequest with every reason when there is none.
    """
    unknown = [name for name in request.providers if name not in providers]
    if unknown:
        raise BadRequest({"provider": [f"Knows no {', '.join(unknown)}; choose from {', '.join(sorted(providers))}."]})
    wanted = list(request.providers) or [name for name in providers if name in configured]
    if not any(name in configured for name in wanted):
        keys = ", ".join(f"RUSHES_{name.upper()}_API_KEY" for name in wanted or sorted(providers))
        raise BadRequest({"provider": [f"None of these has an API key here; the operator sets {keys}."]})
    misfits = {name: providers[name].fit(request.generation) for name in wanted if name in configured}
    fitting = [name for name in wanted if name in configured and not misfits[name]]
    if not fitting:
        raise BadRequest(_reasons(misfits))
    return fitting if request.providers else sorted(fitting, key=lambda n: _price(providers[n], request.generation))


def remaining(route: list[str], attempts: Collection[Attempt]) -> list[str]:
    """What is left of a route after what was tried: gateways that have not failed it yet come first."""
    refusing = {a.provider for a in attempts if a.outcome is AttemptOutcome.REFUSED and a.error_code in ABOUT_REQUEST}
    failed = {a.provider for a in attempts if a.outcome is AttemptOutcome.FAILED}
    left = [name for name in route if name not in refusing]
    return sorted(left, key=lambda name: name in failed)


def _price(provider: Provider, generation: Generation) -> float:
    price = provider.price_usd(generation)
    return float("inf") if price is None else price


def _reasons(misfits: Mapping[str, list[Misfit]]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, faults in misfits.items():
        for fault in faults:
            said = f"{name} does not serve {fault.given!r}; it allows {fault.allowed}."
            reasons.setdefault(fault.field, []).append(said)
    return reasons
