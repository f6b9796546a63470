"""Reading and translating one request, and routing it over five gateways. `python benchmarks/translate_and_route.py`

Pure work: no server, no files. The requests are as large as they come: the longest prompt that every gateway takes, and
presigned URLs. Printed is the CPU time of the fastest batch, for what is slower are the machine's other cares; the exit
status is 1 when one is above its limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from figures import tell

from jobs.machine import routing
from jobs.providers.base import Provider, Request
from jobs.providers.fitting import fit
from jobs.providers.registry import PROVIDERS
from jobs.request.schema import load_request

BATCHES = 40
CALLS = 50
LIMIT_TRANSLATE_US = 200
LIMIT_ROUTE_MS = 1
CALLBACK = "https://rushes.example.com/webhooks/aivideoapi/" + "t" * 43


def media(*kinds: str) -> list[dict[str, str]]:
    """Files behind presigned URLs of some 500 characters."""
    signature = "X-Amz-Signature=" + "0123456789abcdef" * 28
    return [{"type": kind, "url": f"https://media.example.com/{n}/{kind}?{signature}"} for n, kind in enumerate(kinds)]


COMMON = {"prompt": "狐" * 2500 + "fox " * 625, "negative_prompt": "x" * 500, "resolution": "720p", "seed": 42}
REQUESTS: dict[str, dict[str, Any]] = {
    "text-to-video": {"ratio": "9:16", "duration": 8},
    "image-to-video": {"media": media("first_frame"), "duration": 8},
    "reference-to-video": {"media": media(*["reference_image"] * 5), "ratio": "9:16", "duration": 8},
    "video-edit": {"media": media("video", "reference_image")},
}


def main() -> None:
    held = []
    for mode, more in REQUESTS.items():
        body = {"mode": mode, **COMMON, **more}
        takes_us = {name: seconds(translation(body, p)) * 1e6 for name, p in PROVIDERS.items() if fits(body, p)}
        name = max(takes_us, key=lambda each: takes_us[each])
        what = f"a request read from JSON and written for a gateway: {mode}, at {name}, which takes longest"
        is_held = takes_us[name] <= LIMIT_TRANSLATE_US
        held.append(tell(what, f"{takes_us[name]:.0f} µs", f"{LIMIT_TRANSLATE_US} µs", is_held=is_held))
    for mode, more in REQUESTS.items():
        takes_ms = seconds(routed({"mode": mode, **COMMON, **more})) * 1e3
        what = f"candidates, prices and choice among {len(PROVIDERS)} gateways: {mode}"
        is_held = takes_ms <= LIMIT_ROUTE_MS
        held.append(tell(what, f"{takes_ms:.3f} ms", f"{LIMIT_ROUTE_MS} ms", is_held=is_held))
    if not all(held):
        raise SystemExit(1)


def fits(body: dict[str, Any], provider: Provider) -> bool:
    return isinstance(fit(load_request(body).generation, provider), Request)


def translation(body: dict[str, Any], provider: Provider) -> Callable[[], object]:
    url = CALLBACK if provider.callbacks else None
    return lambda: fit(load_request(body).generation, provider, url)


def routed(body: dict[str, Any]) -> Callable[[], object]:
    request = load_request(body)
    return lambda: routing.route(routing.candidates(request, PROVIDERS, PROVIDERS))


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds that a call takes."""
    batches = []
    for _ in range(BATCHES):
        begun = time.process_time()
        for _ in range(CALLS):
            call()
        batches.append(time.process_time() - begun)
    return min(batches) / CALLS


if __name__ == "__main__":
    main()
