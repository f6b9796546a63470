"""The bundled S3 server, and before it stores that behave as some in the world do: one proxy for each `mode`."""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from kit import folder
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor
from storage.bucket import BucketConfig
from storage.store_client import connect

ACCESS, SECRET = "access", "secret" * 5
XML = [("Content-Type", "application/xml")]
OF_ONE_CONNECTION = frozenset({"connection", "expect", "transfer-encoding", "content-length", "server", "date"})


class Store:
    """SeaweedFS while the script is inside. `more`: variables of its environment."""

    def __init__(self, more: Mapping[str, str] | None = None) -> None:
        self.seaweed = SeaweedFS(folder(), seaweedfs_ports(), ACCESS, SECRET)
        self.bucket = self.seaweed.bucket
        process = self.seaweed.process()
        self._process = replace(process, env={**(process.env or os.environ), **(more or {})})
        self._supervisor = Supervisor()

    def __enter__(self) -> Self:
        self._supervisor.start(self._process)
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop()

    @cached_property
    def s3(self) -> Any:
        return connect(BucketConfig(self.bucket, "", self.seaweed.endpoint_url, "us-east-1", ACCESS, SECRET))

    def behaving(self, mode: str) -> str:
        """The endpoint of a store of this mode: a key of `MODES`, or `plain`."""
        handler = type("Handler", (_Proxy,), {"behaviour": MODES[mode](self), "s3_port": self.seaweed.ports["s3.port"]})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Asked:
    """A request as the proxy sees it."""

    method: str
    path: str
    query: str
    headers: frozenset[str]  # names, in lower case

    @property
    def is_put(self) -> bool:
        """Of an object."""
        return self.method == "PUT" and self.path.count("/") > 1

    @property
    def is_conditional(self) -> bool:
        return self.is_put and "if-none-match" in self.headers


class Plain:
    """The store as it is."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def before(self, asked: Asked) -> Answer | None:
        """An answer in place of the store's."""
        return None

    def after(self, asked: Asked, answer: Answer) -> Answer | None:
        """The store's answer as the client gets it; None: it never does."""
        return answer


class Refusing(Plain):
    """Refuses what `applies` says, always or so many times."""

    def __init__(
        self, store: Store, applies: Callable[[Asked], bool], error: tuple[int, str, str], times: float = float("inf")
    ) -> None:
        super().__init__(store)
        self._applies, self._error, self._left = applies, error, times

    def before(self, asked: Asked) -> Answer | None:
        if self._left <= 0 or not self._applies(asked):
            return None
        self._left -= 1
        status, code, message = self._error
        return Answer(status, XML, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


class Overwriting(Plain):
    """Knows no conditions. The header is signed and cannot be taken out, so the object goes first."""

    def before(self, asked: Asked) -> Answer | None:
        if asked.is_conditional:
            _, bucket, key = asked.path.split("/", 2)
            with contextlib.suppress(ClientError):
                self.store.s3.delete_object(Bucket=bucket, Key=key)
        return None


class WithoutRules(Plain):
    """Answers the question for its lifecycle with an empty list of rules."""

    def before(self, asked: Asked) -> Answer | None:
        if asked.method == "GET" and "lifecycle" in asked.query:
            return Answer(200, XML, b"<LifecycleConfiguration/>")
        return None


class Misnaming(Plain):
    """Says one status for another."""

    def __init__(self, store: Store, method: str, true: int, said: int) -> None:
        super().__init__(store)
        self._method, self._true, self._said = method, true, said

    def after(self, asked: Asked, answer: Answer) -> Answer:
        if (asked.method, answer.status) != (self._method, self._true):
            return answer
        return answer._replace(status=self._said, body=b"")


class LosingOne(Plain):
    """Does the first conditional PUT and breaks the connection instead of saying so."""

    lost = False

    def after(self, asked: Asked, answer: Answer) -> Answer | None:
        if self.lost or not asked.is_conditional:
            return answer
        self.lost = True
        return None


PATH_STYLE = (403, "SecondLevelDomainForbidden", "Please use virtual hosted style to access.")
CHECKSUM = (400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received for this API call.")
UNENCRYPTED = (403, "AccessDenied", "explicit deny in a resource-based policy")
CONDITION = (501, "NotImplemented", "A header you provided implies functionality that is not implemented")
CONFLICT = (409, "ConditionalRequestConflict", "conflict")
SLOW_DOWN = (503, "SlowDown", "Please reduce your request rate.")

MODES: dict[str, Callable[[Store], Plain]] = {
    "plain": Plain,
    "path style refused": lambda store: Refusing(store, lambda asked: True, PATH_STYLE),
    "checksum header refused": lambda store: Refusing(
        store, lambda asked: asked.is_put and "x-amz-checksum-sha256" in asked.headers, CHECKSUM
    ),
    "encryption header wanted": lambda store: Refusing(
        store, lambda asked: asked.is_put and "x-amz-server-side-encryption" not in asked.headers, UNENCRYPTED
    ),
    "conditions not implemented": lambda store: Refusing(store, lambda asked: asked.is_conditional, CONDITION),
    "conditions ignored": Overwriting,
    "conflict": lambda store: Refusing(store, lambda asked: asked.is_conditional, CONFLICT, times=1),
    "slowdown": lambda store: Refusing(store, lambda asked: asked.is_put, SLOW_DOWN, times=4),
    "lifecycle without rules": WithoutRules,
    "304 for 412": lambda store: Misnaming(store, "PUT", 412, 304),
    "403 for 404": lambda store: Misnaming(store, "HEAD", 404, 403),
    "lost answer": LosingOne,
}


class _Proxy(BaseHTTPRequestHandler):
    behaviour: Plain
    s3_port: int
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        asked = Asked(self.command, parts.path, parts.query, frozenset(name.lower() for name in self.headers))
        answer = self.behaviour.before(asked) or self.behaviour.after(asked, self._forward(body))
        if answer is None:
            self.close_connection = True
            self.connection.close()
        else:
            self._answer(answer)

    def _forward(self, body: bytes) -> Answer:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.s3_port, timeout=30)) as upstream:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_ONE_CONNECTION}
            upstream.request(self.command, self.path, body, headers)
            got = upstream.getresponse()
            return Answer(got.status, got.getheaders(), got.read())

    def _answer(self, answer: Answer) -> None:
        told = {name.lower(): value for name, value in answer.headers}
        self.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() not in OF_ONE_CONNECTION:
                self.send_header(name, value)
        # A HEAD tells the length of what it does not send.
        length = told.get("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 304:
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - names that http.server looks for
