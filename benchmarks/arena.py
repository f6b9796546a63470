"""A whole service on this machine for a benchmark: SQLite, Valkey, SeaweedFS, the sandbox, the Procfile's processes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from rushes.local.plan import Flags
from rushes.local.ports import free_ports
from rushes.local.stack import Running, running

PROMPT = "A red fox runs through snow"


class Arena:
    """A client of the running service and of the sandbox's control endpoints."""

    def __init__(self, service: Running):
        self.service = service
        self.sandbox_url = f"http://127.0.0.1:{service.plan.sandbox_port}"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {service.api_key.key}"

    def submit(self, **request: Any) -> str:
        body = {"prompt": PROMPT, "resolution": "720p", "duration": 2, **request}
        answer = self._session.post(f"{self.service.url}/v1/jobs", json=body, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._session.get(f"{self.service.url}/v1/jobs/{job_id}", timeout=10).json()
        return found

    def events(self, job_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._session.get(
            f"{self.service.url}/v1/jobs/{job_id}/events", timeout=10
        ).json()["data"]
        return found

    def settle_not_made(self, job_id: str) -> None:
        """A person has found that the gateway has no task of the job's last order."""
        url = f"{self.service.url}/v1/jobs/{job_id}/attempts/{self.job(job_id)['attempt']}/settle"
        self._session.post(url, json={"made": False}, timeout=10).raise_for_status()

    def until_ended(self, job_ids: list[str], *, within_s: float, pause_s: float = 0.2) -> list[dict[str, Any]]:
        end = time.monotonic() + within_s
        left, ended = list(job_ids), []
        while left:
            job = self.job(left[0])
            if job["ended_at"]:
                ended.append(job)
                left.pop(0)
                continue
            self.service.supervisor.check()
            if time.monotonic() > end:
                raise SystemExit(f"{len(left)} jobs have not ended within {within_s} s; first: {job}")
            time.sleep(pause_s)
        return ended

    def set_sandbox(self, **settings: Any) -> None:
        requests.post(f"{self.sandbox_url}/control/settings", json=settings, timeout=5).raise_for_status()

    def fault(self, **fault: Any) -> None:
        requests.post(f"{self.sandbox_url}/control/faults", json=fault, timeout=5).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.sandbox_url}/control/faults", timeout=5).raise_for_status()

    def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.sandbox_url}/control/tasks", timeout=10).json()["tasks"]
        return found


@contextmanager
def arena(
    settings: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
    on_line: Callable[[str, str], None] = lambda name, line: None,
) -> Iterator[Arena]:
    """Starts everything in a temporary folder; prints the processes' lines only when something fails."""
    lines: list[str] = []

    def hear(name: str, line: str) -> None:
        lines.append(f"{name}: {line}")
        on_line(name, line)

    environ = {"PATH": os.environ["PATH"], "RUSHES_SWEEP_INTERVAL_S": "1", **(settings or {})}
    flags = Flags(port=port or free_ports(1)[0], sandbox=True)
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as folder:
        try:
            with running(
                Path(folder) / "data",
                flags,
                environ,
                on_line=hear,
                say=lambda _: None,
            ) as service:
                yield Arena(service)
        except BaseException:
            print("\n".join(lines[-50:]))
            raise
