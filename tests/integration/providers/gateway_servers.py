"""What the tests of the asking share: a key, a submit, and ways in which a server answers or fails to."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.base import Request
from jobs.providers.client import Account, ProviderClient

KEY = "sk-very-secret-0123456789"
SUBMIT = Request("POST", "/v1/videos/generations", {"model": "m", "input": {"prompt": "Ein Kätzchen"}})
QUERY = Request("GET", "/v1/tasks/t1")
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"code":200}'
SHORT_S = 0.4  # a deadline that is meant to pass
LONG_S = 20.0  # one that is not

Serve = Callable[..., Any]


def account(server: Any, scheme: str = "https", path: str = "") -> Account:
    return Account("aivideoapi", f"{scheme}://localhost:{server.port}{path}", KEY)


def submit(client: ProviderClient, to: Account, deadline_s: float = LONG_S) -> Any:
    """Every outcome passes here, so that no reason ever tells a key."""
    outcome = client.send(AIVIDEOAPI, to, SUBMIT, deadline_s=deadline_s)
    assert KEY not in repr(outcome)
    assert KEY not in repr(to)
    return outcome


def answer(*pieces: bytes) -> Callable[[socket.socket, Any], None]:
    """Read requests until the client closes; answer each with `pieces`, then close if there is no keep-alive."""

    def handle(sock: socket.socket, server: Any) -> None:
        while server.read_request(sock):
            for piece in pieces:
                sock.sendall(piece)

    return handle


def answer_and_close(*pieces: bytes) -> Callable[[socket.socket, Any], None]:
    def handle(sock: socket.socket, server: Any) -> None:
        server.read_request(sock)
        for piece in pieces:
            sock.sendall(piece)

    return handle


def drip(start: bytes, piece: bytes) -> Callable[[socket.socket, Any], None]:
    def handle(sock: socket.socket, server: Any) -> None:
        server.read_request(sock)
        sock.sendall(start)
        while not server.stopping.wait(0.02):
            sock.sendall(piece)

    return handle


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
