"""The unit of `rushes service install`, as systemd itself reads it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rushes.cli import main
from rushes.local import systemd
from rushes.local.systemd import Unit, UnitError

NEEDS_SYSTEMD = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="looks with systemd's own eyes")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where the unit of a user comes to lie, and a data folder with everything in its name that has to be quoted."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    return tmp_path / "configuration" / "systemd" / "user" / "rushes.service", tmp_path / 'da"ta %h $HOME'


def run(data_dir: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["service", "install", "--user", "--data-dir", str(data_dir), *more])


@NEEDS_SYSTEMD
def test_it_writes_a_unit_that_systemd_takes_and_says_what_it_did(install: tuple[Path, Path]) -> None:
    path, data_dir = install
    result = run(data_dir, "--port", "8090", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    settings = path.parents[2] / "rushes" / "rushes.env"
    assert (told["unit"], told["verified"], told["renewed"]) == (str(path), True, False)
    assert told["made"] == [str(data_dir), str(settings)]
    assert told["next"][:2] == ["systemctl --user daemon-reload", "systemctl --user enable --now rushes"]
    assert [stat.S_IMODE(p.stat().st_mode) for p in (data_dir, settings, path)] == [0o700, 0o600, 0o644]
    lines = path.read_text().splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert f'"{str(data_dir).replace("%", "%%").replace("$", "$$").replace(chr(34), chr(92) + chr(34))}"' in start
    assert "RestartPreventExitStatus=2 9" in lines
    assert "Restart=on-failure" in lines
    assert "OOMPolicy=continue" in lines


def test_it_renews_its_own_file_and_leaves_any_other_alone(install: tuple[Path, Path]) -> None:
    path, data_dir = install
    assert "wrote" in run(data_dir).stderr
    assert "renewed" in run(data_dir, "--port", "8091").stderr
    assert '"8091"' in path.read_text()
    for theirs in ("[Service]\nExecStart=/bin/true\n", path.read_text().replace("8091", "8092")):
        path.write_text(theirs)
        refused = run(data_dir)
        assert refused.exit_code == 1
        assert "it stays as it is" in refused.stderr
        assert path.read_text() == theirs
    path.unlink()
    path.symlink_to(os.devnull)  # as `systemctl mask` does
    assert run(data_dir).exit_code == 1
    assert path.is_symlink()


@NEEDS_SYSTEMD
@pytest.mark.parametrize("system", [True, False])
def test_systemd_takes_both_kinds_and_its_refusal_is_told(tmp_path: Path, system: bool) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name

    def unit(command: Sequence[str]) -> str:
        return Unit(command, tmp_path, tmp_path / "settings", system, me if system else None).text

    assert systemd.verify(unit(["/bin/true", "up"]), system=system)
    with pytest.raises(UnitError, match="/no/such/program"):
        systemd.verify(unit(["/no/such/program", "up"]), system=system)


def test_a_name_that_no_unit_can_hold_is_refused(install: tuple[Path, Path]) -> None:
    path, data_dir = install
    assert "cannot stand in a unit" in run(data_dir / "two\nlines").stderr
    assert not path.exists()
