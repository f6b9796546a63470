"""HTTP servers in a thread of the test process."""

from __future__ import annotations

import threading
from socketserver import BaseServer

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _Silent(WSGIRequestHandler):
    """Logs no request line: it would have the signatures of links in clear, which nothing of ours may log."""

    def log_request(self, *_: object) -> None: ...


class Served:
    """A server that works until it is closed. It hears of that at once: `serve_forever` alone looks twice a second."""

    def __init__(self, server: BaseServer, scheme: str = "http"):
        self._server = server
        self.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve_app(app: Flask) -> Served:
    """A Flask app on a free port."""
    return Served(make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent))
