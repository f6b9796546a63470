"""Answers that no well-behaved server gives: connections cut, answers that drip, files that lie about their length."""

from __future__ import annotations

import os
import secrets
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response

from sandbox import films

Pause = Callable[[float], Any]
HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
HTML_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>\n"
)
TICK_S = 0.05
ENDLESS_BYTES_PER_S = 20_000_000
SLOW_BYTES_PER_S = 10_000


class Cut(Response):
    """No answer at all: the connection ends without a byte, by a reset (RST) or by an orderly close (FIN)."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self._reset = reset

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Cut the server's own socket, which werkzeug's server hands to the application."""
        connection: socket.socket | None = environ.get("werkzeug.socket")
        if connection is not None and self._reset:
            # A close with a linger of zero seconds is what sends RST; it must be the descriptor's own close,
            # since the server would first shut down its side in good order.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(connection.detach())
        elif connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("cut by a fault")


def drip(answer: Response, seconds: float, pause: Pause) -> Response:
    """The same answer, its body byte by byte over `seconds`."""
    body = answer.get_data()

    def bytewise() -> Iterator[bytes]:
        for at in range(len(body)):
            pause(seconds / max(len(body), 1))
            yield body[at : at + 1]

    return Response(bytewise(), answer.status, [*answer.headers.items()])


# The faults that put another file in the film's place, told by its true length.
STAND_INS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda film: b"",
    "truncated_clean": lambda film: film[: len(film) // 2],
    "audio_only": films.audio_only,
    "garbage": lambda film: _noise(len(film)),
}


def _noise(length: int) -> bytes:
    """Random bytes from 0x20 to 0x3F: none of those by which a reader would now and then take noise for its format."""
    return secrets.token_bytes(length).translate(bytes(0x20 | value & 0x1F for value in range(256)))


def bad_film(what: str, film: bytes, bytes_per_s: int | None, pause: Pause) -> Response:
    """A film served wrongly: html, a stand-in, truncated (half of what Content-Length says), endless or slow."""
    if what == "html":
        return Response(HTML_PAGE, mimetype="text/html")
    film = STAND_INS.get(what, bytes)(film)
    body: bytes | Iterator[bytes] = film
    if what == "truncated":
        body = iter([film[: len(film) // 2]])
    elif what == "slow":
        body = _paced(iter([film]), bytes_per_s or SLOW_BYTES_PER_S, pause)
    elif what == "endless":
        body = _paced(_for_ever(film), bytes_per_s or ENDLESS_BYTES_PER_S, pause)
    answer = Response(body, mimetype="video/mp4")
    if what != "endless":
        answer.headers["Content-Length"] = str(len(film))
    return answer


def _for_ever(film: bytes) -> Iterator[bytes]:
    block = film * (1 + 1_000_000 // len(film))
    while True:
        yield block


def _paced(source: Iterator[bytes], bytes_per_s: int, pause: Pause) -> Iterator[bytes]:
    step = max(1, int(bytes_per_s * TICK_S))
    for block in source:
        for at in range(0, len(block), step):
            piece = block[at : at + step]
            yield piece
            pause(len(piece) / bytes_per_s)
