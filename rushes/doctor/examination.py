"""All checks side by side, each with a limit of time; what they find in the order of their names here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from jobs import logs
from rushes.doctor.findings import Finding, Findings, fail

LIMIT_S = 10.0

Check = Callable[[], Findings]


def examine(checks: Mapping[str, Check], *, limit_s: float = LIMIT_S) -> Iterator[Finding]:
    """What each check finds. One that is not done after `limit_s` seconds, or that breaks, is a finding itself.

    The threads are daemons: a server that answers never must not keep the command from ending.
    """
    running = [_Running(name, check) for name, check in checks.items()]
    end = time.monotonic() + limit_s
    for each in running:
        yield from each.findings(end - time.monotonic())


class _Running:
    def __init__(self, name: str, check: Check) -> None:
        self._name, self._check = name, check
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def findings(self, timeout_s: float) -> list[Finding]:
        self._thread.join(max(0, timeout_s))
        found = list(self._found)
        if self._thread.is_alive():
            found.append(fail(self._name, "no answer in time", "look whether it is overloaded, or a firewall between"))
        return found

    def _run(self) -> None:
        try:
            for finding in self._check():
                self._found.append(finding)
        except Exception as error:  # a check that breaks must not take the others with it
            said = logs.mask(f"{type(error).__name__}: {error}".splitlines()[0])
            self._found.append(fail(self._name, said, "this is a fault of the check; please report it"))
