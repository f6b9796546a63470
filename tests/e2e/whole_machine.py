"""A `rushes` command as a process of its own, with every process below it in sight."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RUSHES = str(Path(sys.executable).parent / "rushes")
STARTED_WITHIN_S = 60


class Pid(NamedTuple):
    """A process, told from a later one with the same number by the time of its start."""

    number: int
    started: str


@dataclass(frozen=True)
class Command:
    """A running command. What it prints goes to two files."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def until_said(self, text: str) -> None:
        """Wait until it has printed this, on either stream."""
        until(lambda: text in self.said() or self.process.poll() is not None)
        assert text in self.said(), self.said()

    def said(self) -> str:
        return self.err.read_text(errors="replace") + self.out.read_text(errors="replace")

    def tree(self) -> set[Pid]:
        """It, and every process that descends from it, however they call themselves."""
        parents = {pid: parent for pid, parent in _processes().items() if parent is not None}
        found = {pid for pid in parents if pid.number == self.process.pid}
        while more := {
            pid for pid, parent in parents.items() if pid not in found and parent in {p.number for p in found}
        }:
            found |= more
        return found

    def names(self) -> dict[str, Pid]:
        """The processes by command line."""
        return {_command_line(pid): pid for pid in self.tree()}


def environment(**more: str) -> dict[str, str]:
    """Ours, without anything that says something to Rushes."""
    plain = {n: v for n, v in os.environ.items() if not n.startswith(("RUSHES_", "AWS_", "PYTEST_"))}
    return {**plain, **more}


def launch(folder: Path, name: str, *arguments: str, program: str = RUSHES, **more: str) -> Command:
    """Start `rushes` with these arguments, in `folder`. Whoever calls sees to its end."""
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [program, *arguments], cwd=folder, env=environment(**more), stdout=stdout, stderr=stderr
        )
    return Command(process, out, err)


def run(folder: Path, *arguments: str, program: str = RUSHES, **more: str) -> subprocess.CompletedProcess[str]:
    """A `rushes` command from its start to its end."""
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=90
    )


def living(pids: set[Pid]) -> set[Pid]:
    return pids & _processes().keys()


def until(condition: Callable[[], object], within_s: float = STARTED_WITHIN_S) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"it did not come true within {within_s:g} s"
        time.sleep(0.02)


def _processes() -> dict[Pid, int]:
    """Every process but zombies, with its parent."""
    found: dict[Pid, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            found[Pid(int(folder.name), fields[19])] = int(fields[1])
    return found


def _command_line(pid: Pid) -> str:
    try:
        return Path(f"/proc/{pid.number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
