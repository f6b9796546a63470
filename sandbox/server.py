"""Serving the sandbox: werkzeug's threaded server, because it lets a fault reach the socket under an answer."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox.app import Sandbox, create_app
from sandbox.browsers import fault_of_page
from sandbox.settings import Config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

RESET = ("POST", "/control/reset")
BACKLOG = 512
CHECK_FOR_STOP_S = 0.1


class _Server(ThreadedWSGIServer):
    request_queue_size = BACKLOG
    daemon_threads = True
    block_on_close = False  # requests that hang on purpose must not hold up the end


class _Handler(WSGIRequestHandler):
    def connection_dropped(self, error: BaseException, environ: dict[str, Any] | None = None) -> None:
        """A connection cut by a fault, or by the other side, has no next request to wait for."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: what was asked is at /control."""


class Renewable:
    """The application, and a new one in its place at POST /control/reset: no tasks, no faults, settings as started."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._app = create_app(config)
        self._renewing = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if fault := fault_of_page(environ, self._config.host):
            start_response("403 Forbidden", [("Content-Type", "application/json")])
            return [json.dumps({"error": {"code": 403, "message": fault}}).encode()]
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == RESET:
            self._renew()
            start_response("204 No Content", [])
            return []
        return self._app(environ, start_response)

    def close(self) -> None:
        """End the application's threads."""
        _parts(self._app).close()

    def _renew(self) -> None:
        with self._renewing:
            old, self._app = self._app, create_app(self._config)
        _parts(old).close()


def _parts(app: Flask) -> Sandbox:
    parts: Sandbox = app.extensions["sandbox"]
    return parts


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then end at once. Says its address on standard output when it is ready."""
    app = Renewable(config)
    server = _Server(config.host, config.port, app, handler=_Handler)

    def stop(*_: object) -> None:
        threading.Thread(
            target=server.shutdown, daemon=True
        ).start()  # from the serving thread it would wait for itself

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    host = f"[{config.host}]" if ":" in config.host else config.host
    sys.stdout.write(f"sandbox listening on http://{host}:{server.server_port}\n")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=CHECK_FOR_STOP_S)
    finally:
        server.server_close()
        app.close()
