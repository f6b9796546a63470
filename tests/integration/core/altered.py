"""The sandbox behind a door at which a test rewrites what its gateways answer, byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import requests
from served import Served

from jobs.providers.registry import PROVIDERS


class AlteredSandbox:
    """`rewrite` is given each answer to an order or a question; `renamed` has the sandbox's ids by those used here."""

    def __init__(self, sandbox_url: str) -> None:
        self.rewrite: Callable[[bytes], bytes] = lambda body: body
        self.renamed: dict[str, str] = {}
        self.pages: dict[str, tuple[str, bytes]] = {}  # path → Content-Type and body, of links that lead here
        self.orders: list[tuple[dict[str, str], bytes]] = []  # headers and body of each POST, as they came
        self.refusal: tuple[int, bytes] | None = None  # what orders are answered, which then do not get through
        self.keyed: set[str] = set()  # paths that answer 401 to who brings no key
        altered = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path in altered.keyed and "Authorization" not in self.headers:
                    self._answer(401, "application/json", b'{"error": {"message": "no token"}}')
                elif self.path in altered.pages:
                    self._answer(200, *altered.pages[self.path])
                else:
                    self._pass_on(None)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                altered.orders.append((dict(self.headers), body))
                if altered.refusal:
                    self._answer(altered.refusal[0], "application/json", altered.refusal[1])
                else:
                    self._pass_on(body)

            def _pass_on(self, body: bytes | None) -> None:
                head, _, last = self.path.rpartition("/")
                path = f"{head}/{quote(altered.renamed.get(unquote(last), unquote(last)), safe='')}"
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
                answer = requests.request(
                    self.command, f"{sandbox_url}{path}", data=body, headers=headers, timeout=5, allow_redirects=False
                )
                self._answer(answer.status_code, "application/json", altered.rewrite(answer.content))

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.url = self._served.url

    @property
    def settings(self) -> dict[str, str]:
        """What a workshop must be told to come in by this door."""
        return {f"{name}_base_url": f"{self.url}/{name}" for name in PROVIDERS}

    def close(self) -> None:
        self._served.close()
