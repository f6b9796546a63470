"""The Procfile under another runner, as docs/how-to/install.md says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from workshop import Workshop

from jobs.machine.states import State
from rushes.local.ports import free_ports
from rushes.local.valkey import Valkey

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "install.md"
BIN = Path(sys.executable).parent


@pytest.mark.prove
@pytest.mark.timeout(120)
def test_honcho_starts_all_that_the_procfile_lists_and_a_job_is_made(
    make_workshop: Callable[..., Workshop], valkey: Valkey, tmp_path: Path
) -> None:
    workshop = make_workshop()
    config = workshop.bucket.config
    settings = {
        **workshop.env,
        "RUSHES_REDIS_URL": valkey.url,
        "RUSHES_SWEEP_INTERVAL_S": "2",
        "AWS_ACCESS_KEY_ID": str(config.access_key),
        "AWS_SECRET_ACCESS_KEY": str(config.secret_key),
        "AWS_REGION": "us-east-1",
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (tmp_path / "Procfile").symlink_to(ROOT / "Procfile")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RUSHES_", "PYTEST_"))}
    env = {**plain, "PATH": f"{BIN}{os.pathsep}{plain['PATH']}"}

    (port,) = free_ports(1)
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("honcho ")]
    before, start = (line.replace("--port 8080", f"--port {port}").split() for line in lines)
    assert (before[1], start[1]) == ("run", "start")
    subprocess.run([str(BIN / before[0]), *before[1:]], cwd=tmp_path, env=env, check=True, timeout=60)

    with (tmp_path / "said").open("wb") as said:
        honcho = subprocess.Popen([str(BIN / start[0]), *start[1:]], cwd=tmp_path, env=env, stdout=said, stderr=said)
    try:

        def is_ready() -> bool:
            assert honcho.poll() is None, (tmp_path / "said").read_text()
            try:
                return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == requests.codes.ok
            except (requests.ConnectionError, requests.Timeout):
                return False

        workshop.await_(is_ready, "all parts are ready", within_s=60)
        job_id = workshop.create(provider="evolink")
        workshop.await_(lambda: workshop.state(job_id) is State.ARCHIVED, "it is archived", within_s=40)
    finally:
        honcho.send_signal(signal.SIGINT)
        try:
            honcho.wait(30)
        finally:
            honcho.kill()
