"""docs/restore.md as an operator follows it: its own commands, in its order, on a machine that lost its database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_machine import RUSHES, Command, environment, launch, run, until

from rushes.local.ports import free_ports

ROOT = Path(__file__).parents[2]
SHELL_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="`rushes up` runs its stores the Linux way"),
    pytest.mark.timeout(300),
    pytest.mark.prove,
]


def steps() -> list[str]:
    """The page's shell blocks, in order."""
    page = (ROOT / "docs" / "restore.md").read_text(encoding="utf-8")
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in SHELL_BLOCK.findall(page)]


class Machine:
    """A data folder, the service on it, and an operator with a shell beside it."""

    def __init__(self, folder: Path, sandbox: Any):
        self.folder = folder
        self._port = free_ports(1)[0]
        self._env = {
            "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
            "RUSHES_PUBLIC_URL": f"http://127.0.0.1:{self._port}",
            "RUSHES_POLL_INTERVAL_S": "3600",  # what comes home, comes home by its callback
        }
        for name in ("evolink", "aivideoapi"):
            self._env[f"RUSHES_{name.upper()}_API_KEY"] = "sk-sandbox"
            self._env[f"RUSHES_{name.upper()}_BASE_URL"] = f"{sandbox.url}/{name}"
        self.ups: list[Command] = []

    def up(self) -> None:
        name = f"up{len(self.ups)}"
        self.ups.append(launch(self.folder, name, "up", "--port", str(self._port), **self._env))
        self.ups[-1].until_said("Rushes is up at")

    def stop(self) -> None:
        process = self.ups[-1].process
        process.terminate()
        assert process.wait(60) == 0, self.ups[-1].said()

    def follow(self, block: str) -> str:
        """Run a block of the page; it must not fail anywhere."""
        env = environment(**self._env)
        env["PATH"] = f"{Path(RUSHES).parent}{os.pathsep}{env['PATH']}"
        argv = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def rushes(self, *arguments: str) -> Any:
        done = run(self.folder, *arguments, "--json", **self._env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1] if arguments[:2] == ("jobs", "watch") else done.stdout)

    def order(self, provider: str) -> str:
        asked = ["--provider", provider, "--resolution", "720p", "--duration", "2"]
        return str(self.rushes("submit", "A red fox", *asked)["id"])

    def state(self, job_id: str) -> str:
        return str(self.rushes("jobs", "show", job_id)["state"])

    def orders(self, job_id: str) -> list[tuple[str, str]]:
        return [(each["provider"], each["outcome"]) for each in self.rushes("jobs", "show", job_id)["attempts"]]


@pytest.fixture
def machine(tmp_path: Path, sandbox: Any) -> Iterator[Machine]:
    folder = tmp_path / "machine"
    folder.mkdir()
    made = Machine(folder, sandbox)
    yield made
    for command in made.ups:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


def test_what_was_ordered_between_backup_and_loss_is_not_ordered_again_and_comes_home(
    machine: Machine, sandbox: Any
) -> None:
    backup, put_back, restored, start, look = steps()
    assert start.strip() == "rushes up"
    machine.up()
    sandbox.fault("evolink", "refuse", status=429, retry_after=20)
    sandbox.fault("evolink", "lose_callback")
    waiting = machine.order("evolink")
    until(lambda: machine.orders(waiting) == [("evolink", "refused")])
    assert machine.state(waiting) == "queued"
    assert not sandbox.tasks("evolink")

    as_of = machine.follow(backup).splitlines()[0]
    assert as_of.endswith("Z")
    assert (machine.folder / "rushes-backup.as-of").read_text().strip() == as_of

    late = machine.order("aivideoapi")  # the backup will not know it
    until(lambda: machine.state(late) == "archived")
    until(lambda: machine.state(waiting) == "generating")  # it was ordered after all
    machine.stop()

    machine.follow(put_back)
    assert "1 are unconfirmed now" in machine.follow(restored)
    machine.up()
    assert machine.state(waiting) == "unconfirmed"
    assert "its job is built again" in machine.follow(look)
    assert machine.state(late) == "archived"
    told = machine.rushes("attention")
    assert [(item["reason"], item["job_id"]) for item in told["data"]] == [("unconfirmed", waiting)]

    (task,) = sandbox.tasks("evolink")
    assert sandbox.call_back("evolink", task["task_id"]) == 200
    job = machine.rushes("jobs", "watch", waiting, "--timeout", "60")
    assert (job["state"], job["task_id"]) == ("archived", task["task_id"])
    assert len(sandbox.tasks()) == 2
    assert machine.rushes("audit", "--deep")["balances"]
    machine.stop()
