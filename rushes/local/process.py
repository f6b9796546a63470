"""A process to start, and one that was started."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rushes.local import parent
from rushes.local.output import LogFile, OnLine, Reader

_KILL_TIMEOUT_S = 10


class User(NamedTuple):
    uid: int
    gid: int


@dataclass(frozen=True)
class Process:
    """What to start, when it counts as started, and how it stops."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None  # the whole environment; None: ours
    cwd: Path | None = None
    ready: Callable[[], bool] | None = None  # asked again and again; should answer within a second or so
    ready_timeout_s: float = 20
    grace_s: float = 5  # from the stop signal to SIGKILL
    stage: int = 0  # higher stages stop first; one stage stops together
    stop_signal: signal.Signals = signal.SIGTERM
    user: User | None = None  # only root can start it as another user
    after_end: Callable[[], None] | None = None  # tidies what it leaves behind, however it ended
    log: Path | None = None  # where what it prints goes, instead of to the listener


class Child:
    """A started process: leader of its own session and group, killed by the kernel when our thread ends (Linux).

    It is reaped by `close` alone. Until then its id, which is also its group's, cannot go to a stranger. Raises OSError
    where the machine has no room for it.
    """

    def __init__(self, process: Process, on_line: OnLine) -> None:
        self.process = process
        user = f"{process.user.uid}:{process.user.gid}" if process.user else "-"
        environment = {**(os.environ if process.env is None else process.env), parent.SUPERVISED: str(os.getpid())}
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", parent.__file__, str(os.getpid()), user, *process.argv],
            env=environment,
            cwd=process.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=0o077,  # its files and Unix sockets are its own user's, whatever our shell's umask
            start_new_session=True,  # Ctrl-C in our terminal reaches us alone, and we stop the rest in order
        )
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        try:
            self._reader = Reader(process.name, self._popen.stdout, LogFile(process.log) if process.log else on_line)
        except RuntimeError as error:  # what Popen calls EAGAIN
            self.kill_group()
            self._popen.wait()
            self._popen.stdout.close()
            raise OSError(errno.EAGAIN, f"no thread to read its output in: {error}") from error

    def status(self) -> int | None:
        """None while it runs; then its exit status, or minus the signal that killed it. Does not reap it."""
        if self._popen.returncode is not None or sys.platform == "darwin":  # macOS' Python 3.11 has no waitid
            return self._popen.poll()
        try:
            end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # someone else reaped it
            return self._popen.poll()
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    def ask_to_stop(self) -> None:
        if self.status() is None:
            os.kill(self.pid, self.process.stop_signal)

    def kill_group(self) -> None:
        """Kill it and what is left of its group, at once."""
        if self._popen.returncode is None:
            # Before the reaping, while the id is still its own. macOS answers EPERM for a group of zombies.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def left_over(self) -> str | None:
        """What keeps a port or a file of it, in words: itself, or another process of its group. None: it is gone."""
        if self._popen.returncode is not None:  # reaped; who bears its id now is a stranger
            return None
        return f"process {self.pid}" if self.status() is None else _other(self.pid)

    def close(self) -> None:
        """Kill what is left of its group, reap it, read its output to the end, tidy up. Safe to call twice."""
        if self._popen.returncode is None:
            self.kill_group()
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel; nothing more can be done
                self._popen.wait(_KILL_TIMEOUT_S)
            self._reader.join(2)
            if self.process.after_end:
                self.process.after_end()

    def last_words(self) -> str:
        """The last line that it printed, once it has ended."""
        self._reader.join(0.5)
        return self._reader.latest


def _other(group: int) -> str | None:
    """A process of the group that lives beside its leader. Only Linux tells; elsewhere killing was enough."""
    if sys.platform != "linux":
        return None
    try:
        with os.scandir("/proc") as folders:
            for folder in folders:
                # In bytes: a process's name is its own business, and is cut off after 15 of them.
                stat = _contents(f"{folder.path}/stat") if folder.name.isdecimal() else b""
                state, _, in_group = (stat.rpartition(b")")[2].split() + [b""] * 3)[:3]
                if in_group == b"%d" % group and int(folder.name) != group and state not in (b"Z", b"X"):
                    return f"process {folder.name} (state {state.decode()})"
    except OSError as error:  # out of memory, or of descriptors: perhaps
        return f"perhaps a process of its group ({error.strerror})"
    return None


def _contents(path: str) -> bytes:
    """Nothing of a process that has just ended, or that is hidden from us."""
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def describe_end(status: int) -> str:
    """'ended with status 3', 'was killed by SIGKILL'."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-status}"
