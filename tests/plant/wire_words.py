"""What passes a proxy, in the words of three protocols: PostgreSQL's, HTTP, Valkey's."""

from __future__ import annotations

import struct

from tcp_proxy import Match

# A bucket's answers to a request that does not reach it.
SLOW_DOWN = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CONFLICT = b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_ENCRYPTION_REQUESTS = frozenset({80877103, 80877104})


class PostgresReader:
    """Reads a client's messages, and says a prepared statement's SQL again where only its name is sent."""

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False
        self._statements: dict[bytes, bytes] = {}

    def __call__(self, chunk: bytes) -> bytes:
        self._buffer += chunk
        said = chunk
        while (message := self._take()) is not None:
            kind, body = message
            if kind == b"P":
                name, sql, _ = body.split(b"\0", 2)
                self._statements[name] = sql
            elif kind == b"B":
                said += self._statements.get(body.split(b"\0", 2)[1], b"")
        return said

    def _take(self) -> tuple[bytes, bytes] | None:
        """The next whole message; the first ones have a length only."""
        head = 1 if self._started else 0
        if len(self._buffer) < head + 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer, head)
        if len(self._buffer) < head + length:
            return None
        kind, body = self._buffer[:head], self._buffer[head + 4 : head + length]
        self._buffer = self._buffer[head + length :]
        if not self._started:
            self._started = struct.unpack_from("!I", body)[0] not in _ENCRYPTION_REQUESTS
        return kind, body


def commit_of(*words: str) -> Match:
    """PostgreSQL: the COMMIT of a transaction that has sent all these words, be they SQL or parameters."""
    wanted = [word.encode() for word in words]

    def match(recent: bytes, chunk: bytes) -> bool:
        if b"COMMIT\0" not in chunk:
            return False
        transaction = recent[recent.rfind(b"BEGIN") :]
        return all(word in transaction for word in wanted)

    return match


def request_of(method: str, ending: str) -> Match:
    """HTTP: the head of a request with this method for a path with this ending."""

    def match(recent: bytes, chunk: bytes) -> bool:
        line = chunk.partition(b"\r\n")[0].split(b" ")
        return len(line) == 3 and line[0] == method.encode() and line[1].partition(b"?")[0].endswith(ending.encode())

    return match


def is_final(answer: bytes) -> bool:
    """Whether an HTTP answer is more than "100 Continue"."""
    return not answer.startswith(b"HTTP/1.1 100")


def command_of(*words: str) -> Match:
    """Valkey: a command whose bytes hold all these words."""
    wanted = [word.encode() for word in words]
    return lambda recent, chunk: all(word in chunk for word in wanted)
