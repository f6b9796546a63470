from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from fake_service import Service

from rushes.cli import main
from rushes.cli.service.api import Api

Rushes = Callable[..., Result]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    """What every command asks, wherever its environment points."""
    found = Service()
    monkeypatch.setenv("RUSHES_DATA_DIR", str(tmp_path / "none"))

    def connected(data_dir: Path) -> Api:
        return Api("http://service", "rk_1", session=found, pause=lambda s: None)

    for module in ("attention", "callbacks", "costs", "jobs", "notices", "providers", "submit", "tail", "videos"):
        monkeypatch.setattr(f"rushes.cli.commands.{module}.connect", connected)
    return found


@pytest.fixture
def rushes() -> Rushes:
    """Run a command as a script would."""
    return lambda *arguments, **more: CliRunner().invoke(main, arguments, **more)


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command as somebody would at a terminal of 100 columns; what it shows there."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        main(list(arguments), standalone_mode=False)
        return click.unstyle(capsys.readouterr().out)

    return run
