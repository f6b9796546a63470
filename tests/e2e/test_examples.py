"""Every example as its reader would run it, beside one `rushes up --sandbox`."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from whole_machine import Command, until

from rushes.local.ports import free_ports
from rushes_client import Client

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="`rushes up` runs its stores the Linux way"),
    pytest.mark.timeout(300),
]


@dataclass
class Reader:
    """Whoever tries the examples: a folder with copies of them, and the environment that the page says to set."""

    folder: Path
    env: dict[str, str]
    started: list[Command] = field(default_factory=list)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120)

    def start(self, name: str, *argv: str) -> Command:
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(argv, cwd=self.folder, env=self.env, stdout=stdout, stderr=stderr)
        self.started.append(Command(process, out, err))
        return self.started[-1]

    def sha256(self, path: str) -> str:
        return hashlib.sha256((self.folder / path).read_bytes()).hexdigest()


@pytest.fixture
def reader(house: Any, tmp_path: Path) -> Iterator[Reader]:
    for example in EXAMPLES.iterdir():
        if example.is_file():
            shutil.copy(example, tmp_path)
    reader = Reader(tmp_path, house.environment())
    yield reader
    for command in reader.started:
        command.process.terminate()
    for command in reader.started:
        command.process.wait(60)


@pytest.fixture
def client(reader: Reader) -> Iterator[Client]:
    with Client(reader.env["RUSHES_URL"], reader.env["RUSHES_API_KEY"]) as client:
        yield client


def archived_sha256(client: Client, job_id: str) -> str:
    video = client.get(job_id).video
    assert video is not None
    return video.sha256


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_curl_alone_brings_a_video_home_and_orders_it_once(reader: Reader, client: Client) -> None:
    done = [reader.run("bash", "curl.sh", "A red fox in snow", "fox-take-1") for _ in range(2)]
    assert [each.returncode for each in done] == [0, 0], done
    assert done[0].stdout == done[1].stdout
    job_id = done[0].stdout.split()[0]
    assert done[0].stdout.splitlines() == [f"{job_id} is ordered", f"{job_id}.mp4: OK"]
    assert reader.sha256(f"{job_id}.mp4") == archived_sha256(client, job_id)
    refused = reader.run("bash", "curl.sh", "", "fox-take-2")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert json.loads(refused.stderr.partition("\n")[2])["errors"]["prompt"]


def test_a_pipeline_brings_all_its_scenes_home_and_starting_it_over_orders_nothing(
    reader: Reader, client: Client
) -> None:
    ran = reader.run("python", "pipeline.py", "scenes.jsonl", "scenes")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = [line.split(": ") for line in ran.stdout.splitlines()]
    assert [name for name, _ in lines] == ["scenes.jsonl:1", "scenes.jsonl:2", "scenes.jsonl:3"]
    for _, path in lines:
        assert reader.sha256(path) == archived_sha256(client, Path(path).stem)
    assert reader.run("python", "pipeline.py", "scenes.jsonl", "scenes").stdout == ran.stdout
    assert {job.id for job in client.iter(metadata={"scene": "2"})} == {Path(lines[1][1]).stem}

    wrong = reader.folder / "wrong.jsonl"
    wrong.write_text('{"prompt": "A red fox", "resolution": "8k"}\n')
    told = reader.run("python", "pipeline.py", "wrong.jsonl", "scenes")
    assert told.returncode == 1
    assert "wrong.jsonl:1: resolution:" in told.stderr


def test_a_celery_chain_goes_on_when_the_video_is_there_and_a_notice_starts_a_task(
    reader: Reader, client: Client
) -> None:
    worker = reader.start("worker", "celery", "-A", "celery_pipeline", "worker", "-Q", "pipeline", "-c", "2")
    ordered = [reader.run("python", "celery_pipeline.py", "A red fox in snow", "scene-12-take-1") for _ in range(2)]
    assert [each.returncode for each in ordered] == [0, 0], worker.said()
    assert ordered[0].stdout == ordered[1].stdout, "the same key was bought twice"
    path = ordered[0].stdout.strip()
    assert reader.sha256(path) == archived_sha256(client, Path(path).stem)

    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/notices"
    reader.start("receiver", "flask", "--app", "receive_notices", "run", "--port", str(port))
    until(lambda: _answers(url))
    assert requests.post(url, json={"type": "job.archived", "data": {"id": "job_1"}}, timeout=5).status_code == 401
    job = client.submit("A red fox in snow", resolution="720p", duration=2, notify_url=url)
    path = f"videos/{job.id}.mp4"
    until((reader.folder / path).exists)
    assert reader.sha256(path) == archived_sha256(client, job.id)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).status_code == 405
    except requests.RequestException:
        return False
