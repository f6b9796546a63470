"""Fetching as a test does it: in development, and with every failure searched for the link's secret."""

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.fetch import FetchLimits, Spooled, fetch_to_spool
from storage.outbound.guard import guarded_session

LIMITS = FetchLimits(max_bytes=8 << 20, deadline_s=20, stall_bytes_per_s=1, stall_window_s=20, connect_s=2, read_s=10)
SECRET = "topsecret"
SOON_S = 8  # well before the read timeout and the deadline that are not being tested


class Fetcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = guarded_session(allow_private=True)

    def __call__(
        self, url: str, limits: FetchLimits = LIMITS, keep_going: Callable[[], None] = lambda: None
    ) -> Spooled:
        return fetch_to_spool(
            self.session, url, folder=self.folder, limits=limits, allow_private=True, keep_going=keep_going
        )

    def fails(self, kind: type[StorageError], url: str, limits: FetchLimits = LIMITS) -> str:
        """The message of the failure, which is soon, tells nobody the secret, and leaves nothing behind."""
        began = time.monotonic()
        with pytest.raises(kind) as caught:
            self(url, limits)
        assert time.monotonic() - began < SOON_S
        assert type(caught.value) is kind
        assert SECRET not in told(caught.value)
        assert list(self.folder.iterdir()) == []
        return str(caught.value)


def readers() -> list[threading.Thread]:
    """Those that read a link still; none, once it was cut."""
    return [thread for thread in threading.enumerate() if thread.name == "download"]


def told(error: BaseException | None) -> str:
    """Everything that a log could show of an error, whatever it chooses to follow."""
    if error is None:
        return ""
    shown = "".join(traceback.format_exception_only(error)) + repr(error.args)
    return shown + told(error.__cause__) + told(error.__context__)
