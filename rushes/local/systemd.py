"""A systemd unit for `rushes up`: its text, whether systemd takes it, and putting it where systemd looks."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

UNIT = "rushes.service"
MARK = "# Written by `rushes service install`, which may write it anew while it is as it was: "
# 2: a setting is wrong; 9: the database could not be brought up to date. See rushes/cli/terminal/failures.py.
NOT_AGAIN = (2, 9)
STOPS_WITHIN_S = 90  # a submit that is cut short may have been paid for
VERIFIED_WITHIN_S = 60


class UnitError(Exception):
    """The unit cannot be written."""


@dataclass(frozen=True)
class Unit:
    """`rushes up` as a service. `account`: who runs it, in a system unit; None: root there, else whose unit it is."""

    command: Sequence[str]
    data_dir: Path
    environment_file: Path
    system: bool
    account: str | None = None

    @property
    def text(self) -> str:
        """The file, with a first line by which it is known again."""
        body = "\n".join(
            [
                "[Unit]",
                "Description=Rushes: brings generated video home",
                "Wants=network-online.target",
                "After=network-online.target",
                "StartLimitIntervalSec=0",  # it may die for as long as a database is away
                "",
                "[Service]",
                "Type=exec",
                *([f"User={_specifiers(self.account)}"] if self.account else []),
                f"WorkingDirectory={_specifiers(str(self.data_dir))}",
                f"EnvironmentFile=-{_specifiers(str(self.environment_file))}",
                f"ExecStart={' '.join(_word(word) for word in self.command)}",
                "Restart=on-failure",
                "RestartSec=5",
                f"RestartPreventExitStatus={' '.join(map(str, NOT_AGAIN))}",
                "KillMode=mixed",  # `rushes up` stops its processes in good order
                f"TimeoutStopSec={STOPS_WITHIN_S}",
                "OOMPolicy=continue",  # else one process that grew too large has systemd stop all of them
                "",
                "[Install]",
                f"WantedBy={'multi-user' if self.system else 'default'}.target",
                "",
            ]
        )
        return f"{MARK}{_digest(body)}\n{body}"


def folder(*, system: bool) -> Path:
    """Where systemd looks for units that an administrator, or a user, has written."""
    if system:
        return Path("/etc/systemd/system")
    return _own_configuration() / "systemd" / "user"


def environment_file(*, system: bool) -> Path:
    """Where the service's settings are kept, keys among them."""
    return (Path("/etc") if system else _own_configuration()) / "rushes" / "rushes.env"


def is_ours(path: Path) -> bool:
    """Whether the file is as `rushes service install` wrote it. Links are somebody's own."""
    if path.is_symlink() or not path.is_file():
        return False
    first, _, body = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    return first == f"{MARK}{_digest(body)}"


def verify(text: str, *, system: bool) -> bool:
    """Have `systemd-analyze verify` look at a unit. False: there is none here. Raises UnitError with what it says."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return False
    with tempfile.TemporaryDirectory(prefix="rushes-unit-") as name:
        draft = Path(name) / UNIT
        draft.write_text(text, encoding="utf-8")
        scope = [] if system else ["--user"]
        # Without a session there is no such folder, and without such a folder it looks at nothing.
        environment = {"XDG_RUNTIME_DIR": name, **os.environ}
        done = subprocess.run(
            [program, "verify", *scope, str(draft)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=VERIFIED_WITHIN_S,
            check=False,
        )
    own = [line for line in done.stdout.splitlines() if UNIT in line]  # it speaks of other units too
    if done.returncode != 0 or own:
        raise UnitError("systemd-analyze does not take the unit: " + "; ".join(own or done.stdout.splitlines()[-3:]))
    return True


def put(text: str, path: Path) -> bool:
    """Write the unit. True: one of ours was there. Raises UnitError where the file is somebody else's."""
    was_there = path.is_symlink() or path.exists()
    if was_there and not is_ours(path):
        raise UnitError(f"{path} is there, and not as `rushes service install` wrote it; it stays as it is")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(path)
    return was_there


def _own_configuration() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _specifiers(text: str) -> str:
    """With `%` for itself; a line of a unit ends where it ends."""
    if not text.isprintable():
        raise UnitError(f"{text!r} cannot stand in a unit")
    return text.replace("%", "%%")


def _word(word: str) -> str:
    """A word of ExecStart, in quotes, with nothing in it that systemd would read."""
    quoted = _specifiers(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{quoted}"'
