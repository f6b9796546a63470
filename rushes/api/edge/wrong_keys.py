"""How many wrong API keys one source may send: counted for all web processes together, in Valkey.

A right key is looked up like any other and never refused for wrong ones, whoever sends them from the same address.
Sources share a fixed number of places, so that no flood of addresses grows what is kept, here or in Valkey.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.environment.callers import Network
from rushes.api.edge.limits import RateLimited

MOST_A_MINUTE = 30
WINDOW_S = 60
PLACES = 4096
VALKEY_TIMEOUT_S = 0.25
SILENCE_S = 10  # after Valkey has not answered, this process counts alone
NAME = "rushes:wrong-keys:{}"

log = structlog.get_logger()


class TooManyWrongKeys(RateLimited):
    """This source has sent too many wrong keys within a minute."""


class WrongKeys:
    """Counts wrong keys by source. One per process, safe for threads."""

    def __init__(
        self,
        redis_url: str,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._valkey = redis.Redis.from_url(
            redis_url,
            socket_timeout=VALKEY_TIMEOUT_S,
            socket_connect_timeout=VALKEY_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._clock, self._monotonic = clock, monotonic
        self._silent_until = 0.0
        self._window, self._own = 0, dict[int, int]()  # by place; at most PLACES of them
        self._lock = threading.Lock()

    def note(self, source: str) -> None:
        """A wrong key came from this address. Raises TooManyWrongKeys beyond the limit."""
        window, into_s = divmod(self._clock(), WINDOW_S)
        count = self._count(int(window), _place(source))
        if count <= MOST_A_MINUTE:
            return
        if count == MOST_A_MINUTE + 1:
            log.warning("too_many_wrong_keys", source=source)
        wait_s = max(1, round(WINDOW_S - into_s))
        said = (
            f"More than {MOST_A_MINUTE} wrong keys a minute came from your address; a right one is taken at any time."
        )
        raise TooManyWrongKeys(said, wait_s)

    def close(self) -> None:
        self._valkey.close()

    def _count(self, window: int, place: int) -> int:
        with self._lock:
            if window != self._window:
                self._window, self._own = window, {}
            self._own[place] = own = self._own.get(place, 0) + 1
        if self._monotonic() < self._silent_until:
            return own
        try:
            name = NAME.format(window)
            with self._valkey.pipeline(transaction=False) as pipe:
                pipe.hincrby(name, str(place), 1)
                pipe.expire(name, 2 * WINDOW_S)
                return max(own, int(pipe.execute()[0]))
        except (redis.RedisError, OSError) as e:
            self._silent_until = self._monotonic() + SILENCE_S
            log.warning("wrong_keys_counted_alone", error=type(e).__name__)
            return own


def source_of(environ: Mapping[str, Any], trusted: Collection[Network]) -> str:
    """The address that a request came from: the connection's other end, or whom a trusted proxy names.

    A proxy adds to `X-Forwarded-For` whom it was asked by, at the end. So it is read from there, as far as those
    who are named are trusted proxies themselves; what stands before may be anybody's invention.
    """
    source = str(environ.get("REMOTE_ADDR") or "")
    said = str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")
    while said and is_trusted(source, trusted):
        named = said.pop().strip()
        if _address(named) is None:
            break
        source = named
    return source


def _place(source: str) -> int:
    """An IPv6 host has a whole /64 to itself."""
    address = _address(source)
    if isinstance(address, ipaddress.IPv6Address):
        source = str(ipaddress.ip_network((address, 64), strict=False))
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:4], "big") % PLACES


def is_trusted(source: str, networks: Collection[Network]) -> bool:
    address = _address(source)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
