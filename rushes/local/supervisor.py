"""Starts processes in order, each when the one before it is ready; stops them in reverse; leaves nothing behind.

    try:
        with Supervisor(print_line, install_signals=True) as supervisor:
            supervisor.start(valkey.process())
            supervisor.start(web)
            supervisor.wait()
    except Ended as end:
        ...  # end.why: "web ended with status 1: Address already in use"; end.asked: by a signal of install_signals

A child that dies ends everything. After `keep_up`, once all are ready, it is started again instead (`restarts`).

Leaving the `with` stops everything, whatever the reason. If this process is killed instead, the kernel kills the direct
children (Linux, see `parent`); workers that they forked ask for the same with `die_with_parent`.
"""

import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from rushes.local.output import OnLine
from rushes.local.process import Child, Process, describe_end
from rushes.local.restarts import RECOVERED_AFTER_S, Restarts

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_STARTING_POLL_S = 0.02
_RUNNING_POLL_S = 0.1


class Ended(Exception):
    """Everything is to stop. `why` says so in a sentence; `asked` is True if a signal told us to, False for a fault.

    `finish`: the name of the process that was to run to its end, and did not end well; `status`: how it ended.
    """

    def __init__(self, why: str, *, asked: bool, finish: str | None = None, status: int | None = None) -> None:
        super().__init__(why)
        self.why, self.asked = why, asked
        self.finish, self.status = finish, status


def _discard(name: str, line: str) -> None:
    pass


class Supervisor:
    """Runs children. All methods are for one thread, the one that made it: children die with the thread that forked
    them (see `parent`). `on_line(name, line)` is called from other threads, one per child.
    """

    def __init__(
        self, on_line: OnLine = _discard, *, install_signals: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.why: str | None = None  # the reason of the first Ended
        self._on_line = on_line
        self._clock = clock
        self._thread = threading.get_ident()
        self._children: dict[str, Child] = {}
        self._ready: Callable[[str], bool] | None = None  # set once children are kept up
        self._ailing: dict[str, Restarts] = {}  # those that have died, until they have recovered
        self._install_signals = install_signals
        self._old_handlers: dict[signal.Signals, Any] = {}
        self._signal: int | None = None

    def __enter__(self) -> Self:
        if self._install_signals:
            self._old_handlers = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            # Only now: a second Ctrl-C during the stop, which is bounded anyway, must not cut it short.
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)

    @property
    def pids(self) -> Mapping[str, int]:
        """The process ids of the children, by name, in the order of their start."""
        return {name: child.pid for name, child in self._children.items()}

    def start(self, process: Process) -> None:
        """Start it and wait until it is ready. Raises Ended: a signal came, a child died, or it took too long."""
        self._children[process.name] = self._new_child(process)
        deadline = self._clock() + process.ready_timeout_s
        while process.ready and not process.ready():
            self.check()
            if self._clock() > deadline:
                last_words = self._children[process.name].last_words()
                self._end(_sentence(f"{process.name} was not ready within {process.ready_timeout_s:g} s", last_words))
            time.sleep(_STARTING_POLL_S)
        self.check()  # the answer may have come from a stranger on the port that our child found taken

    def finish(self, process: Process, timeout_s: float = 60) -> None:
        """Run it to its end; for migrations and the like. Raises Ended as `start` does, and for any status but 0."""
        child = self._new_child(process)
        deadline = self._clock() + timeout_s
        try:
            while (status := child.status()) is None:
                self.check()
                if self._clock() > deadline:
                    end = _sentence(f"{process.name} did not finish within {timeout_s:g} s", child.last_words())
                    self._end(end, finish=process.name)
                time.sleep(_STARTING_POLL_S)
            if status != 0:
                end = _sentence(f"{process.name} {describe_end(status)}", child.last_words())
                self._end(end, finish=process.name, status=status)
        finally:
            _stop_together([child])

    def keep_up(self, ready: Callable[[str], bool]) -> None:
        """From now on, start a child again that dies. `ready` says of one, by its name, whether it is well."""
        self._ready = ready

    def wait(self) -> NoReturn:
        """Watch over the children until it is over. Always raises Ended."""
        while True:
            self.check()
            time.sleep(_RUNNING_POLL_S)

    def check(self) -> None:
        """Look once: raises Ended if a signal has come or a child has died for good; starts again what is to be."""
        if self._signal is not None:
            self._end(f"stopped by {signal.Signals(self._signal).name}", asked=True)
        for name, child in list(self._children.items()):
            ailing = self._ailing.get(name)
            if ailing is not None and ailing.start_at is not None:
                self._start_again_in_time(child, ailing)
            elif (status := child.status()) is not None:
                # What it said before somebody killed it is no reason.
                words = "" if status == -signal.SIGKILL else child.last_words()
                self._died(child, _sentence(f"{name} {describe_end(status)}", words))
            elif ailing is not None:
                self._look_after(child, ailing)

    def stop(self) -> None:
        """Stop all, the highest stage first: stop signal, grace, then SIGKILL to the whole group."""
        with ExitStack() as ends:  # an exception on the way (Ctrl-C without our handlers) still ends every child
            for child in self._children.values():
                ends.callback(child.close)
            for stage in sorted({child.process.stage for child in self._children.values()}, reverse=True):
                _stop_together([child for child in self._children.values() if child.process.stage == stage])
        self._children.clear()

    def stop_one(self, name: str) -> None:
        """Stop one child, in good order. It may be started anew with `start`."""
        _stop_together([self._children[name]])
        self._forget(name)

    def kill(self, name: str) -> None:
        """Kill one child and its group at once, for tests of faults. It may be started anew with `start`."""
        self._forget(name)

    def _new_child(self, process: Process) -> Child:
        if threading.get_ident() != self._thread:
            raise RuntimeError("a Supervisor's children die with the thread that starts them: use the one that made it")
        if process.name in self._children:
            raise ValueError(f"there is a process named {process.name!r} already")
        self.check()
        return Child(process, self._on_line)

    def _died(self, child: Child, end: str) -> None:
        if self._ready is None:
            self._end(end)
        child.kill_group()
        name = child.process.name
        ailing = self._ailing.setdefault(name, Restarts())
        if not ailing.died(self._clock()):
            self._end(f"{end}; it died {ailing.deaths} times without being well for {RECOVERED_AFTER_S / 60:g} min")
        self._tell(name, f"({end}; starting it again in {ailing.pause_s:g} s)")

    def _start_again_in_time(self, child: Child, ailing: Restarts) -> None:
        """After its pause, and not before its whole group is gone, which may hold a port or a file."""
        if not ailing.is_due(self._clock()):
            return
        name = child.process.name
        if (left_over := child.left_over()) is not None:
            if ailing.waits_long(self._clock()):
                self._tell(name, f"(it cannot be started again before {left_over} is gone, which was killed)")
            return
        try:
            child.close()
            self._children[name] = Child(child.process, self._on_line)
        except OSError as error:  # no memory, no process, no descriptor: what children die of may hit their start too
            self._died(child, f"{name} could not be started again: {error}")
        else:
            ailing.started(self._clock())

    def _look_after(self, child: Child, ailing: Restarts) -> None:
        name = child.process.name
        if self._ready is None or not ailing.wants_a_look(self._clock()):
            return
        if ailing.looked(self._clock(), ready=self._ready(name)):
            del self._ailing[name]

    def _tell(self, name: str, line: str) -> None:
        with suppress(Exception):  # a terminal that has gone away, or a full disk, ends nothing
            self._on_line(name, line)

    def _forget(self, name: str) -> None:
        self._ailing.pop(name, None)
        self._children.pop(name).close()

    def _end(self, why: str, *, asked: bool = False, finish: str | None = None, status: int | None = None) -> NoReturn:
        self.why = self.why or why
        raise Ended(why, asked=asked, finish=finish, status=status)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._signal = number


def _stop_together(children: list[Child]) -> None:
    for child in children:
        child.ask_to_stop()
    asked_at = time.monotonic()
    for child in children:
        while child.status() is None and time.monotonic() < asked_at + child.process.grace_s:
            time.sleep(_STARTING_POLL_S)
    for child in children:
        child.close()


def _sentence(what: str, last_words: str) -> str:
    return f"{what}: {last_words}" if last_words else what
