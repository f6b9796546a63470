"""How fast a gateway's key may be used: pauses it asked for, and a budget of queries.

Kept in Valkey so that all workers share them; with Valkey away each process keeps its own, and nothing blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import redis
import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.providers.client import Account

Lane = Literal["submit", "query"]
LONGEST_PAUSE_S = 900
SILENCE_S = 5  # after a failure Valkey is left alone for this long
ROUTINE_SHARE = 0.75  # of the budget; news, fresh links and unconfirmed submits may use all of it

log = structlog.get_logger()


class Pacing:
    """Pauses and budgets per gateway key."""

    def __init__(self, redis_url: str, *, monotonic: Callable[[], float] = time.monotonic):
        # The client's default is to send a command again after a lost answer; that would count twice.
        options: dict[str, Any] = {
            "socket_timeout": 0.25,
            "socket_connect_timeout": 0.25,
            "retry": Retry(NoBackoff(), 0),
        }
        self._redis = redis.Redis.from_url(redis_url, **options)
        self._shared = FixedWindowRateLimiter(RedisStorage(redis_url, key_prefix="rushes", **options))
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._pauses: dict[str, float] = {}
        self._silent_until = 0.0
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def pause(self, account: Account, lane: Lane, seconds: float) -> None:
        """Leave this key alone for a while (15 minutes at most at a time)."""
        seconds = min(seconds, LONGEST_PAUSE_S)
        name = _name(account, lane)
        with self._lock:
            self._pauses[name] = self._monotonic() + seconds
        self._ask(lambda: self._redis.set(f"rushes:pause:{name}", "1", px=max(1, int(seconds * 1000))))

    def paused_s(self, account: Account, lane: Lane) -> float:
        """Seconds for which this key is still to be left alone; 0 when it may be used."""
        name = _name(account, lane)
        left = self._ask(lambda: self._redis.pttl(f"rushes:pause:{name}"))
        shared = max(0, int(left)) / 1000 if left is not None else 0.0
        with self._lock:
            own = self._pauses.get(name, 0.0) - self._monotonic()
        return max(shared, own, 0.0)

    def take_query(self, account: Account, per_s: float, *, urgent: bool) -> bool:
        """One query out of the key's budget; False when it is used up for now."""
        name = _name(account, "query")
        whole, routine = _budget(per_s), _budget(per_s * ROUTINE_SHARE)
        if not urgent and not self._hit(routine, f"{name}:routine"):
            return False
        return self._hit(whole, name)

    def _hit(self, item: RateLimitItem, name: str) -> bool:
        answer = self._ask(lambda: self._shared.hit(item, name))
        return self._own.hit(item, name) if answer is None else bool(answer)

    def _ask(self, command: Callable[[], object]) -> int | None:
        """The command's answer as a number; None while Valkey is away."""
        if self._monotonic() < self._silent_until:
            return None
        try:
            answer = command()
        except (redis.RedisError, OSError) as e:
            self._silent_until = self._monotonic() + SILENCE_S
            log.warning("pacing_without_valkey", error=type(e).__name__)
            return None
        return int(answer) if isinstance(answer, int) else 1


def _budget(per_s: float) -> RateLimitItem:
    """Whole requests in whole seconds: 0.5 a second is 1 in 2."""
    return RateLimitItemPerSecond(int(per_s)) if per_s >= 1 else RateLimitItemPerSecond(1, round(1 / per_s))


def _name(account: Account, lane: Lane) -> str:
    return f"{account.provider}:{account.fingerprint}:{lane}"
