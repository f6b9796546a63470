"""What compose would run, run: its commands and its environment as plain processes, its hosts mapped to loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import compose_file
import pytest
import requests

from jobs.buckets import bucket
from jobs.settings import load
from rushes.local.ports import free_ports, port_is_free
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey
from storage.bucket import ASIDE_TYPE
from storage.keys import unproven_key

PROCESSES = ("web", "worker", "transfer", "notify", "sweep", "beat")
GRACE_S = 30
ENV = compose_file.filled_in()
SERVICES = compose_file.services(ENV)


@dataclass(frozen=True)
class Host:
    """One machine with the stores on it, in place of compose's network."""

    folder: Path
    supervisor: Supervisor
    places: dict[str, str]  # what compose's words are on this machine

    @property
    def url(self) -> str:
        return self.here("http://127.0.0.1:8080")

    def here(self, text: str) -> str:
        for there, here in self.places.items():
            text = text.replace(there, here)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """That of the service and nothing of ours but where the programs are; a folder of its own as its volume."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        given = compose_file.environment(SERVICES[name], ENV)
        told = {variable: self.here(value) for variable, value in given.items()}
        path = f"{Path(sys.executable).parent}:{os.defpath}"
        return told | {"PATH": path, "RUSHES_DATA_DIR": str(folder), "TMPDIR": str(folder)}

    def process(self, name: str, ready: Callable[[], bool] | None = None) -> Process:
        command = [self.here(word) for word in compose_file.command(SERVICES[name])]
        environment = self.environment(name)
        folder = Path(environment["RUSHES_DATA_DIR"])
        return Process(
            name, command, environment, cwd=folder, ready=ready, ready_timeout_s=90, grace_s=GRACE_S, stage=1
        )

    def is_healthy(self, name: str, role: str | None = None) -> bool:
        """What the service's own health check says; that of `role`, if it is asked about another."""
        kind, program, *arguments = SERVICES[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        arguments = [self.here(word) for word in arguments]
        if role is not None:
            arguments[-1] = role
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            env=self.environment(name),
            cwd=self.folder / name,
            timeout=30,
            check=False,
        )
        return done.returncode == 0

    def prunes_what_is_kept_aside(self) -> bool:
        """Whether the service's own loop, with a sleep that ends it, deletes an old film of the bucket."""
        env = self.environment("prune") | {"RUSHES_KEEP_ASIDE_D": "1e-9"}
        folder = self.folder / "prune"
        (folder / "sleep").write_text("#!/bin/sh\nkill -TERM $PPID\n")
        (folder / "sleep").chmod(0o755)
        film = unproven_key("", "0" * 64)
        archive = bucket(load(self.environment("transfer")))
        archive.put_small(film, b"no film", ASIDE_TYPE)
        command = compose_file.command(SERVICES["prune"])
        env["PATH"] = f"{folder}:{env['PATH']}"
        done = subprocess.run(command, env=env, cwd=folder, timeout=60, check=False)
        return done.returncode == -signal.SIGTERM and archive.head(film) is None

    def left_over(self) -> list[str]:
        """The command lines of processes, children's children too, that carry this folder in their environment."""
        mark, found = f"RUSHES_DATA_DIR={self.folder}/".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # gone, or not ours
                continue
        return found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    web, *ports = free_ports(3)
    postgres = Postgres(tmp_path / "postgres", ports[0], ENV["POSTGRES_PASSWORD"])
    valkey = Valkey(tmp_path / "valkey", ports[1], ENV["VALKEY_PASSWORD"])
    keys = ENV["AWS_ACCESS_KEY_ID"], ENV["AWS_SECRET_ACCESS_KEY"]
    seaweedfs = SeaweedFS(tmp_path / "seaweedfs", seaweedfs_ports(), *keys, bucket="rushes")
    postgres.prepare()
    try:
        with Supervisor() as supervisor:
            for store in (postgres, valkey, seaweedfs):
                supervisor.start(store.process())
            postgres.create_database("rushes")
            places = {
                "8080": str(web),  # first: another port may have these digits in it
                "postgres:5432": f"127.0.0.1:{postgres.port}",
                "valkey:6379": f"127.0.0.1:{valkey.port}",
                "http://seaweedfs:8333": seaweedfs.endpoint_url,
                "0.0.0.0": "127.0.0.1",
            }
            (tmp_path / "services").mkdir()
            yield Host(tmp_path / "services", supervisor, places)
    finally:
        postgres.remove()


@pytest.mark.timeout(300)  # some twenty processes, on a machine that may be busy
def test_the_processes_of_the_compose_file_become_ready_and_leave_nothing_behind(host: Host) -> None:
    said: dict[str, object] = {}

    def ready() -> bool:
        try:
            answer = requests.get(f"{host.url}/readyz", timeout=2)
        except (requests.ConnectionError, requests.Timeout):
            return False
        said.update(answer.json()["parts"])
        return answer.status_code == 200

    def lives() -> bool:
        return host.is_healthy("web")

    host.supervisor.finish(host.process("migrate"))
    assert host.prunes_what_is_kept_aside()
    host.supervisor.start(host.process("web", lives))
    assert not host.is_healthy("beat"), "nobody has heard of it yet"
    for name in PROCESSES[1:]:
        host.supervisor.start(host.process(name, ready if name == PROCESSES[-1] else None))

    assert said == dict.fromkeys(["database", "valkey", "bucket", "spool", *PROCESSES[1:]], "ok")
    assert all(host.is_healthy(name) for name in PROCESSES)
    assert not host.is_healthy("worker", role="nobody")
    assert len(host.left_over()) >= len(PROCESSES)

    for name in reversed(PROCESSES):
        began = time.monotonic()
        host.supervisor.stop_one(name)
        assert time.monotonic() - began < GRACE_S, f"{name} had to be killed"
    assert host.left_over() == []
    assert port_is_free(int(host.places["8080"]))
