"""Small servers on loopback that misbehave in one way each; real TCP, real TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from jobs.providers.client import ProviderClient

Handler = Callable[[socket.socket, "Server"], None]


class Server:
    """Accepts on a port of its own; each connection runs `handler` in a thread. `stopping` ends handlers that wait."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handler, self._tls = handler, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def read_request(self, sock: socket.socket) -> bytes:
        """One whole request, kept in `requests`; empty when the client has closed."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(65536)
            if not more:
                return b""
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while len(body) < int(lengths[0] if lengths else 0):
            body += sock.recv(65536)
        request = head + b"\r\n\r\n" + body
        self.requests.append(request)
        return request

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(20)
        with sock, contextlib.suppress(OSError):
            if self._tls is None:
                self._handler(sock, self)
            else:
                with self._tls.wrap_socket(sock, server_side=True) as wrapped:
                    self._handler(wrapped, self)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def serve(server_tls: ssl.SSLContext) -> Iterator[Callable[..., Server]]:
    """serve(handler, tls=True) starts a server that ends with the test."""
    servers: list[Server] = []

    def start(handler: Handler, *, tls: bool = True) -> Server:
        servers.append(Server(handler, server_tls if tls else None))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def client(ca_file: str) -> Iterator[ProviderClient]:
    client = ProviderClient(allow_private=True, ca_file=ca_file)
    yield client
    client.close()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def silent() -> Iterator[Any]:
    """A port whose connections the kernel accepts and nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield type("Silent", (), {"port": listener.getsockname()[1]})
