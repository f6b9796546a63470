"""Serving the sandbox: werkzeug's threaded server, because it lets a fault reach the socket under an answer."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox.app import Sandbox, create_app
from sandbox.settings import Config

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


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then end at once. Says its address on standard output when it is ready."""
    app = create_app(config)
    sandbox: Sandbox = app.extensions["sandbox"]
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
        sandbox.close()
