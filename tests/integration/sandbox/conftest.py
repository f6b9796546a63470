"""A sandbox in a process of its own, on a free port, and a receiver to be called back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sandbox_caller import Caller, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    taken = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.calls.append((time.monotonic(), dict(self.headers), body))
            self.send_response(taken.statuses.pop(0) if taken.statuses else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.url = f"http://127.0.0.1:{server.server_port}/cb"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Caller]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--allow-loopback-callbacks"]
    errors = (tmp_path / "errors").open("w+")
    with (
        errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TMPDIR": str(tmp_path)},
        ) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        caller = Caller(address, process, tmp_path)
        caller.control("settings", {"generation_s": 0, "film": "small"})
        yield caller
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        errors.seek(0)
        assert errors.read() == ""
