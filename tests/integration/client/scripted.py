"""A service and a store on 127.0.0.1 that answer as a test has written down, and a clock that only pauses move."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme
from served import Served

JOB_ID = "job_01M7ZCJS6357RAFETJ3XVQFKF2"


@dataclass(frozen=True)
class Answer:
    """`body` is sent as it is, or as JSON. `cut` closes the connection after so many bytes of it; 0: with no answer."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    port: int  # the caller's, so one connection is told from another


Rule = Callable[[Request], Answer]


class Scripted:
    """Answers by the rule that is set, else with the answers of the script, one after the other."""

    def __init__(self, certificate: trustme.LeafCert | None = None) -> None:
        self.requests: list[Request] = []
        self.script: list[Answer] = []
        self.rule: Rule | None = None
        self._lock = threading.Lock()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                scripted._answer(self)

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(tls)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        served = Served(server, "https" if certificate else "http")
        self.url, self.close = served.url, served.close

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        port = handler.client_address[1]
        request = Request(str(handler.command), parts.path, parse_qs(parts.query), headers, body, port)
        with self._lock:
            self.requests.append(request)
            scripted = self.script.pop(0) if self.rule is None else None
        answer = self.rule(request) if self.rule else scripted
        assert answer is not None
        if answer.cut == 0:
            return _hang_up(handler)
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status != 304:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        with contextlib.suppress(ConnectionError):  # a caller that has enough hangs up
            handler.wfile.write(content[: answer.cut])
        if answer.cut is not None:
            _hang_up(handler)
        return None


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def job(state: str = "queued", film: bytes | None = None, **more: Any) -> dict[str, Any]:
    """A job as the service tells it; with a film it is archived."""
    told: dict[str, Any] = {
        "id": JOB_ID,
        "state": state,
        "mode": "text-to-video",
        "provider": "evolink",
        "attempt": 1,
        "progress": None,
        "created_at": "2026-11-21T15:46:13.827Z",
        "updated_at": "2026-11-21T15:46:34.893Z",
        "ended_at": "2026-11-21T15:46:34.893Z" if state in ("archived", "failed", "cancelled") else None,
    }
    if film is not None:
        facts = {"bytes": len(film), "sha256": hashlib.sha256(film).hexdigest(), "duration_s": 2.0, "fps": 24.0}
        told["video"] = {"bucket": "films", "key": "fox.mp4", "width": 1280, "height": 720, **facts}
    return told | more


def problem(status: int, code: str, detail: str = "Said why.", **more: Any) -> Answer:
    headers = {"Content-Type": "application/problem+json", "X-Request-Id": "req-7", **more.pop("headers", {})}
    return Answer(status, {"status": status, "code": code, "detail": detail, **more}, headers)
