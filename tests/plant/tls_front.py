"""TLS before a server of the tests that speaks none, as a vendor puts it before Valkey or PostgreSQL. A process.

python tls_front.py LISTEN SERVER CERTIFICATE
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import trustme

from rushes.local.ports import free_ports
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor

CHUNK_BYTES = 64 * 1024


@contextlib.contextmanager
def tls_front(supervisor: Supervisor, port: int, authority: trustme.CA, folder: Path) -> Iterator[int]:
    """A port of `localhost` that leads to this one, with a certificate of the authority."""
    (listen,) = free_ports(1)
    certificate = folder / "front.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", listen), timeout=1):
            return True
        return False

    argv = [sys.executable, __file__, str(listen), str(port), str(certificate)]
    supervisor.start(Process("tls-front", argv, cwd=Path(__file__).parents[2], ready=answers))
    try:
        yield listen
    finally:
        supervisor.stop_one("tls-front")


async def _serve(listen: int, port: int, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["postgresql"])  # which its clients insist on where TLS comes first; others ask for none

    async def serve(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_hand_on(client, to_server), _hand_on(server, to_client))

    listening = await asyncio.start_server(serve, "127.0.0.1", listen, ssl=context)
    await listening.serve_forever()


async def _hand_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    sink.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
