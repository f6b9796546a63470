"""The asking, for every gateway: one HTTP exchange whose outcome is a value, never an exception.

What a submit came to is decided by one fact: was any byte of the request handed to the socket? (connection.py). The
class of an exception proves nothing: a TLS error can come after the server has read everything. Connections are
used directly, without requests.Session or a urllib3 pool: no redirects, retries, proxies, netrc or cookies to turn off.
"""

from __future__ import annotations

import errno
import hashlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from jobs import measures
from jobs.measures import status_class
from jobs.providers.answers import json_body, mask
from jobs.providers.base import Provider, Request
from jobs.providers.connection import (
    IdleConnections,
    LookUp,
    PlainConnection,
    Resolver,
    TlsConnection,
    describe,
)
from jobs.providers.encodings import text_of
from jobs.tallies import Tallies
from storage.outbound.deadline import Deadline, NoThread
from storage.outbound.trust import tls_context

__all__ = ["Account", "Answered", "Lost", "NotSent", "ProviderClient", "answer_for_history", "json_body"]

LONGEST_ANSWER_BYTES = 1 << 20
_PIECE_BYTES = 1 << 16
ONE_CONNECTION = {"Connection": "close"}  # of a submit
# What a connection fails of on a machine that has no network, no room or no address, whomever it connects to.
OWN_TROUBLES = frozenset(
    {
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)


@dataclass(frozen=True)
class Account:
    """One key at one gateway."""

    provider: str
    base_url: str
    api_key: str = field(repr=False)
    is_stand_in: bool = False  # plain http will do, and its links may lead to where it is

    @cached_property
    def fingerprint(self) -> str:
        """Names the key without telling it; rows and logs hold this."""
        return hashlib.sha256(b"rushes provider key\0" + self.api_key.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Answered:
    """A whole answer came, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class NotSent:
    """Proven: no byte of the request was handed to a connection after connect and TLS handshake.

    `ours`: the cause lies on this machine (no thread, no network, no such address), and says nothing of the gateway.
    """

    reason: str
    ours: bool = False


@dataclass(frozen=True)
class Lost:
    """At least one byte was handed over, and no whole answer came: the gateway may have acted."""

    reason: str


Outcome = Answered | NotSent | Lost
_WITHOUT_ANSWER: dict[type[Outcome], str] = {NotSent: "not_sent", Lost: "lost"}


@dataclass(frozen=True)
class _Target:
    scheme: str
    host: str
    port: int
    prefix: str  # of the path, from the base URL

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)


class _Call(NamedTuple):
    """What `request()` of a connection takes, in its order."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


class ProviderClient:
    """Asks gateways; one per process, safe for threads. `allow_private` admits plain http (development), `ca_file`
    names further certificate authorities, `look_up` stands in for getaddrinfo; both for tests. How each exchange went
    is counted in `tallies`."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        ca_file: str | None = None,
        look_up: LookUp = socket.getaddrinfo,
        tallies: Tallies | None = None,
    ) -> None:
        self._tallies = tallies or Tallies()
        self._schemes = ("https", "http") if allow_private else ("https",)
        self._tls = tls_context(*[ca_file] if ca_file else [])
        self._resolver = Resolver(look_up)
        self._idle = IdleConnections()

    def send(
        self,
        provider: Provider,
        account: Account,
        request: Request,
        *,
        deadline_s: float,
        extra_headers: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Send a submit, once, on a fresh connection. `deadline_s` is for everything, the look-up included."""
        began = time.monotonic()
        outcome = self._sent(provider, account, request, deadline_s, extra_headers)
        return self._counted("submit", account, outcome, began)

    def ask(self, provider: Provider, account: Account, request: Request, *, deadline_s: float) -> Outcome:
        """Send a query. It may go over a kept connection, and once more over a fresh one if that was stale."""
        if request.method != "GET":
            raise ValueError(f"only a GET may be sent twice, not {request.method}; use send()")
        began = time.monotonic()
        outcome = self._asked(provider, account, request, deadline_s)
        return self._counted("query", account, outcome, began)

    def resolve(self, account: Account, *, timeout_s: float) -> NotSent | None:
        """Look the gateway's name up before anything is claimed. None when that works, else why nothing can be sent."""
        target = self._target(account)
        if isinstance(target, NotSent):
            return target
        try:
            found = self._resolver.addresses(target.host, target.port, timeout_s)
        except Exception as e:  # whatever the resolver raises, the answer is "not now"
            return NotSent(f"look-up of {target.host}: {describe(e)}", ours=isinstance(e, NoThread))
        return None if found else NotSent(f"look-up of {target.host}: the name has no address")

    def close(self) -> None:
        """Close the kept connections."""
        self._idle.close()

    def _counted(self, lane: str, account: Account, outcome: Outcome, began: float) -> Outcome:
        result = status_class(outcome.status) if isinstance(outcome, Answered) else _WITHOUT_ANSWER[type(outcome)]
        self._tallies.observe(measures.GATEWAY_S, time.monotonic() - began, account.provider, lane, result)
        return outcome

    def _sent(
        self,
        provider: Provider,
        account: Account,
        request: Request,
        deadline_s: float,
        extra_headers: Mapping[str, str] | None,
    ) -> Outcome:
        target = self._target(account)
        if isinstance(target, NotSent):
            return target
        call = _call(provider, account, target, request, {**ONE_CONNECTION, **(extra_headers or {})})
        connection = self._connection(target)
        try:
            with Deadline(deadline_s) as deadline:
                return self._exchange(connection, call, deadline)
        except NoThread as e:
            return NotSent(str(e), ours=True)
        finally:
            connection.close()

    def _asked(self, provider: Provider, account: Account, request: Request, deadline_s: float) -> Outcome:
        target = self._target(account)
        if isinstance(target, NotSent):
            return target
        call = _call(provider, account, target, request, {})
        try:
            with Deadline(deadline_s) as deadline:
                kept = self._idle.take(target.origin)
                if kept is not None:
                    outcome = self._query(kept, target, call, deadline)
                    if isinstance(outcome, Answered) or deadline.passed:
                        return outcome
                return self._query(self._connection(target), target, call, deadline)
        except NoThread as e:
            return NotSent(str(e), ours=True)

    def _target(self, account: Account) -> _Target | NotSent:
        try:
            url = urlsplit(account.base_url)
            host, port = url.hostname, url.port
        except ValueError:
            return NotSent(f"the base URL of {account.provider} is not a URL", ours=True)
        schemes = ("https", "http") if account.is_stand_in else self._schemes
        if url.scheme not in schemes or not host or " " in host or not host.isprintable():
            begins = " or ".join(f"{scheme}://" for scheme in schemes)
            return NotSent(f"the base URL of {account.provider} must begin with {begins}", ours=True)
        return _Target(url.scheme, host, port or (443 if url.scheme == "https" else 80), url.path.rstrip("/"))

    def _connection(self, target: _Target) -> PlainConnection:
        if target.scheme == "https":
            return TlsConnection(target.host, target.port, ssl_context=self._tls)
        return PlainConnection(target.host, target.port)

    def _query(self, connection: PlainConnection, target: _Target, call: _Call, deadline: Deadline) -> Outcome:
        outcome = self._exchange(connection, call, deadline)
        if isinstance(outcome, Answered) and connection.sock is not None and not deadline.passed:
            self._idle.put(target.origin, connection)
        else:
            connection.close()
        return outcome

    def _exchange(self, connection: PlainConnection, call: _Call, deadline: Deadline) -> Outcome:
        try:
            connection.prepare(self._resolver, deadline)
            try:
                connection.request(*call, preload_content=False, decode_content=False)
            except (BrokenPipeError, ConnectionResetError):
                # A server may refuse by the head alone and close; its answer can still be there to be read.
                if not connection.handed_over:
                    raise
            return _read(connection, deadline)
        except Exception as e:  # every class: only the flag decides what an exception means
            reason = "the time was over" if deadline.passed or isinstance(e, TimeoutError) else describe(e)
            if connection.handed_over:
                return Lost(f"sent, but no whole answer: {reason}")
            return NotSent(reason, ours=isinstance(e, OSError) and e.errno in OWN_TROUBLES)


def answer_for_history(answered: Answered, *, account: Account, longest: int = 4096) -> str:
    """The raw answer for the job's history: cut to `longest` characters, without the key and signed queries."""
    words = text_of(answered.body).replace("\0", "�")
    for secret in {account.api_key, quote(account.api_key, safe="")} - {""}:
        words = words.replace(secret, "…")
    return mask(words[:longest])[:longest]


def _call(
    provider: Provider, account: Account, target: _Target, request: Request, extra_headers: Mapping[str, str]
) -> _Call:
    if provider.name != account.provider:
        raise ValueError(f"a key of {account.provider} must not go to {provider.name}")
    headers, body = written(provider, account.api_key, request, extra_headers)
    return _Call(request.method, target.prefix + request.path, body, headers)


def written(
    provider: Provider, api_key: str, request: Request, extra_headers: Mapping[str, str]
) -> tuple[dict[str, str], bytes | None]:
    """The headers and the body of a request, as they are sent."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Rushes"}
    body = None
    if request.body is not None:
        body = json.dumps(request.body, allow_nan=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    return headers | {**request.headers, **extra_headers, **provider.auth_headers(api_key)}, body


def _read(connection: PlainConnection, deadline: Deadline) -> Outcome:
    response = connection.getresponse()
    try:
        if response.status < 200:
            connection.close()  # the real answer would be taken for the next query's
            return Lost(f"sent, but the answer stopped at an interim {response.status}")
        # Without a length the body ends where the connection ends. http.client also takes a head that was cut off
        # for a whole one, and then nothing follows: an empty body of unknown length is no proof of an answer.
        unbounded = response.length_remaining is None and not response.chunked
        body = b""
        while piece := response.read(_PIECE_BYTES):
            body += piece
            if len(body) > LONGEST_ANSWER_BYTES:
                connection.close()
                return Lost(f"sent, but the answer is longer than {LONGEST_ANSWER_BYTES} bytes")
        if unbounded and (deadline.passed or not body):
            return Lost("sent, but the answer broke off")
        return Answered(response.status, dict(response.headers.itermerged()), body)
    finally:
        response.close()
