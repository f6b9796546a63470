"""`rushes up --sandbox` as people use it: its processes, its data folder, its ends."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from whole_machine import Command, Pid, launch, living, run, until

from rushes.local.ports import free_ports

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes the Linux way"),
    pytest.mark.timeout(300),
]

Up = Callable[..., Command]
STOPPED_WITHIN_S = 30
IMPORTED = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)
# What it asks stores with, and what its processes do their work with, is for processes that end or do that work.
NOT_KEPT = {
    "alembic",
    "av",
    "boto3",
    "botocore.session",
    "celery",
    "flask",
    "psycopg",
    "redis",
    "rich",
    "sqlalchemy",
    "valkey",
}


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def up(tmp_path: Path, port: int) -> Iterator[Up]:
    """Starts `rushes up --sandbox` in a folder of its own; what a failed test leaves running is killed."""
    started: list[Command] = []

    def start(*arguments: str, **more: str) -> Command:
        flags = ["--sandbox", "--speed", "30", "--port", str(port), *arguments]
        command = launch(tmp_path, f"up{len(started)}", "up", *flags, **more)
        started.append(command)
        return command

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


def archive_one(folder: Path) -> dict[str, Any]:
    """Submit a job by the command line, and wait for its video."""
    asked = ["--provider", "evolink", "--resolution", "720p", "--duration", "2", "--metadata", "shot=1"]
    done = run(folder, "submit", "A red fox", *asked, "--wait", "--timeout", "60", "--json")
    assert done.returncode == 0, done.stderr
    job: dict[str, Any] = json.loads(done.stdout)
    assert (job["state"], job["metadata"]) == ("archived", {"shot": "1"})
    return job


def ended(command: Command, tree: set[Pid]) -> int:
    """Wait for its end and that of everything below it; its exit status."""
    status = command.process.wait(STOPPED_WITHIN_S)
    until(lambda: not living(tree), within_s=5)
    return status


def test_up_makes_videos_is_alone_in_its_folder_stops_and_goes_on(tmp_path: Path, up: Up, port: int) -> None:
    first = up()
    first.until_said("Rushes is up at")
    assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    key = next(word for word in first.out.read_text().split() if word.startswith("rk_"))
    assert "callback key       k1" in first.out.read_text()
    assert "PRIVATE ADDRESSES ARE ALLOWED" in first.err.read_text()
    folder = tmp_path / ".rushes"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (folder, folder / "local.json")] == [0o700, 0o600]
    job = archive_one(tmp_path)

    refused = run(tmp_path, "up", "--sandbox")
    assert refused.returncode == 1
    assert f"in use by process {first.process.pid}" in refused.stderr
    elsewhere = run(tmp_path, "up", "--sandbox", "--port", str(port), "--data-dir", "elsewhere")
    assert elsewhere.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in elsewhere.stderr

    tree = first.tree()
    first.process.terminate()
    assert ended(first, tree) == 0, first.said()

    again = up(RUSHES_KEEP_HISTORY_D="0.00001")
    again.until_said("Rushes is up at")
    assert "rk_" not in again.out.read_text()
    printed = again.out.read_text().splitlines()
    console = next(line.split()[3] for line in printed if line.startswith("in a browser"))
    page = requests.post(f"{console}console/sign-in", data={"key": key}, timeout=5)
    assert (page.status_code, "<h1>Overview</h1>" in page.text) == (200, True)
    reference = next(line.split()[2] for line in printed if line.startswith("API reference"))
    assert requests.get(reference, auth=("", key), timeout=5).headers["Content-Type"].startswith("text/html")
    assert "valkey" not in again.said().replace("starting valkey", "")
    logs = [path for path in (folder / "logs").iterdir() if path.stat().st_size]
    assert {path.name for path in logs} == {"valkey.log", "seaweedfs.log"}
    same = requests.get(
        f"http://127.0.0.1:{port}/v1/jobs/{job['id']}", headers={"Authorization": f"Bearer {key}"}, timeout=5
    )
    assert same.json() == job
    made = json.loads(run(tmp_path, "keys", "create", "bob", "--json").stdout)
    mine = run(tmp_path, "jobs", "list", "--json", RUSHES_API_KEY=made["key"])
    assert [found["id"] for found in json.loads(mine.stdout)["data"]] == [job["id"]]
    assert run(tmp_path, "jobs", "list", RUSHES_API_KEY="rk_unknown").returncode == 4
    assert run(tmp_path, "jobs", "show", "job_unknown").returncode == 3
    assert run(tmp_path, "submit", "fox", "--resolution", "8k").returncode == 2
    assert json.loads(run(tmp_path, "sweep", "--once", "--json", RUSHES_KEEP_HISTORY_D="0.00001").stdout) == {"ran": 0}

    _, _, pasted = again.out.read_text().partition("or with            ")
    asked = subprocess.run(["sh", "-c", "\n".join(pasted.splitlines()[:2])], cwd="/", capture_output=True, text=True)
    assert json.loads(asked.stdout)["state"] == "queued", asked.stderr
    again.until_said("deleted the history of 1 job")
    shown = json.loads(run(tmp_path, "jobs", "show", job["id"], "--json").stdout)
    assert [event["event"] for event in shown["events"]] == ["pruned"]

    def serving() -> set[Pid]:
        return {pid for line, pid in again.names().items() if "granian" in line}

    first_web = serving()
    os.kill(min(first_web).number, signal.SIGKILL)
    again.until_said("starting it again in 1 s)")  # whichever it was, granian's main process or its worker
    until(lambda: serving() and not serving() & first_web and is_ready(port))
    tree = again.tree()
    again.process.terminate()
    assert ended(again, tree) == 0, again.said()


def test_up_keeps_no_memory_of_what_only_its_start_needs(up: Up) -> None:
    command = up(PYTHONPROFILEIMPORTTIME="1")  # it alone hears of this: its processes have an environment of their own
    command.until_said("Rushes is up at")
    tree = command.tree()
    command.process.terminate()
    assert ended(command, tree) == 0, command.said()
    imported = set(IMPORTED.findall(command.err.read_text()))
    assert "rushes.local.supervisor" in imported
    assert imported & NOT_KEPT == set()


def is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def test_a_death_before_all_are_ready_and_a_failed_migration_end_it_at_once(tmp_path: Path, up: Up) -> None:
    folder = tmp_path / ".rushes"
    folder.mkdir()
    (folder / "rushes.db").write_text("no database\n" * 1000)
    failed = up()
    assert failed.process.wait(60) == 9, failed.said()
    assert failed.said().count("bringing the database up to date") == 1
    (folder / "rushes.db").unlink()

    dying = up()
    dying.until_said("starting web")
    until(lambda: any("granian" in line for line in dying.names()))
    tree = dying.tree()
    os.kill(next(pid for line, pid in dying.names().items() if "granian" in line).number, signal.SIGKILL)
    assert ended(dying, tree) == 1
    assert "error: web " in dying.said()


@pytest.mark.prove
def test_nothing_is_left_of_an_up_that_was_killed_and_the_next_one_goes_on(tmp_path: Path, up: Up) -> None:
    killed = up()
    killed.until_said("Rushes is up at")
    job = archive_one(tmp_path)
    tree = killed.tree()
    lines = " ".join(killed.names())
    for name in ("valkey-server", "weed", "sandbox", "granian", "worker@", "transfer@", "probe_helper"):
        assert name in lines
    killed.process.kill()
    assert ended(killed, tree) == -signal.SIGKILL

    following = up("--json")
    following.until_said('"url"')
    assert json.loads(following.out.read_text())["api_key"] is None
    shown = json.loads(run(tmp_path, "jobs", "show", job["id"], "--json").stdout)
    assert shown["events"][-1]["to_state"] == "archived"
    tree = following.tree()
    following.process.send_signal(signal.SIGINT)
    assert ended(following, tree) == 0


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param("starting valkey", signal.SIGINT, marks=pytest.mark.prove),
        pytest.param("bringing the database", signal.SIGHUP, marks=pytest.mark.prove),
        ("starting web", signal.SIGTERM),
    ],
)
def test_a_signal_during_the_start_stops_everything(up: Up, moment: str, number: signal.Signals) -> None:
    command = up()
    command.until_said(moment)
    tree = command.tree()
    command.process.send_signal(number)
    assert ended(command, tree) == 0, command.said()
    assert f"stopped by {number.name}" in command.said()
