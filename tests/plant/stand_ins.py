"""The stand-in gateways as a process, and their control endpoints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import requests

from rushes.local.ports import free_ports
from rushes.local.process import Process

GENERATION_S = 0.5


class StandIns:
    """Five gateways that make small films, on a port of their own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self.port = folder, free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._session = requests.Session()
        self._session.trust_env = False

    def process(self) -> Process:
        argv = [sys.executable, "-m", "sandbox", "--port", str(self.port), "--allow-loopback-callbacks"]
        return Process(
            "sandbox", [*argv, "--data-dir", str(self._folder)], env={**os.environ, "PYTHONWARNINGS": "ignore"},
            ready=self._answers,
        )  # fmt: skip

    def reset(self) -> None:
        """No fault waits, nothing stalls, and tasks take their usual time."""
        self._session.delete(f"{self.url}/control/faults", timeout=10).raise_for_status()
        self.set(film="small", generation_s=GENERATION_S, callbacks=True, link_life_s=3600, task_life_s=3600)

    def empty(self) -> None:
        """The same, and nothing was ever sold."""
        self._session.post(f"{self.url}/control/reset", timeout=10).raise_for_status()
        self.reset()

    def set(self, **settings: Any) -> None:
        self._session.post(f"{self.url}/control/settings", json=settings, timeout=10).raise_for_status()

    def fault(self, provider: str, fault: str, **params: Any) -> None:
        body = {"provider": provider, "fault": fault, **params}
        answer = self._session.post(f"{self.url}/control/faults", json=body, timeout=10)
        assert answer.ok, answer.text

    def tasks(self, prompt: str | None = None) -> list[dict[str, Any]]:
        """What was sold, oldest first: all of it, or to one prompt."""
        found: list[dict[str, Any]] = self._session.get(f"{self.url}/control/tasks", timeout=10).json()["tasks"]
        return [task for task in found if prompt in (None, task["prompt"])]

    def call_back(self, task: dict[str, Any], **more: Any) -> int | None:
        """The gateway calls back now; the status of our answer."""
        body = {"provider": task["provider"], "task_id": task["task_id"], **more}
        status: int | None = self._session.post(f"{self.url}/control/callback", json=body, timeout=30).json()["status"]
        return status

    def _answers(self) -> bool:
        try:
            return self._session.get(f"{self.url}/control/settings", timeout=1).ok
        except requests.ConnectionError:
            return False
