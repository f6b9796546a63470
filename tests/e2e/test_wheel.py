"""The wheel: what it holds, and the service run from it in an empty environment, with no checkout about."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from whole_machine import environment, launch, run, until

from rushes.local.ports import free_ports

ROOT = Path(__file__).parents[2]
PACKAGES = ("jobs", "webhooks", "storage", "rushes", "sandbox")
OLDEST = "3.11"


def uv(*arguments: str | Path) -> str:
    """What it prints. It comes with `make setup`, or is the machine's own."""
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None
    # pyenv's own names on the path answer for one version alone.
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    path = os.pathsep.join([*map(str, versions.glob("3.*/bin")), os.environ["PATH"]])
    done = subprocess.run([program, *arguments], cwd=ROOT, env=environment(PATH=path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the checkout, as a release builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", folder, ".")
    (built,) = folder.glob("*.whl")
    return built


def pythons() -> list[str]:
    """The interpreters in reach to try: the oldest version that will do, and the newest."""
    found = json.loads(uv("python", "list", "--only-installed", "--output-format", "json"))
    ours = [x for x in found if x["implementation"] == "cpython" and x["version_parts"]["minor"] >= 11]
    ours.sort(key=lambda x: tuple(x["version_parts"][part] for part in ("major", "minor", "patch")))
    return list(dict.fromkeys([next(x["path"] for x in ours if x["version"].startswith(OLDEST)), ours[-1]["path"]]))


def test_a_wheel_holds_every_file_of_its_packages(wheel: Path) -> None:
    here = {str(p.relative_to(ROOT)) for name in PACKAGES for p in (ROOT / name).rglob("*") if p.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    assert {name for name in here if "__pycache__" not in name} == {n for n in packed if ".dist-info/" not in n}
    assert "rushes/Procfile" in packed


def test_the_page_names_every_top_level_package_that_a_wheel_installs(wheel: Path) -> None:
    """Beside another application's `jobs` or `storage`, one would hide the other."""
    packed = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"installs the top-level packages ((?:`\w+`(?:,| and)?\s)+)", page.replace(";", " "))
    assert set(re.findall(r"`(\w+)`", said)) == packed


@pytest.mark.prove
@pytest.mark.timeout(400)
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_the_service_runs_from_a_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path, which: str) -> None:
    python = pythons()[0 if which == "oldest" else -1]
    own = tmp_path / "environment"
    uv("venv", "--quiet", "--python", python, own)
    uv("pip", "install", "--quiet", "--python", own / "bin" / "python", f"rushes[cli,local] @ {wheel.as_uri()}")
    rushes, folder = str(own / "bin" / "rushes"), tmp_path / "elsewhere"
    folder.mkdir()
    assert "Commands:" in run(folder, "--help", program=rushes).stdout
    demo = run(folder, "demo", "--json", program=rushes)
    assert demo.returncode == 0, demo.stderr
    assert len(json.loads(demo.stdout)) == len(list((folder / "demo").glob("*.mp4"))) == 5

    (port,) = free_ports(1)
    up = launch(folder, "up", "up", "--sandbox", "--speed", "30", "--port", str(port), program=rushes)
    try:
        up.until_said("Rushes is up at")
        asked = ["A red fox", "--resolution", "720p", "--duration", "2", "--wait", "--timeout", "60", "--json"]
        done = run(folder, "submit", *asked, program=rushes)
        assert json.loads(done.stdout)["state"] == "archived", done.stderr
        assert not [line for line in up.names() if str(ROOT) in line]
    finally:
        up.process.terminate()
        assert up.process.wait(60) == 0
    until(lambda: len(up.tree()) <= 1)
