"""One service and one key: asks, and asks again where that is safe. Knows nothing of jobs."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from rushes_client.errors import RushesError, Unavailable, refusal

__version__ = "0.1.0"
CONNECT_S = 5.0
POOL = 32  # connections that are kept open for the threads that share a client
AGAIN = frozenset({None, 429, 502, 503, 504})  # None: no answer came
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0

log = logging.getLogger("rushes_client")


class Connection:
    """May be shared by threads. `pause`, `monotonic` and `draw` (a number from 0 to 1) are time and chance.

    `timeout_s` is how long an answer may stay silent, `patience_s` how long a call goes on asking in all.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float,
        patience_s: float,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if not _is_address(url):
            raise ValueError(f"{url!r} is not the address of a service; send one like https://rushes.example.com.")
        if not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("The API key holds characters that no key has; a line break at its end?")
        self.url = url.rstrip("/")
        self.timeout_s, self.patience_s = timeout_s, patience_s
        self.pause, self.monotonic = pause, monotonic
        self._bearer, self._draw = _Bearer(api_key), draw
        self._session, self._process = _session(), os.getpid()

    def ask(
        self, method: str, path: str, *, held_s: float = 0, patience_s: float | None = None, **what: Any
    ) -> requests.Response:
        """An answer below 400; after a lost one, a 429, 502, 503 or 504 it is asked for again, until patience is over.

        Only for what may be done twice. `held_s` is how long the service was asked to hold the answer back. Raises
        RushesError.
        """
        end = self.monotonic() + (self.patience_s if patience_s is None else patience_s)
        tries = 0
        while True:
            try:
                return self.ask_once(method, path, held_s=held_s, **what)
            except Unavailable as error:
                pause_s = self.backoff_s(tries, error.retry_after_s)
                if error.status not in AGAIN or self.monotonic() + pause_s > end:
                    raise
                log.warning("%s Asking again in %.1f s.", error.detail, pause_s)
            tries += 1
            self.pause(pause_s)

    def ask_once(self, method: str, path: str, *, held_s: float = 0, **what: Any) -> requests.Response:
        """The same, without a second try."""
        timeout = (CONNECT_S, self.timeout_s + held_s)
        try:
            # Redirects are not followed: the key is for this address, not for whatever it names.
            answer = self._own_session().request(
                method, self.url + path, auth=self._bearer, timeout=timeout, allow_redirects=False, **what
            )
        except requests.RequestException as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):  # it will not get better by asking again
                detail = f"The certificate of {self.url} is not one to trust here; REQUESTS_CA_BUNDLE names your own."
                raise RushesError(detail) from error
            reason = f"{self.url} does not answer ({type(error).__name__})."
            raise Unavailable(f"{reason} Is this the address of the service, and does it run?") from error
        if answer.status_code < 400:
            return answer
        problem = _json(answer)
        raise refusal(
            answer.status_code,
            problem if isinstance(problem, dict) else {},
            request_id=answer.headers.get("X-Request-Id"),
            retry_after_s=retry_after_s(answer),
        )

    def backoff_s(self, tries: int, retry_after_s: float | None = None) -> float:
        """The pause after so many tries: longer each time, and spread, so that many clients do not come at once."""
        own_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries, 10)) * (0.5 + self._draw() / 2)
        return max(own_s, (retry_after_s or 0) * (1 + self._draw() / 10))

    def close(self) -> None:
        """Close every connection that is idle. A session alone lets go of them, and they stay open for as long as
        somebody keeps an answer, as an error's traceback does.
        """
        for adapter in self._session.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                pools = adapter.poolmanager.pools
                for key in pools.keys():  # noqa: SIM118 - it is no dict, and cannot be iterated
                    if pool := pools.get(key):
                        pool.close()
        self._session.close()

    def _own_session(self) -> requests.Session:
        # A forked process shares its parent's sockets: each would read answers that are the other's.
        if self._process != os.getpid():
            self._session, self._process = _session(), os.getpid()
        return self._session


def body_of(answer: requests.Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises Unavailable for an answer that Rushes does not give."""
    told = _json(answer) if answer.status_code < 300 else None
    if isinstance(told, dict):
        return told
    detail = f"{answer.url} answers, but not as Rushes does; check the address"
    if "Location" in answer.headers:
        detail += f" (it points to {answer.headers['Location']})"
    raise Unavailable(f"{detail}.", status=answer.status_code)


def retry_after_s(answer: requests.Response) -> float | None:
    """The seconds of Retry-After; None without them."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(requests.Request("GET", url).prepare().url or "")
    except ValueError:  # requests' own errors about an address are such
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _json(answer: requests.Response) -> Any:
    """None if it is not JSON."""
    try:
        return answer.json()
    except requests.JSONDecodeError:
        return None


class _Bearer(requests.auth.AuthBase):
    """The key, as an auth of its own: a header alone would give way to what a netrc says of the host."""

    def __init__(self, api_key: str) -> None:
        self._header = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


def _session() -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": f"rushes-client/{__version__}", "Accept": "application/json"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the one part of a session that threads change
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
    return session
