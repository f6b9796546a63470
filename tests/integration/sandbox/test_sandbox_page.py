"""The commands of docs/sandbox.md, run as they stand, and the help of both names of the program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_caller import Caller

ROOT = Path(__file__).parents[3]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8"), re.M | re.S)
RUSHES = str(Path(sys.executable).with_name("rushes"))
TOOLS = ("bash", "curl", "jq")


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_every_command_of_the_page_does_what_it_says(sandbox: Caller, tmp_path: Path) -> None:
    start, *blocks = BLOCKS
    assert start.startswith(".venv/bin/python -m sandbox --allow-loopback-callbacks --speed 10")
    script = "".join(["set -euo pipefail\n", *blocks]).replace("http://127.0.0.1:8700", sandbox.address)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"
    assert "HTTP/1.1 429" in done.stdout
    assert re.search(r"^Retry-After: \w{3}, \d\d ", done.stdout, re.M)
    assert '"marinating"' in done.stdout
    assert '"fault":"lose_answer"' in done.stdout
    assert '"code":"spend_limit_exceeded"' in done.stdout
    assert [task["state"] for task in sandbox.tasks()] == ["finished", "failed"]
    assert sandbox.control("faults") == {"faults": []}


@pytest.mark.parametrize("program", [[sys.executable, "-m", "sandbox"], [RUSHES, "sandbox"]])
def test_the_help_teaches_the_faults_under_both_names(program: list[str]) -> None:
    said = subprocess.run([*program, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert "X-Sandbox-Fault: lose_answer; how=hang; seconds=3" in said.stdout
    assert "reorder_callbacks" in said.stdout
