"""How commands fail: a message, a hint, and an exit status that scripts can rely on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
AUTH = 4
JOB_FAILED = 5
TIMED_OUT = 6
RATE_LIMITED = 7
UNREACHABLE = 8
NOT_MIGRATED = 9
INTERRUPTED = 130

MEANINGS = {
    OK: "ok",
    FAILED: "failure",
    USAGE: "usage, or a setting or request that is not valid",
    NOT_FOUND: "not found",
    AUTH: "the API key is missing, unknown or revoked",
    JOB_FAILED: "the job ended without a video",
    TIMED_OUT: "timed out waiting",
    RATE_LIMITED: "rate limited",
    UNREACHABLE: "the service, database or bucket cannot be reached",
    NOT_MIGRATED: "the database could not be brought up to date; starting again does not help",
    INTERRUPTED: "interrupted",
}


class Failure(Exception):
    """Ends the command: printed as `error: …` and `hint: …`."""

    def __init__(self, message: str, code: int = FAILED, *, hint: str | None = None):
        super().__init__(message)
        self.code, self.hint = code, hint


@contextmanager
def told_when_interrupted(then: Callable[[], str]) -> Iterator[None]:
    """Whoever presses Ctrl-C is told what goes on without them, and how to come back. Raises Failure."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failure("interrupted", INTERRUPTED, hint=then()) from None
