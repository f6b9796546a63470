"""How much one API key may ask: so many requests a minute, counted in this process.

Valkey could count for all web processes together, and would then stand on the way of every request. The counting is a
dozen lines of ours: the memory store of `limits` starts a thread for nearly every request at a hundred a second.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from flask import Flask, Response, g

WINDOW_S = 60
NAME = "key"  # of the policy, in the headers


class RateLimited(Exception):
    """The key has used up its requests; `retry_after_s` says when it has new ones."""

    def __init__(self, message: str, retry_after_s: int):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyLimits:
    """Counts requests by key, in windows that begin with a key's first request. It grows with the live keys alone."""

    def __init__(self, per_min: int, *, monotonic: Callable[[], float] = time.monotonic):
        self.per_min, self._monotonic = per_min, monotonic
        self._policy = f'"{NAME}";q={per_min};w={WINDOW_S}'
        self._windows: dict[str, tuple[float, int]] = {}  # by key: when it ends, and the requests in it
        self._counting = threading.Lock()

    def take(self, key_id: str) -> None:
        """Count one request, and keep for `install` what is left. Raises RateLimited."""
        now = self._monotonic()
        with self._counting:
            ends_at, count = self._windows.get(key_id, (now, 0))
            if ends_at <= now:
                ends_at, count = now + WINDOW_S, 0
            self._windows[key_id] = ends_at, count + 1
        left, reset_s = self.per_min - count - 1, max(math.ceil(ends_at - now), 1)
        told = f'"{NAME}";r={max(left, 0)};t={reset_s}'
        g.rate_limit = {"RateLimit-Policy": self._policy, "RateLimit": told}
        if left < 0:
            said = f"At most {self.per_min} requests a minute and key; go on in {reset_s} s."
            raise RateLimited(said, reset_s)


def install(app: Flask) -> None:
    """Tell on every keyed answer what is left (draft-ietf-httpapi-ratelimit-headers-11)."""

    @app.after_request
    def tell(answer: Response) -> Response:
        if (headers := g.get("rate_limit")) is not None:
            answer.headers.update(headers)
        return answer
