"""`rushes demo` as people use it."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from whole_machine import Command, launch, living, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes the Linux way"),
    pytest.mark.timeout(300),
]

Demo = Callable[..., Command]
PROVIDERS = {"aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink"}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Starts `rushes demo`, with a temporary folder of its own."""
    started: list[Command] = []
    (tmp_path / "tmp").mkdir()

    def start(*arguments: str, **more: str) -> Command:
        command = launch(tmp_path, "demo", "demo", *arguments, TMPDIR=str(tmp_path / "tmp"), **more)
        started.append(command)
        return command

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


def test_the_demo_archives_and_saves_five_videos(tmp_path: Path, demo: Demo) -> None:
    # What the environment says of a real installation has no part in it.
    command = demo("--json", "--output", "films", "--picture", "table.svg", RUSHES_EVOLINK_API_KEY="a-real-one")
    command.until_said("making and archiving")
    tree = command.tree()
    assert command.process.wait(120) == 0, command.said()
    takes = json.loads(command.out.read_text())
    assert {take["provider"] for take in takes} == PROVIDERS
    for take in takes:
        video, poster = tmp_path / take["video"], tmp_path / take["poster"]
        assert video == tmp_path / "films" / f"{take['provider']}.mp4"
        assert hashlib.sha256(video.read_bytes()).hexdigest() == take["sha256"]
        assert video.stat().st_size == take["bytes"]
        assert poster.read_bytes()[:3] == b"\xff\xd8\xff"
        assert (take["state"], take["width"], take["height"], take["trouble"]) == ("archived", 1280, 720, None)
        assert take["duration_s"] == pytest.approx(2, abs=0.2)
        assert take["key"].endswith(f"/{take['job']}.mp4")
        assert take["by"] in ("callback", "poll")
    assert {take["provider"] for take in takes if take["by"] == "callback"} <= {"aivideoapi", "apiframe", "evolink"}
    (address,) = re.findall(r"see them at file://(\S+)", command.said())
    page = Path(address)
    assert page.parent == tmp_path / "films"
    shown = re.findall(r'(?:src|poster)="([^"]+)"', page.read_text())
    assert len(shown) == 2 * len(PROVIDERS)
    assert all((page.parent / name).is_file() for name in shown)
    picture = (tmp_path / "table.svg").read_text()
    assert picture.startswith("<svg")
    assert "@font-face" not in picture
    assert not living(tree)
    assert not list((tmp_path / "tmp").glob("rushes-demo-*"))


def test_it_is_left_running_for_a_browser_until_ctrl_c(tmp_path: Path, demo: Demo) -> None:
    command = demo("--keep-running")
    command.until_said("Ctrl-C stops everything")
    said, tree = command.out.read_text(), command.tree()
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/console/videos", said)
    (key,) = set(re.findall(r"rk_[0-9a-f]{40}", said))
    visitor = requests.Session()
    form = {"key": key, "next": "/console/videos"}
    page = visitor.post(address.replace("/videos", "/sign-in"), data=form, timeout=10)
    assert (page.url, page.status_code) == (address, 200)
    assert len(set(re.findall(r"/console/jobs/(job_\w+)/poster", page.text))) == len(PROVIDERS)
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(30) == 0, command.said()
    until(lambda: not living(tree), within_s=5)
    assert not list((tmp_path / "tmp").glob("rushes-demo-*"))


@pytest.mark.prove  # test_up.py has the same for `rushes up`
@pytest.mark.parametrize("moment", ["starting valkey", "starting web", "making and archiving"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, demo: Demo, moment: str) -> None:
    command = demo()
    command.until_said(moment)
    tree = command.tree()
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(30) == 130, command.said()
    until(lambda: not living(tree), within_s=5)
    assert "error: stopped by SIGINT" in command.said()
    assert not list((tmp_path / "tmp").glob("rushes-demo-*"))
