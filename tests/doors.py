"""Knocking at a port as whoever has no key: another user of the machine, or a web page in its browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Address = tuple[str, int]

WAIT_S = 1.0
STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
GRPC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"  # how a client of gRPC begins: the preface, and settings
SETTINGS = re.compile(rb"...\x04", re.DOTALL)  # how its server answers
METHODS = ("GET", "PUT", "POST", "DELETE")
# What opened a store at some time, what shows what is in it, and what commands a stand-in. {key}: an object's.
PATHS = ("/", "/{key}", "/buckets/", "/buckets/{key}", "/?proxyChunkId=1,01", "/.tus/{key}", "/ui/index.html")
PATHS += ("/dir/assign", "/dir/lookup?volumeId=1", "/dir/status", "/submit", "/vol/status", "/collection/info")
PATHS += ("/col/delete?collection=rushes", "/1,01", "/debug/pprof/", "/control/tasks", "/control/reset", "/metrics")
# A program of another user; a page of another site; that site, its name changed to lead here.
USER = "Host: 127.0.0.1:{port}\r\n"
PAGES = (
    "Host: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\n",
    "Host: evil.example:{port}\r\n",
    "Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n",
)


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """The addresses, as the kernel writes them, and TCP ports on which these processes listen."""
    opened = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                opened.add(os.readlink(descriptor))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in opened:
                address, _, port = local.rpartition(":")
                found.add((address, int(port, 16)))
    return found


def granted(
    port: int, key: str, visitors: tuple[str, ...], certificate: Path, address: str = "127.0.0.1"
) -> Iterator[str]:
    """What this port gives to somebody without a key: each knock that met more than a refusal.

    `certificate` is of no worth here, and is shown as well.
    """
    for visitor in visitors:
        for method in METHODS:
            for path in PATHS:
                said = _http((address, port), method, path.format(key=key), visitor)
                status = STATUS.match(said)
                if status and status[1] < b"400":
                    yield f"{port}: {method} {path} {status[1].decode()} for {visitor!r}"
    if SETTINGS.match(_exchange((address, port), GRPC)):
        yield f"{port}: gRPC"
    if _exchange((address, port), b"DBSIZE\r\n").startswith(b":"):
        yield f"{port}: Valkey's keys"
    for shown in (None, certificate):
        if _tls((address, port), shown):
            yield f"{port}: TLS with {shown or 'no certificate'}"


def _http(to: Address, method: str, path: str, visitor: str) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\n{visitor.format(port=to[1])}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    return _exchange(to, head.encode())


def _exchange(to: Address, sent: bytes) -> bytes:
    with contextlib.suppress(OSError), socket.create_connection(to, WAIT_S) as connection:
        connection.sendall(sent)
        return connection.recv(65536)
    return b""


def _tls(to: Address, certificate: Path | None) -> bool:
    """Whether anything is answered over TLS. With TLS 1.3 a client is refused after its own handshake at first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(certificate)
    with (
        contextlib.suppress(OSError),
        socket.create_connection(to, WAIT_S) as connection,
        context.wrap_socket(connection) as tls,
    ):
        tls.sendall(GRPC if tls.selected_alpn_protocol() else b"GET /healthz HTTP/1.0\r\n\r\n")
        return bool(tls.recv(4096))
    return False


def _is_open(to: Address) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(to, WAIT_S):
        return True
    return False


def main(host: str, key: str, certificate: Path) -> None:
    """As a program, for where nothing of ours is installed: the ports of another host, and what they grant, as JSON."""
    address, numbers = socket.gethostbyname(host), range(1, 65536)
    with ThreadPoolExecutor(100) as several:
        opened = several.map(lambda port: _is_open((address, port)), numbers)
        ports = [port for port, is_open in zip(numbers, opened, strict=True) if is_open]
        found = several.map(lambda port: list(granted(port, key, (USER,), certificate, address)), ports)
        gifts = [gift for gifts in found for gift in gifts]
    sys.stdout.write(json.dumps({"ports": ports, "granted": gifts}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
