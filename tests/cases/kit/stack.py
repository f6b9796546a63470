"""The service as people start it, `rushes up`, and the stand-in gateways as a process beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import requests

from jobs.machine.states import ENDED
from kit import CHECKOUT, folder, port

BIN = CHECKOUT / ".venv" / "bin"
BETWEEN_LOOKS_S = 0.3
STOPPED_WITHIN_S = 40


def clean_environment() -> dict[str, str]:
    """Ours without the service's settings, and without the old names, which the service must not need."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RUSHES_", "AWS_")) and name != "PYTHONPATH"
    }


def http(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """The status, and the JSON or else the text that was answered."""
    with requests.Session() as session:
        session.trust_env = False
        said: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = session.request(method, url, headers=headers, timeout=60, allow_redirects=False, **said)
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


def _within(seconds: float, condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Whether it comes to be in time, and while the process runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if condition():
                return True
        time.sleep(BETWEEN_LOOKS_S)
    return False


class Sandbox:
    """Stand-ins for the five gateways; each has its name as its path below `url`."""

    def __init__(self, speed: float = 10) -> None:
        self._port = port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._options = ("--port", str(self._port), "--speed", str(speed), "--allow-loopback-callbacks")

    def __enter__(self) -> Self:
        argv = [sys.executable, "-m", "sandbox", *self._options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(argv, cwd=CHECKOUT, env=clean_environment(), **quiet)
        if not _within(20, lambda: http("GET", f"{self.url}/control/tasks")[0] == 200, self.process):
            self.__exit__()
            sys.exit("The sandbox has not started.")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    def fault(self, provider: str, fault: str, **params: Any) -> None:
        status, said = http("POST", f"{self.url}/control/faults", {"provider": provider, "fault": fault, **params})
        if status >= 300:
            sys.exit(f"The sandbox does not know the fault {fault}: {said}")

    def clear(self) -> None:
        """No fault is left."""
        http("DELETE", f"{self.url}/control/faults")


class Stack:
    """`rushes up` with these gateways, by name and base URL. `more`: settings in lower case, without RUSHES_."""

    def __init__(self, gateways: Mapping[str, str], **more: Any) -> None:
        self.port, self.data = port(), folder() / "data"
        self.url = f"http://127.0.0.1:{self.port}"
        numbers: dict[str, Any] = {
            "data_dir": self.data,
            "url": self.url,
            "public_url": self.url,
            "allow_private_addresses": 1,
            "poll_interval_s": 1,
            "sweep_interval_s": 1,
        }
        for name, url in gateways.items():
            numbers[f"{name}_base_url"] = url
            numbers[f"{name}_api_key"] = "afk_sandbox" if name == "apiframe" else "sk-sandbox"
        numbers |= more
        self.env = clean_environment() | {f"RUSHES_{name.upper()}": str(value) for name, value in numbers.items()}
        self.env["PATH"] = f"{BIN}{os.pathsep}{self.env['PATH']}"
        self.log = self.data.parent / "up.log"

    def __enter__(self) -> Self:
        argv = [BIN / "rushes", "up", "--port", str(self.port), "--data-dir", self.data]
        with self.log.open("wb") as log:
            self.up = subprocess.Popen(argv, cwd=CHECKOUT, env=self.env, stdout=log, stderr=log, start_new_session=True)
        if not self.ready(90):
            self.__exit__()
            sys.exit(f"rushes up has not become ready: {self.log.read_text(errors='replace')[-1000:]}")
        self.local = json.loads((self.data / "local.json").read_text())
        self.key = self.local["api_key"]["key"]
        return self

    def __exit__(self, *_: object) -> None:
        if self.up.poll() is not None:
            return
        self.up.terminate()
        try:
            self.up.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.up.pid, signal.SIGKILL)
            self.up.wait()

    def ready(self, seconds: float) -> bool:
        """Whether the service says within this time that it is ready."""
        return _within(seconds, lambda: http("GET", f"{self.url}/readyz")[0] == 200, self.up)

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer. Headers are named with underscores: `Idempotency_Key="k"`."""
        sent = {"Authorization": f"Bearer {self.key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return http(method, f"{self.url}{path}", body, sent)

    def submit(self, prompt: str, provider: str | list[str], **more: Any) -> str:
        """Order two seconds of video; the job's id."""
        order = {"prompt": prompt, "provider": provider, "resolution": "720p", "duration": 2, **more}
        status, said = self.api("POST", "/v1/jobs", order)
        if status != 202:
            sys.exit(f"The order was answered {status}: {said}")
        return str(said["id"])

    def job(self, job_id: str) -> Any:
        return self.api("GET", f"/v1/jobs/{job_id}")[1]

    def events(self, job_id: str) -> Any:
        return self.api("GET", f"/v1/jobs/{job_id}/events")[1]["data"]

    def wait(self, job_ids: Iterable[str], seconds: float) -> dict[str, Any]:
        """The jobs by id, as soon as all have ended, at the latest after so many seconds."""
        wanted, end = list(job_ids), time.monotonic() + seconds
        while True:
            found = {job_id: self.job(job_id) for job_id in wanted}
            if all(job["state"] in ENDED for job in found.values()) or time.monotonic() >= end:
                return found
            time.sleep(BETWEEN_LOOKS_S)

    def cli(self, *words: str) -> tuple[int, bytes]:
        """A command of `rushes`: its exit status, and what it printed, errors last."""
        done = subprocess.run([BIN / "rushes", *words], cwd=CHECKOUT, env=self.env, capture_output=True, timeout=120)
        return done.returncode, done.stdout + done.stderr
