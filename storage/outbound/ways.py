"""Which hosts this machine reaches directly, and which by the proxy of its environment alone.

We go directly: a proxy would look names up for us, so that no address could be judged, and an answer lost between it
and us could not be told from one that was never made.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from urllib.parse import unquote, urlsplit

import urllib3
from requests.utils import get_environ_proxies, select_proxy

from storage.outbound.trust import tls_context

TIMEOUT_S = 5.0
AWAY = frozenset({502, 503, 504})  # what a proxy that reads along says itself for a host that it does not reach
VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

Place = tuple[str, int]  # a host and its port, where TLS is spoken


def named_proxy(environ: Mapping[str, str] = os.environ) -> str | None:
    """The variable that names a proxy for https; None if none does."""
    return next((name for name in VARIABLES if environ.get(name, "").strip()), None)


def by_proxy_alone(places: Iterable[Place], *, timeout_s: float = TIMEOUT_S) -> list[Place]:
    """The places that the proxy reaches and this machine does not, in the order in which they came.

    One that is away, or a network that is down, is out of the proxy's reach too, and is no reason for anything.
    Takes up to twice `timeout_s`, however many they are.
    """
    wanted = list(dict.fromkeys(places))
    direct = set(_reached(wanted, _is_reached, timeout_s))
    left = [place for place in wanted if place not in direct]
    by_proxy = set(_reached(left, partial(_proxy_reaches, is_all=not direct), timeout_s))
    return [place for place in left if place in by_proxy]


def _is_reached(place: Place, timeout_s: float) -> bool:
    """A connection alone proves nothing: many firewalls take every one, and cut it once it names its host."""
    with socket.create_connection(place, timeout_s) as opened:
        tls_context().wrap_socket(opened, server_hostname=place[0]).close()
    return True


def _proxy_reaches(place: Place, timeout_s: float, *, is_all: bool) -> bool:
    """`is_all`: nothing is reached directly."""
    host, port = place
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    named = select_proxy(url, get_environ_proxies(url))
    if not named:
        return False
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https"):
        # SOCKS, which we do not speak: where there is no other way out, it is that because it answers. Whether it
        # reaches a single host, which may be away, cannot be told.
        if not is_all:
            return False
        with socket.create_connection((proxy.hostname or "", proxy.port or 1080), timeout_s):
            return True
    login = b64encode(f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()).decode()
    through = urllib3.ProxyManager(
        proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl(),
        proxy_headers={"Proxy-Authorization": f"Basic {login}"} if proxy.username else {},
        ssl_context=tls_context(),
        proxy_ssl_context=tls_context(),
    )
    try:
        with through:
            answer = through.request("HEAD", url, timeout=timeout_s, retries=False, redirect=False)
    except urllib3.exceptions.SSLError as error:
        # A proxy that reads along may sign by an authority of its own: that nobody trusts it, makes it no less the way.
        return isinstance(error.args[0], ssl.SSLCertVerificationError)
    return answer.status not in AWAY


def _reached(places: Sequence[Place], ask: Callable[[Place, float], bool], timeout_s: float) -> Iterator[Place]:
    """Those that are reached within the time, as they are. A look-up that hangs is left to itself: nothing ends it."""
    told: queue.SimpleQueue[tuple[Place, bool]] = queue.SimpleQueue()

    def run(place: Place) -> None:
        reached = False
        with contextlib.suppress(OSError, ValueError, urllib3.exceptions.HTTPError):
            reached = ask(place, timeout_s)
        told.put((place, reached))

    for place in places:
        threading.Thread(target=run, args=(place,), daemon=True).start()
    end = time.monotonic() + timeout_s
    for _ in places:
        try:
            place, reached = told.get(timeout=max(0, end - time.monotonic()))
        except queue.Empty:
            return
        if reached:
            yield place
