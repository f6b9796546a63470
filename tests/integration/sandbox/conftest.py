"""A sandbox in a process of its own, on a free port, and a receiver to be called back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from sandbox_caller import Caller, Receiver
from served import Served


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

    served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    taken.url = f"{served.url}/cb"
    yield taken
    served.close()


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with started(tmp_path_factory.mktemp("sandbox")) as caller:
        yield caller


@pytest.fixture
def sandbox(running_sandbox: Caller) -> Caller:
    """As freshly started; it makes small films at once."""
    requests.post(f"{running_sandbox.address}/control/reset", timeout=10).raise_for_status()
    running_sandbox.control("settings", {"generation_s": 0, "film": "small"})
    return running_sandbox


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Caller]:
    """One for a test that ends it, or looks at its files."""
    with started(tmp_path) as caller:
        caller.control("settings", {"generation_s": 0, "film": "small"})
        yield caller


@contextmanager
def started(folder: Path) -> Iterator[Caller]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--allow-loopback-callbacks"]
    errors = (folder / "errors").open("w+")
    with (
        errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TMPDIR": str(folder)},
        ) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        yield Caller(address, process, folder)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        errors.seek(0)
        assert errors.read() == ""
