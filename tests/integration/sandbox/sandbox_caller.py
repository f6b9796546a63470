"""What the integration tests say to a running sandbox."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

PATIENCE_S = 20.0
KEY = {"Authorization": "Bearer sk-sandbox"}
FAULT = "X-Sandbox-Fault"


@dataclass
class Receiver:
    """The callbacks taken, as (monotonic time, headers, body), and the statuses to answer first."""

    url: str = ""
    calls: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@dataclass
class Caller:
    """A running sandbox. Orders go to EvoLink unless a test says otherwise."""

    address: str
    process: subprocess.Popen[str]
    folder: Path

    def control(self, path: str, body: Any = None) -> Any:
        answer = requests.request("POST" if body else "GET", f"{self.address}/control/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def order(self, timeout: float = 60, fault: str = "", **changes: Any) -> requests.Response:
        """The answer to an order; `fault` goes into the header."""
        body = {"model": "wan2.7-text-to-video", "prompt": "a fox", "duration": 2} | changes
        url = f"{self.address}/evolink/v1/videos/generations"
        return requests.post(url, json=body, headers={**KEY, FAULT: fault}, timeout=timeout)

    def report(self, task_id: str, fault: str = "") -> Any:
        url = f"{self.address}/evolink/v1/tasks/{task_id}"
        return requests.get(url, headers={**KEY, FAULT: fault}, timeout=10).json()

    def link(self, task_id: str) -> str:
        """The finished task's link, once it has one."""
        return str(until(lambda: self.report(task_id).get("results"))[0])

    def tasks(self) -> list[dict[str, Any]]:
        return list(self.control("tasks")["tasks"])


def until(found: Callable[[], Any]) -> Any:
    """What `found` returns, as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain")
