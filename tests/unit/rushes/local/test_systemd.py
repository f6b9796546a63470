"""The unit of `rushes service install`, as systemd itself reads it."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rushes.cli import main
from rushes.local import accounts, systemd
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


@pytest.fixture
def of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the unit of this machine comes to lie."""
    monkeypatch.setattr(systemd, "folder", lambda system: tmp_path / "units")
    monkeypatch.setattr(systemd, "environment_file", lambda system: tmp_path / "rushes.env")
    return tmp_path / "units" / "rushes.service"


@pytest.fixture
def open_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, unlike the test's own, on a machine where everybody has a Python."""
    python, account = shutil.which("python3", path="/usr/bin:/bin"), pwd.getpwnam("daemon")
    needed = [Path(sys.executable).with_name("rushes"), Path(accounts.__file__)]
    sees = f"import os; raise SystemExit(not all(os.access(path, os.R_OK) for path in {list(map(str, needed))}))"
    if python is None or subprocess.run([python, "-c", sees], user=account.pw_uid, group=account.pw_gid).returncode:
        pytest.skip("this environment is closed to other accounts")
    monkeypatch.setattr(accounts, "INTERPRETER", python)
    place = Path(tempfile.mkdtemp(prefix="rushes-open-"))
    place.chmod(0o755)
    yield place
    place.chmod(0o755)
    shutil.rmtree(place)


def of_root(place: Path, account: pwd.struct_passwd) -> None:
    place.mkdir(mode=0o755)


def closed_above(place: Path, account: pwd.struct_passwd) -> None:
    place.parent.chmod(0o700)


def with_roots_files(place: Path, account: pwd.struct_passwd) -> None:
    place.mkdir(mode=0o700)
    os.chown(place, account.pw_uid, account.pw_gid)
    (place / "lock").touch(0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root names another account")
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (of_root, "{}: Operation not permitted"),
        (closed_above, "{}: Permission denied"),
        (with_roots_files, "{}/lock: Permission denied"),
    ],
)
def test_an_account_that_could_not_run_it_there_is_refused_before_anything_is_written(
    of_the_machine: Path, open_place: Path, prepare: Callable[[Path, pwd.struct_passwd], None], said: str
) -> None:
    data_dir = open_place / "data"
    prepare(data_dir, pwd.getpwnam("daemon"))
    was_there = data_dir.exists()
    refused = run(data_dir, "--system", "--run-as", "daemon")
    assert refused.exit_code == 1
    assert re.search(rf"daemon cannot run the service: {said.format(data_dir)}\nhint: ", refused.stderr), refused.stderr
    assert data_dir.exists() == was_there
    assert not of_the_machine.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root names another account")
def test_an_account_that_can_run_it_gets_a_folder_of_its_own(of_the_machine: Path, open_place: Path) -> None:
    account, data_dir = pwd.getpwnam("daemon"), open_place / "data"
    for _ in range(2):
        done = run(data_dir, "--system", "--run-as", "daemon")
        assert done.exit_code == 0, done.stderr
        assert data_dir.stat().st_uid == account.pw_uid
    assert "User=daemon" in of_the_machine.read_text()


def test_an_environment_without_the_program_is_refused(
    install: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data_dir = install
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")  # what `pip install --user` is run by
    refused = run(data_dir)
    assert "there is no /usr/bin/rushes" in refused.stderr
    assert "an environment of its own" in refused.stderr
    assert not path.exists()


def test_what_systemd_says_of_other_units_in_any_bytes_is_nothing_to_ours(
    install: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "systemd-analyze"
    program.parent.mkdir()
    program.write_bytes(b"#!/bin/sh\nprintf '/etc/systemd/system/stra\\337e.service:1: no such section\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    done = run(install[1], "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["verified"]
