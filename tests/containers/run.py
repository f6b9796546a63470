"""`make containers`: docker-compose.yml under an engine, with stand-ins for the gateways; all goes again at the end.

Jobs are archived, by callbacks through the proxy; nobody without a key gets anything at any port of the stores; the
doctor passes; a dump is there, and what was old is pruned; nothing had to be started again; every process is killed
and comes back; what was under way is archived.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from engine import BIN, GATEWAYS, ROOT, compose, engine, prepare_images, run

from jobs.providers.registry import PROVIDERS
from rushes.local.certificate import write_certificate

PROJECT, DOMAIN, JOBS_OF_EACH = "rushes-trial", "rushes.internal", 4
KILLED = ("proxy", "web", "worker", "transfer", "notify", "sweep", "beat", "postgres", "valkey", "seaweedfs")
READY = "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/readyz', timeout=3)"
FILM = "rushes/videos/a.mp4"
STORES = ("seaweedfs", "valkey", "postgres")


class Trial:
    """One installation, in a folder of its own."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder = folder
        self._compose = [*command, "--project-name", PROJECT, "--project-directory", str(folder)]
        self._compose += ["--file", str(folder / "docker-compose.yml")]
        self._key = ""

    def compose(self, *words: str) -> str:
        return run(*self._compose, *words, cwd=self._folder)

    def inside(
        self, service: str, *words: str, given: str | None = None, **told: str
    ) -> subprocess.CompletedProcess[str]:
        options = [f"--env={name}={value}" for name, value in told.items()]
        command = ["docker", "exec", "--interactive", *options, self.container(service), *words]
        return subprocess.run(command, input=given, text=True, capture_output=True, timeout=120, check=False)

    def container(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).strip()

    def await_ready(self, within_s: float = 180) -> float:
        """Seconds until /readyz says that every part is well."""
        return await_(
            "every part is ready", lambda: self.inside("web", "python", "-c", READY).returncode == 0, within_s
        )

    def trust_the_proxy(self) -> None:
        root = self.inside("proxy", "cat", "/data/caddy/pki/authorities/local/root.crt").stdout
        for service in ("web", "gateways"):
            assert self.inside(service, "sh", "-c", "cat > /tmp/root.crt", given=root).returncode == 0

    def make_key(self) -> None:
        self._key = json.loads(self.inside("web", "rushes", "keys", "create", "trial", "--json").stdout)["key"]

    def submit(self, prompt: str, provider: str) -> None:
        order = ["rushes", "submit", prompt, "--resolution", "720p", "--duration", "2", "--provider", provider]
        done = self.inside("web", *order, RUSHES_API_KEY=self._key)
        assert done.returncode == 0, done.stderr

    def await_archived(self, count: int) -> None:
        def archived() -> bool:
            asked = self.inside("web", "rushes", "jobs", "list", "--limit", "100", "--json", RUSHES_API_KEY=self._key)
            states = [job["state"] for job in json.loads(asked.stdout)["data"]] if asked.returncode == 0 else []
            return states == ["archived"] * count

        await_(f"{count} jobs are archived", archived, 180)

    def callbacks(self) -> dict[str, set[Any]]:
        """The statuses that each gateway's callbacks met."""
        asking = (
            "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8700/control/tasks').read().decode())"
        )
        tasks = json.loads(self.inside("gateways", "python", "-c", asking).stdout)["tasks"]
        found: dict[str, set[Any]] = {}
        for task in tasks:
            found.setdefault(task["provider"], set()).update(each["status"] for each in task["callbacks"])
        return found

    def doctor(self) -> None:
        done = self.inside("web", "rushes", "doctor", REQUESTS_CA_BUNDLE="/tmp/root.crt")
        print(done.stdout)
        assert done.returncode == 0

    def knock(self) -> None:
        """As a container that was told no key, at every port of every store that is open to it."""
        strangers = self._folder / "strangers.pem"
        write_certificate(strangers, "seaweedfs")
        name = f"{PROJECT}-stranger"
        run("docker", "run", "--detach", "--name", name, "--network", f"{PROJECT}_stores", GATEWAYS, "sleep", "600")
        try:
            for path in (ROOT / "tests" / "doors.py", strangers):
                run(
                    "docker",
                    "exec",
                    "--interactive",
                    name,
                    "sh",
                    "-c",
                    f"cat > /tmp/{path.name}",
                    input=path.read_text(),
                )
            for store in STORES:
                said = run("docker", "exec", name, "python", "/tmp/doors.py", store, FILM, "/tmp/strangers.pem")
                print(f"{store}: {said}", end="")
                assert json.loads(said)["ports"]
                assert json.loads(said)["granted"] == []
        finally:
            run("docker", "rm", "--force", name)

    def has_restarted(self) -> list[str]:
        """The containers that the engine had to start again, which their health need not show."""
        each = self.compose("ps", "--quiet").split()
        told = run("docker", "inspect", "--format", "{{.RestartCount}} {{.Name}}", *each)
        return [line for line in told.splitlines() if not line.startswith("0 ")]

    def kill_all(self) -> float:
        """SIGKILL for the main process of each; seconds until all is ready again."""
        for service in KILLED:
            pid = int(run("docker", "inspect", "--format", "{{.State.Pid}}", self.container(service)))
            os.kill(pid, signal.SIGKILL)
        return self.await_ready()


def await_(what: str, true: Callable[[], bool], within_s: float) -> float:
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > within_s:
            raise SystemExit(f"not within {within_s:g} s: {what}")
        time.sleep(0.5)  # between two looks
    return time.monotonic() - began


def files(folder: Path, *, as_it_stands: bool) -> None:
    """The compose file with stand-ins for the gateways, what it mounts, and a .env."""
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    shutil.copy(ROOT / ".env.example", folder)
    run(BIN / "rushes", "init", "--domain", DOMAIN, cwd=folder)
    with (folder / ".env").open("a") as env:
        for name in PROVIDERS:
            env.write(f"RUSHES_{name.upper()}_API_KEY=sk-sandbox\n")
            env.write(f"RUSHES_{name.upper()}_BASE_URL=http://gateways:8700/{name}\n")
        env.write(f"RUSHES_STAND_INS={','.join(PROVIDERS)}\n")
    file = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name in [name for name in file if name == "name" or name.startswith("x-")]:
        del file[name]
    there = [f"{DOMAIN}:host-gateway"]  # the proxy, as the world reaches it
    for service in file["services"].values():
        service.pop("build", None)  # it is built before
        if not as_it_stands:
            service.get("healthcheck", {}).pop("start_interval", None)
    file["services"]["web"]["extra_hosts"] = there
    command = "python -m sandbox --host 0.0.0.0 --port 8700 --speed 20 --api-key sk-sandbox --ca-bundle /tmp/root.crt"
    file["services"]["gateways"] = {
        "image": GATEWAYS,
        "init": True,
        "networks": ["outside", "edge"],
        "extra_hosts": there,
        "command": command,
    }
    (folder / "docker-compose.yml").write_text(yaml.safe_dump(file, sort_keys=False, width=1000))


@contextlib.contextmanager
def installation() -> Iterator[Trial]:
    command, as_it_stands = compose()
    file = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    prepare_images({service["image"] for service in file["services"].values()} - {"rushes:0.1"})
    folder = Path(tempfile.mkdtemp(prefix="rushes-trial-"))
    files(folder, as_it_stands=as_it_stands)
    trial = Trial(folder, command)
    try:
        trial.compose("up", "--detach")
        yield trial
    finally:
        trial.compose("down", "--volumes", "--timeout", "20")
        shutil.rmtree(folder)


def main() -> None:
    with engine(), installation() as trial:
        print(f"ready after {trial.await_ready():.0f} s", flush=True)
        trial.trust_the_proxy()
        trial.make_key()
        for number in range(JOBS_OF_EACH):
            for provider in PROVIDERS:
                trial.submit(f"Take {number} of a red fox", provider)
        count = JOBS_OF_EACH * len(PROVIDERS)
        trial.await_archived(count)
        called = trial.callbacks()
        print(f"{count} jobs archived; callbacks were answered {called}", flush=True)
        assert all(called[name] == ({200} if provider.callbacks else set()) for name, provider in PROVIDERS.items())
        trial.doctor()
        trial.knock()
        assert ".dump" in trial.inside("backup", "ls", "/var/lib/postgresql").stdout
        assert "deleted" in trial.compose("logs", "prune")
        assert trial.has_restarted() == []
        trial.submit("It was under way when everybody was killed", "evolink")
        print(f"all killed, and ready again after {trial.kill_all():.0f} s", flush=True)
        trial.await_archived(count + 1)
        print("what was under way is archived")


if __name__ == "__main__":
    sys.exit(main())
