"""How fast a gateway's key may be asked: a budget of queries.

Kept in Valkey so that all workers share them; with Valkey away each process keeps its own, and nothing blocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.providers.client import Account

SILENCE_S = 5  # after a failure Valkey is left alone for this long
ROUTINE_SHARE = 0.75  # of the budget; news, fresh links and unconfirmed submits may use all of it

log = structlog.get_logger()


class QueryBudget:
    """Budgets of queries per gateway key."""

    def __init__(self, redis_url: str, *, monotonic: Callable[[], float] = time.monotonic):
        # The client's default is to send a command again after a lost answer; that would count twice.
        options: dict[str, Any] = {
            "socket_timeout": 0.25,
            "socket_connect_timeout": 0.25,
            "retry": Retry(NoBackoff(), 0),
        }
        self._shared = FixedWindowRateLimiter(RedisStorage(redis_url, key_prefix="rushes", **options))
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._silent_until = 0.0
        self._monotonic = monotonic

    def take_query(self, account: Account, per_s: float, *, urgent: bool) -> bool:
        """One query out of the key's budget; False when it is used up for now."""
        name = f"{account.provider}:{account.fingerprint}:query"
        whole, routine = _budget(per_s), _budget(per_s * ROUTINE_SHARE)
        if not urgent and not self._hit(routine, f"{name}:routine"):
            return False
        return self._hit(whole, name)

    def _hit(self, item: RateLimitItem, name: str) -> bool:
        """One out of the shared budget; out of this process's own while Valkey is away."""
        if self._monotonic() >= self._silent_until:
            try:
                return self._shared.hit(item, name)
            except (redis.RedisError, OSError) as e:
                self._silent_until = self._monotonic() + SILENCE_S
                log.warning("pacing_without_valkey", error=type(e).__name__)
        return self._own.hit(item, name)


def _budget(per_s: float) -> RateLimitItem:
    """Whole requests in whole seconds: 0.5 a second is 1 in 2."""
    return RateLimitItemPerSecond(int(per_s)) if per_s >= 1 else RateLimitItemPerSecond(1, round(1 / per_s))
