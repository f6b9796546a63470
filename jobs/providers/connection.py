"""One exchange's connection: ours, so that we know whether a byte of the request left, and that it ends in time.

urllib3 connects inside `connect()`, which for https returns only after the TLS handshake and the certificate check.
http.client's `send()` is the one door to the socket afterwards: urllib3's `request()` passes the head and the body
through it. So the flag is set there, in the instant before the first byte. Left alone, `send()` also connects when
there is no socket (`auto_open`); here it does not, so that nothing reconnects behind our back.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.wait import wait_for_read

from storage.outbound.deadline import Deadline
from storage.outbound.interim import FinalResponse

Address = tuple[Any, ...]  # what getaddrinfo gives: family, type, proto, canonname, sockaddr
LookUp = Callable[..., Sequence[Address]]

IDLE_PER_HOST = 16
IDLE_S = 30.0  # shorter than the keep-alive of common servers, so that a stale connection is rare


class Resolver:
    """DNS look-ups that end in time. getaddrinfo cannot be interrupted, so it runs in a thread of its own.

    A look-up that hangs leaves that thread behind until the system's resolver gives up; those who ask for the same
    name meanwhile wait for the same thread, so at most one hangs per name.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[Sequence[Address]]] = {}

    def addresses(self, host: str, port: int, timeout_s: float) -> Sequence[Address]:
        """Raises what getaddrinfo raises, or TimeoutError."""
        with self._lock:
            answer = self._under_way.get((host, port))
            if answer is None:
                answer = Future()
                threading.Thread(target=self._run, args=(host, port, answer), daemon=True).start()
                self._under_way[host, port] = answer
        return answer.result(timeout_s)

    def _run(self, host: str, port: int, answer: Future[Sequence[Address]]) -> None:
        found: Sequence[Address] = ()
        fault: Exception | None = None
        try:
            found = self._look_up(host, port, type=socket.SOCK_STREAM)
        except Exception as e:  # handed to whoever waits
            fault = e
        with self._lock:
            self._under_way.pop((host, port), None)
        if fault is None:
            answer.set_result(found)
        else:
            answer.set_exception(fault)


class PlainConnection(HTTPConnection):
    """A connection that knows its deadline and whether any byte of the request was handed to the socket."""

    auto_open = 0
    response_class = FinalResponse
    resolver: Resolver
    deadline: Deadline
    handed_over: bool = False

    def prepare(self, resolver: Resolver, deadline: Deadline) -> None:
        """Begin a new exchange: connect if there is no socket yet. Raises OSError before anything was sent."""
        self.resolver, self.deadline, self.handed_over = resolver, deadline, False
        if self.sock is None:
            self.timeout = deadline.left_s()
            self.connect()
        else:
            deadline.watch(self.sock)
        # From here on the deadline's shutdown ends every wait; the socket's own timeout only stands behind it.
        self.timeout = deadline.left_s() + 1

    def send(self, data: Any) -> None:
        self.deadline.left_s()
        if self.sock is not None:
            self.handed_over = True
        super().send(data)

    def _new_conn(self) -> socket.socket:
        # urllib3 gives every address the whole timeout and the look-up none; here they share what is left.
        addresses = self.resolver.addresses(self._dns_host, self.port, self.deadline.left_s())
        fault: OSError = OSError("the name has no address")
        for tried, (family, kind, proto, _, address) in enumerate(addresses):
            sock = socket.socket(family, kind, proto)
            try:
                sock.settimeout(self.deadline.left_s() / (len(addresses) - tried))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(self.deadline.left_s())  # the handshake: one timeout for the whole of it
                self.deadline.watch(sock)
            except OSError as e:
                sock.close()
                fault = e
            else:
                return sock
        raise fault


class TlsConnection(PlainConnection, HTTPSConnection):
    """The same over TLS."""


class IdleConnections:
    """Kept-alive connections between queries, newest first; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str, int], list[tuple[float, PlainConnection]]] = {}

    def take(self, key: tuple[str, str, int]) -> PlainConnection | None:
        """One that is not known to be dead; what is too old or was closed by the server is dropped on the way."""
        while True:
            with self._lock:
                idle = self._idle.get(key)
                if not idle:
                    return None
                since, connection = idle.pop()
            if time.monotonic() - since < IDLE_S and connection.sock and not wait_for_read(connection.sock, 0.0):
                return connection
            connection.close()

    def put(self, key: tuple[str, str, int], connection: PlainConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(key, [])
            idle.append((time.monotonic(), connection))
            surplus = idle.pop(0)[1] if len(idle) > IDLE_PER_HOST else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        with self._lock:
            idle = [connection for kept in self._idle.values() for _, connection in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()


def describe(e: BaseException) -> str:
    """What went wrong, by class and the system's own words. Never str(e): that may quote a header or a URL."""
    if isinstance(e, TimeoutError):
        return "the time was over"
    if isinstance(e, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {e.verify_message}"
    if isinstance(e, ssl.SSLError):
        return f"TLS: {e.reason or type(e).__name__}"
    if isinstance(e, OSError) and e.strerror:
        return f"{type(e).__name__}: {e.strerror}"
    return type(e).__name__
