"""Runs the whole service on one machine, for `rushes up` and `rushes demo`: which processes, in which order.

The Procfile is the list; the stores and the sandbox come before it.
"""

from __future__ import annotations

import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from jobs.settings import Settings, load
from rushes.local import installation, own_key, procfile
from rushes.local.folder import Folder
from rushes.local.output import OnLine
from rushes.local.own_key import ApiKey
from rushes.local.plan import SANDBOX_KEY, Flags, Plan, plan
from rushes.local.process import Process
from rushes.local.supervisor import Ended, Supervisor

ROOT = Path(__file__).parents[2]  # of the checkout, or where the packages of a wheel lie
PROCFILE = Path(__file__).parents[1] / "Procfile"
WEB, RELEASE = "web", "release"
STORES, SERVICE = 0, 1  # the service stops before what it stands on
READY_TIMEOUT_S = 60
POLL_S = 0.05

Say = Callable[[str], None]


class PortTaken(Exception):
    """Somebody else listens where the service should."""


@dataclass(frozen=True)
class Running:
    """A service that is up: every part has answered."""

    plan: Plan
    settings: Settings
    supervisor: Supervisor
    api_key: ApiKey

    @property
    def url(self) -> str:
        return self.plan.url


@contextmanager
def running(
    data_dir: Path, flags: Flags, environ: Mapping[str, str], *, on_line: OnLine, say: Say
) -> Iterator[Running]:
    """Start everything, and stop everything at the end, whatever its reason. `say` hears what is being waited for.

    Raises FolderError, BadSettings and PortTaken before anything is started; Ended when a signal comes, when a part
    dies before all have been ready once, and when one dies too often after that.
    """
    with Folder(data_dir) as folder, Supervisor(on_line, install_signals=True) as supervisor:
        if not folder.path.stat().st_mode & stat.S_ISVTX:  # somebody's /tmp stays as it is
            folder.path.chmod(0o700)
        kept = installation.with_free_ports(folder.load_or_create(installation.new_installation()))
        planned = plan(environ, kept, flags, data_dir=data_dir, bin_dir=Path(sys.executable).parent)
        settings = load(planned.service)
        host = planned.service.get("RUSHES_HOST") or "127.0.0.1"
        if not installation.becomes_free(flags.port, host):
            raise PortTaken(f"port {flags.port} of {host} is taken by another program")
        supervisor.check()
        # `rushes keys` and others complete their settings from this.
        served = {"url": planned.url, **vars(flags), "outside": list(planned.outside)}
        kept = {**kept, "served": served}
        folder.save(kept)
        service = service_processes(planned)
        stores = local_servers(planned)
        if stores:
            say(f"starting {', '.join(process.name for process in stores)} …")
            _start_together(supervisor, stores)
        say("bringing the database up to date …")
        supervisor.finish(release(planned))
        supervisor.finish(Process("key", [sys.executable, "-m", own_key.__name__], env=planned.service, cwd=ROOT))
        key = own_key.kept(folder.path, kept)
        say(f"starting {', '.join(service)} …")
        for process in service.values():
            supervisor.start(process)
        _wait_until_ready(supervisor, planned.url)
        supervisor.keep_up(_readiness(planned.url, stores))
        yield Running(planned, settings, supervisor, key)


def release(planned: Plan) -> Process:
    """What comes before the Procfile's processes, once, and ends."""
    return Process(RELEASE, ["rushes", "db", "upgrade"], env=planned.service, cwd=ROOT)


def service_processes(planned: Plan) -> dict[str, Process]:
    """The Procfile's processes by name, in its order."""
    commands = procfile.parse(PROCFILE.read_text(encoding="utf-8"), planned.service)
    return {
        name: Process(
            name,
            command,
            env=planned.service,
            cwd=ROOT,
            grace_s=10,
            stage=SERVICE,
        )
        for name, command in commands.items()
    }


def local_servers(planned: Plan) -> list[Process]:
    """What the service stands on, as far as it is started here."""
    found = []
    if planned.valkey:
        found.append(replace(planned.valkey.process(stage=STORES), env=planned.bare, log=_log(planned, "valkey")))
    if planned.seaweedfs:
        told = {**planned.bare, **planned.seaweedfs.told}
        found.append(replace(planned.seaweedfs.process(stage=STORES), env=told, log=_log(planned, "seaweedfs")))
    if planned.sandbox_port:
        found.append(_sandbox(planned, planned.sandbox_port))
    return found


def _log(planned: Plan, name: str) -> Path:
    return planned.data_dir / "logs" / f"{name}.log"


def _sandbox(planned: Plan, port: int) -> Process:
    def answers() -> bool:
        return _get(f"http://127.0.0.1:{port}/control/settings") is not None

    data_dir = planned.data_dir / "sandbox"
    data_dir.mkdir(mode=0o700, exist_ok=True)
    options = ["--port", str(port), "--data-dir", str(data_dir), "--speed", f"{planned.flags.speed:g}"]
    argv = [sys.executable, "-m", "sandbox", *options, "--allow-loopback-callbacks", "--api-key", SANDBOX_KEY]
    return Process("sandbox", argv, env=planned.bare, cwd=ROOT, ready=answers, stage=STORES)


def _start_together(supervisor: Supervisor, processes: list[Process]) -> None:
    """Start all, then wait until the last one is ready. Raises Ended as `Supervisor.start` does."""
    for process in processes:
        supervisor.start(replace(process, ready=None))
    for process in processes:
        assert process.ready is not None
        _await(supervisor, process.ready, process.ready_timeout_s, f"{process.name} is not ready".format)


def _wait_until_ready(supervisor: Supervisor, url: str) -> None:
    missing = "the web process does not answer"

    def ready() -> bool:
        nonlocal missing
        if (answer := _get(f"{url}/readyz")) is None:
            return False
        if answer.status_code == requests.codes.ok:
            return True
        said_no = (f"{name}: {said}" for name, said in _parts(answer).items() if said != "ok")
        missing = ", ".join(said_no) or answer.text[:200]
        return False

    _await(supervisor, ready, READY_TIMEOUT_S, lambda: missing)


def _readiness(url: str, stores: list[Process]) -> Callable[[str], bool]:
    """Whether a part is well, by its name: as it says itself, or, of those that serve nothing, as `/readyz` does."""
    own = {process.name: process.ready for process in stores if process.ready}

    def ready(name: str) -> bool:
        if name in own:
            return own[name]()
        answer = _get(f"{url}/{'livez' if name == WEB else 'readyz'}")
        if answer is None or name == WEB:
            return answer is not None and answer.status_code == requests.codes.ok
        return bool(_parts(answer).get(name) == "ok")

    return ready


def _parts(answer: requests.Response) -> dict[str, str]:
    """What `/readyz` says of each part; nothing where something else has answered."""
    try:
        return dict(answer.json()["parts"])
    except (ValueError, KeyError, TypeError):
        return {}


def _await(supervisor: Supervisor, true: Callable[[], bool], timeout_s: float, missing: Callable[[], str]) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        supervisor.check()
        if time.monotonic() > end:
            raise Ended(f"after {timeout_s:g} s: {missing()}", asked=False)
        time.sleep(POLL_S)
    supervisor.check()


def _get(url: str) -> requests.Response | None:
    """One quick question to this machine, past any proxy; None if nobody answers."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=2, allow_redirects=False)
        except requests.RequestException:
            return None
