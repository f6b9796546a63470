"""A TCP proxy on loopback that a test can freeze, cut, or let spring a trap at one exchange."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

RECENT_BYTES = 256 * 1024
CHUNK_BYTES = 64 * 1024
PIPE = "pipe of the plant"  # its processes call while tests that do not know of it run in the same process
HELD_LOOK_S = 0.05  # between two looks whether a client that is held is still there

# Judges one chunk from the client: (what the connection said lately, the chunk included; the chunk).
Match = Callable[[bytes, bytes], bool]
# What a chunk says; by default its bytes.
Read = Callable[[bytes], bytes]
# What becomes of a chunk from the client: other bytes go on in its place.
Change = Callable[[bytes], bytes]


class Cut(Exception):
    """Both sides of this connection are to be reset."""


class Trap:
    """Springs at the first `times` chunks that match, and says so in `caught`.

    after=False: the chunk does not reach the server. after=True: it does, and what springs is the server's first answer
    to it, which the client does not get; so `caught` proves that the server has done it.
    """

    def __init__(
        self, match: Match, *, after: bool, then: str | bytes | Change, times: int, counts: Callable[[bytes], bool]
    ) -> None:
        self.matched = threading.Event()  # a chunk has matched; with `after`, its answer is being waited for
        self.caught = threading.Event()
        self.released = threading.Event()
        self.after = after
        self.counts = counts  # which answers count; a "100 Continue" does not
        self._match, self._then, self._left = match, then, times
        self._lock = threading.Lock()

    def fits(self, recent: bytes, chunk: bytes) -> bool:
        """Whether this chunk is one to catch. Each catch counts."""
        with self._lock:
            if self._left == 0 or not self._match(recent, chunk):
                return False
            self._left -= 1
            self.matched.set()
            return True

    def spring(self, chunk: bytes, client: socket.socket) -> bytes:
        """What goes on in the chunk's place. Raises Cut. For "hold": waits until the test releases or cuts."""
        self.caught.set()
        while self._then == "hold" and not self.released.wait(HELD_LOOK_S):
            if _has_left(client):
                raise Cut
        if isinstance(self._then, bytes):
            client.sendall(self._then)
            client.shutdown(socket.SHUT_WR)
            while client.recv(CHUNK_BYTES):  # a reset under what is still being sent could overtake the answer
                pass
            raise Cut
        if callable(self._then):
            return self._then(chunk)
        if self._then == "cut":
            raise Cut
        return chunk

    def release(self) -> None:
        """Let what is held go on."""
        self._then = "pass"
        self.released.set()

    def cut(self) -> None:
        """Reset the connections that are held."""
        self._then = "cut"
        self.released.set()

    def disarm(self) -> None:
        """Catch nothing more, and let go."""
        with self._lock:
            self._left = 0
        if not self.released.is_set():
            self.cut()


class _Connection:
    """One client's connection and ours to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.trap: Trap | None = None  # waits for the server's answer
        self.abandoned = False
        self._read = proxy.reader()
        self._recent = b""
        self._ends = 0
        for run in (self._up, self._down):
            threading.Thread(target=self._safely, args=(run,), name=PIPE, daemon=True).start()

    def close(self, *, reset: bool) -> None:
        for side in (self.client, self.server):
            if reset:
                with contextlib.suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
        self.proxy.forget(self)

    def _safely(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Cut:
            self.close(reset=True)
        except OSError:
            self.close(reset=False)

    def _up(self) -> None:
        while chunk := self.client.recv(CHUNK_BYTES):
            self._recent = (self._recent + self._read(chunk))[-RECENT_BYTES:]
            trap = self.proxy.trap_for(self._recent, chunk)
            if trap is not None and trap.after:
                self.trap = trap
            elif trap is not None:
                chunk = trap.spring(chunk, self.client)
            self._pass_on(self.server, chunk)
        self._end_of(self.server)

    def _down(self) -> None:
        while chunk := self.server.recv(CHUNK_BYTES):
            trap = self.trap
            if trap is not None and trap.counts(chunk):
                self.trap = None
                chunk = trap.spring(chunk, self.client)
            self._pass_on(self.client, chunk)
        self._end_of(self.client)

    def _pass_on(self, side: socket.socket, chunk: bytes) -> None:
        self.proxy.open.wait()
        if not self.abandoned:  # else it is swallowed, and nobody is told
            side.sendall(chunk)

    def _end_of(self, side: socket.socket) -> None:
        if self.abandoned:
            return
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_WR)
        self._ends += 1
        if self._ends == 2:
            self.close(reset=False)


class Proxy:
    """Listens on `port` and passes everything on to `target`, until told otherwise."""

    def __init__(self, target: int, reader: Callable[[], Read] = lambda: bytes) -> None:
        self.reader = reader
        self.open = threading.Event()
        self.open.set()
        self._target = target
        self._traps: list[Trap] = []
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()
        self._refusing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=PIPE, daemon=True).start()

    def trap(
        self,
        match: Match,
        *,
        after: bool,
        then: str | bytes | Change = "hold",
        times: int = 1,
        counts: Callable[[bytes], bool] = lambda answer: True,
    ) -> Trap:
        """Arm a trap. `then`: hold until released, cut at once, or bytes to answer with in the server's place."""
        trap = Trap(match, after=after, then=then, times=times, counts=counts)
        with self._lock:
            self._traps.append(trap)
        return trap

    def trap_for(self, recent: bytes, chunk: bytes) -> Trap | None:
        with self._lock:
            traps = list(self._traps)
        return next((trap for trap in traps if trap.fits(recent, chunk)), None)

    def freeze(self) -> None:
        """Nothing passes in either direction; connections stay, and new ones are accepted."""
        self.open.clear()

    def refuse(self) -> None:
        """Reset what there is, and whoever comes."""
        self._refusing = True
        self.cut()

    def cut(self) -> int:
        """Reset every connection there is; returns how many there were."""
        connections = self._all()
        for connection in connections:
            connection.close(reset=True)
        return len(connections)

    def abandon(self) -> int:
        """The connections there are become half open: bytes vanish, and no side is told. New ones work."""
        connections = self._all()
        for connection in connections:
            connection.abandoned = True
        return len(connections)

    def heal(self) -> None:
        """As at the start: everything passes."""
        with self._lock:
            traps, self._traps = self._traps, []
        for trap in traps:
            trap.disarm()
        self._refusing = False
        self.open.set()
        for connection in self._all():
            if connection.abandoned:
                connection.close(reset=True)

    def close(self) -> None:
        self.heal()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def forget(self, connection: Any) -> None:
        with self._lock:
            self._connections.discard(connection)

    def _all(self) -> list[_Connection]:
        with self._lock:
            return list(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), name=PIPE, daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self._refusing:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(self, client, server)
        with self._lock:
            self._connections.add(connection)


def _has_left(client: socket.socket) -> bool:
    """Whether the other side has closed, or was killed, or a test has cut the connection."""
    poll = select.poll()
    try:
        poll.register(client, select.POLLRDHUP)
    except ValueError:  # our own side is closed
        return True
    return bool(poll.poll(0))
