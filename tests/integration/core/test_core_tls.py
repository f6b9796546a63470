"""A TLS connection that breaks after the gateway has read everything: the exception's class proves nothing."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from workshop import RUN, Workshop

from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.providers.client import ProviderClient


class BreakingGateway:
    """Reads whole POSTs over TLS, and breaks each connection as it is told: by garbage, by a reset, by silence."""

    def __init__(self, authority: trustme.CA, how: str):
        self.how = how
        self.posts = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone wakes nobody who waits for a caller
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            raw = plain.dup()
            with raw, self._context.wrap_socket(plain, server_side=True) as connection:
                self._read_whole(connection)
                self.posts += 1
                if self.how == "garbage":
                    raw.sendall(b"this is no TLS record at all")
                if self.how == "reset":  # closed with what lingers thrown away: the peer gets an RST
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    raw.shutdown(socket.SHUT_RDWR)

    def _read_whole(self, connection: ssl.SSLSocket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        length = int(lengths[0].split(b":")[1])
        while len(body) < length:
            body += connection.recv(65_536)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["garbage", "reset", "silence"])
def gateway(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[BreakingGateway]:
    one = BreakingGateway(authority, request.param)
    yield one
    one.close()


def test_tls_broken_after_the_request_was_read_leaves_unconfirmed_with_one_post(
    workshop: Workshop, gateway: BreakingGateway, authority: trustme.CA, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    workshop.resources.client = ProviderClient(allow_private=True, ca_file=str(ca_file))
    accounts: dict[str, Any] = {
        name: replace(account, base_url=gateway.url) for name, account in workshop.settings.accounts.items()
    }
    workshop.resources.settings = replace(workshop.settings, accounts=accounts)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    case = workshop.case(job_id)
    assert case.job.state is State.UNCONFIRMED
    assert case.attempts[1].standing is Standing.UNCERTAIN
    for _ in range(3):
        workshop.sweep()
    assert workshop.state(job_id) is State.UNCONFIRMED
    assert gateway.posts == 1
