"""HTTP servers on 127.0.0.1 that say exactly what a test wants, byte by byte."""

import socket
import ssl
import threading
from collections.abc import Callable

Talk = Callable[["Server", socket.socket, str], None]  # the server, the connection, the request's target


class Server:
    """Accepts, reads one request, lets `talk` answer, closes. Each connection has a thread of its own."""

    def __init__(self, talk: Talk, *, tls: ssl.SSLContext | None = None, reads_head: bool = True) -> None:
        self.requests: list[str] = []
        self.stopping = threading.Event()
        self._talk, self._tls, self._reads_head = talk, tls, reads_head
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def url(self, path: str = "/film.mp4?Signature=topsecret", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection is still open: the client did not let go"

    def drip(self, connection: socket.socket, data: bytes, *, every_s: float) -> None:
        """One byte at a time, over and over, until the client has gone."""
        while not self.stopping.is_set():
            for at in range(len(data)):
                self.stopping.wait(every_s)
                connection.sendall(data[at : at + 1])

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls:
                connection = self._tls.wrap_socket(plain, server_side=True)
            if self._reads_head:
                request = b""
                while not _is_whole(request):
                    more = connection.recv(4096)
                    if not more:
                        return
                    request += more
                self.requests.append(request.decode())
                self._talk(self, connection, request.split(b" ", 2)[1].decode())
            else:
                self._talk(self, connection, "")
        except OSError:
            pass  # the client hung up, which many tests are about
        finally:
            connection.close()
            plain.close()


def _is_whole(request: bytes) -> bool:
    """Whether the head is there, and the body that it declares: closed before, a connection would lose our answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line]
    told = {name: value.strip() for name, value in lines}
    is_sent = b"expect" not in told  # else it comes once it is asked for
    return b"\r\n\r\n" in request and (not is_sent or len(body) >= int(told.get(b"content-length", b"0")))


def head(status: str = "200 OK", **headers: object) -> bytes:
    """Status line and headers; `Content_Length=5` becomes `Content-Length: 5`."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def sending(data: bytes) -> Talk:
    """These bytes, head included, and no more."""

    def talk(_: Server, connection: socket.socket, target: str) -> None:
        connection.sendall(data)

    return talk


def answering(body: bytes, status: str = "200 OK", **headers: object) -> Talk:
    """The whole body, its length declared."""
    return sending(head(status, **{"Content_Length": len(body), "Content_Type": "video/mp4", **headers}) + body)


def chunked(body: bytes, size: int = 5000) -> bytes:
    """The body in HTTP's chunks, without the last one, which ends it."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
