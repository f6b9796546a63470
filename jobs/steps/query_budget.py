"""How fast a gateway's key may be asked: a budget of queries, which gives a job a slot instead of a refusal.

Kept in Valkey so that all workers share them; with Valkey away each process keeps its own, and nothing blocks.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.providers.client import Account

SILENCE_S = 5  # after a failure Valkey is left alone for this long
LONGEST_WAIT_S = 60
# Of the budget, this is given out ahead, and is open to routine polls at once. The rest is for news, fresh links and
# unconfirmed submits, and for who comes late for a slot: most do, by up to a look of the sweep.
ROUTINE_SHARE = 0.75
LATE_S = 5  # who is later than this is no longer waited for by others
KEPT_S = 60  # and who is later than this has lost the slot

log = structlog.get_logger()

# Two lines, one for urgent queries and one for routine ones, hold the slots that are given out: job -> time. Whoever
# may not ask yet is put behind the last one, and keeps that slot until it has asked. A list has the times of the latest
# queries: whoever comes when, within any span there are no more than `most`. Microseconds of Valkey's own clock.
_SLOT = """
local urgent_line, routine_line, asked = KEYS[1], KEYS[2], KEYS[3]
local job, urgent = ARGV[1], ARGV[2] == '1'
local most, span, routine_most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local distance, spare_distance = tonumber(ARGV[6]), tonumber(ARGV[7])
local late, kept = tonumber(ARGV[8]), tonumber(ARGV[9])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

redis.call('ZREMRANGEBYSCORE', urgent_line, '-inf', now - kept)
redis.call('ZREMRANGEBYSCORE', routine_line, '-inf', now - kept)
local latest = redis.call('LINDEX', asked, 0)
if latest and tonumber(latest) > now then -- the clock was set back
    redis.call('DEL', asked)
end
if urgent then
    redis.call('ZREM', routine_line, job)
else
    urgent = redis.call('ZSCORE', urgent_line, job) ~= false
end
local line = urgent and urgent_line or routine_line
local slot = tonumber(redis.call('ZSCORE', line, job))
local due = slot and slot <= now

-- Who comes for a slot leaves room for the urgent ones that are expected, and who has none for everybody before it.
local function expected(of_line)
    return redis.call('ZCOUNT', of_line, now - late, now + span)
end
local room = most
if not (urgent and due) then
    room = room - expected(urgent_line)
end
if not (urgent or due) then
    room = math.min(room, routine_most) - expected(routine_line)
end
local opens = now + span
if room > 0 then
    local filled = redis.call('LINDEX', asked, room - 1)
    opens = filled and filled + span or now
end

if opens <= now then
    redis.call('ZREM', line, job)
    redis.call('LPUSH', asked, now)
    redis.call('LTRIM', asked, 0, most - 1)
    redis.call('PEXPIRE', asked, math.ceil(span / 1000))
    return 0
elseif due then -- it keeps its slot, and comes again in the order of slots, as fast as those to come leave room
    local before = redis.call('ZRANK', line, job)
    if not urgent then
        before = before + redis.call('ZCARD', urgent_line)
    end
    local to_come = redis.call('ZCOUNT', line, now, '+inf')
    return opens - now + before * (to_come > 0 and spare_distance or math.ceil(span / most))
elseif not slot then
    local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
    slot = math.max(opens, last and last + distance or 0)
    redis.call('ZADD', line, slot, job)
    redis.call('PEXPIRE', line, math.ceil((slot - now + kept) / 1000))
end
return slot - now
"""


@dataclass(frozen=True)
class _Pace:
    """A budget in whole queries: at most `most` within any `span_s`. 0.5 a second is 1 in 2, 2.5 are 2 in 0.8."""

    per_s: float

    @property
    def most(self) -> int:
        return max(1, math.floor(self.per_s))

    @property
    def span_s(self) -> float:
        return self.most / self.per_s

    @property
    def routine_most(self) -> int:
        return max(1, math.floor(self.most * ROUTINE_SHARE))


class QueryBudget:
    """Budgets of queries per gateway key. One per process, safe for threads."""

    def __init__(
        self,
        redis_url: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ):
        # The client's default is to send a command again after a lost answer; that would count twice.
        valkey = redis.Redis.from_url(
            redis_url, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
        )
        self._slot = valkey.register_script(_SLOT)
        self._silent_until = 0.0
        self._own: defaultdict[str, deque[float]] = defaultdict(deque)  # when this process asked, by key
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._chance = chance

    def slot(self, account: Account, per_s: float, job_id: str, *, urgent: bool, only: str = "") -> float:
        """Seconds until this job may ask with this key, a minute at most. 0: it asks now, and is counted.

        `only`: what is asked has a budget of its own, beside the key's.

        Who is told to wait has a slot, and asks for it here once the time has come. Urgent ones see only the urgent
        ones before them. Each query of a round counts.
        """
        name, pace = f"{account.provider}:{account.fingerprint}{only and f':{only}'}", _Pace(per_s)
        wait = self._shared_wait(name, pace, job_id, urgent=urgent)
        if wait is None:
            wait = self._own_wait(name, pace, urgent=urgent)
        if wait > LONGEST_WAIT_S:  # it keeps its place; those who stand so far back must not come all at once
            return LONGEST_WAIT_S * (1 - self._chance() / 4)
        return wait

    def _shared_wait(self, name: str, pace: _Pace, job_id: str, *, urgent: bool) -> float | None:
        """None while Valkey is away."""
        if self._monotonic() < self._silent_until:
            return None
        keys = [f"rushes:query-budget:{{{name}}}:{what}" for what in ("urgent", "routine", "asked")]
        distances = (1 / (pace.per_s * share) for share in (ROUTINE_SHARE, 1 - ROUTINE_SHARE))
        span, *times = (math.ceil(s * 1e6) for s in (pace.span_s, *distances, LATE_S, KEPT_S))
        try:
            return int(self._slot(keys, [job_id, int(urgent), pace.most, span, pace.routine_most, *times])) / 1e6
        except (redis.RedisError, OSError) as e:
            self._silent_until = self._monotonic() + SILENCE_S
            log.warning("pacing_without_valkey", error=type(e).__name__)
            return None

    def _own_wait(self, name: str, pace: _Pace, *, urgent: bool) -> float:
        """Out of this process's own budget, which gives no slots: who finds it used up comes again within a span."""
        most = pace.most if urgent else pace.routine_most
        with self._lock:
            now, asked = self._monotonic(), self._own[name]
            while asked and asked[0] <= now - pace.span_s:
                asked.popleft()
            if len(asked) < most:
                asked.append(now)
                return 0
            return asked[-most] + pace.span_s - now + self._chance() * pace.span_s
