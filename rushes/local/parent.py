"""Ties the life of a process to its parent's, by Linux' parent-death signal; elsewhere a no-op.

What to know about PR_SET_PDEATHSIG:

* It fires when the *thread* that forked ends, not only the process. So whoever starts children (`Supervisor`) does it
  from one thread that outlives them.
* It reaches direct children only, and a forked child does not inherit it. A server that forks workers (granian) takes
  the signal, dies, and leaves its worker serving; the worker has to ask for itself: `die_with_parent()`.
* Changing user clears it, so it is set after that. exec keeps it.
* The parent may be gone before the call. Both callers below look again afterwards.

It has to be called in the child, after the fork. Popen's `preexec_fn` could do that, but runs Python between fork and
exec, which is unsafe with other threads about (ours read the children's output) and warned about from Python 3.12 on.
So this file is also a program, `python -I -S parent.py PARENT_PID UID:GID|- COMMAND...`, which ties itself to its
parent, changes user and becomes COMMAND. That costs 20 ms and imports nothing of ours.
"""

import ctypes
import os
import signal
import sys

# Set in the environment of everything a Supervisor starts; holds its process id.
SUPERVISED = "RUSHES_SUPERVISED"

_PR_SET_PDEATHSIG = 1
_CANNOT_EXECUTE = 127  # the shells' status for it


def die_with_parent() -> None:
    """Have this process killed when its parent ends. For workers that a supervised server forks, at their start.

    Does nothing unless a Supervisor is among the ancestors: a test, or a shell in the background, that happens to load
    the same application should not die with whatever started it.
    """
    if SUPERVISED not in os.environ:
        return
    _tie_to_parent()
    # The Supervisor's children lead sessions of their own. One that does not lead, and whose parent sits in another
    # session, was adopted: its true parent died before the call above, and no signal will come.
    if sys.platform == "linux" and os.getpid() != os.getsid(0) != _session_of(os.getppid()):
        os._exit(1)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)  # for pid 0, a parent outside our namespace, this is our own session: not adopted
    except ProcessLookupError:
        return None


def _tie_to_parent() -> None:
    """SIGKILL, because SIGTERM can be ignored or take half a minute, and the stores and the jobs stand being killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _become(parent_pid: int, user: str, command: list[str]) -> None:
    if user != "-":
        uid, gid = map(int, user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    _tie_to_parent()
    if os.getppid() != parent_pid:
        os._exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606  # no shell is what we want
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(_CANNOT_EXECUTE)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
