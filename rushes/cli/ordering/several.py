"""Commands about several things: what fails for one is told, and the others go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rushes.cli.terminal import output
from rushes.cli.terminal.failures import AUTH, INTERRUPTED, RATE_LIMITED, UNREACHABLE, Failure

# What will not be better for the next one either.
HOPELESS = frozenset({AUTH, RATE_LIMITED, UNREACHABLE, INTERRUPTED})


class Several:
    """The failures of one command."""

    def __init__(self) -> None:
        self._first: Failure | None = None

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Bear with a failure of one of them. Raises Failure where the next one would fare no better."""
        try:
            yield
        except Failure as failure:
            if failure.code in HOPELESS:
                raise
            self._first = self._first or failure
            said = str(failure)
            output.failure(Failure(said if name in said else f"{name}: {said}", failure.code, hint=failure.hint))

    def end(self) -> None:
        """End the command with the first failure's exit status, if there was one."""
        if self._first is not None:
            sys.exit(self._first.code)
