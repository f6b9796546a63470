from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from rushes.local import installation

Rushes = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RUSHES_REDIS_URL", "RUSHES_REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    kept = installation.with_free_ports(installation.new_installation())
    kept |= {"served": {"url": "http://127.0.0.1:8080", "port": 8080}, "api_key": {"id": "key_1", "key": "rk_1 'x'"}}
    (tmp_path / "local.json").write_text(json.dumps(kept))
    return tmp_path


def test_a_shell_takes_address_key_and_broker_as_they_are(folder: Path, rushes: Rushes) -> None:
    result = rushes("env", "--data-dir", str(folder))
    assert result.exit_code == 0, result.stderr
    told = json.loads(rushes("env", "--data-dir", str(folder), "--json").stdout)
    script = f'{result.stdout}printf "%s\\n" "$RUSHES_URL" "$RUSHES_API_KEY" "$RUSHES_REDIS_URL"'
    said = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True, timeout=20).stdout
    assert said.splitlines() == list(told.values())
    assert (told["RUSHES_URL"], told["RUSHES_API_KEY"]) == ("http://127.0.0.1:8080", "rk_1 'x'")
    assert told["RUSHES_REDIS_URL"].startswith("redis://:")


def test_a_broker_of_the_environment_is_told(folder: Path, rushes: Rushes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_REDIS_URL", "redis://elsewhere:6379/0")
    told = json.loads(rushes("env", "--data-dir", str(folder), "--json").stdout)
    assert told["RUSHES_REDIS_URL"] == "redis://elsewhere:6379/0"


def test_a_folder_that_served_nothing_is_told_what_would(tmp_path: Path, rushes: Rushes) -> None:
    result = rushes("env", "--data-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"nothing has been served from {tmp_path} yet" in result.stderr
    assert "`rushes up` serves one" in result.stderr
