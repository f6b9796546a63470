"""A foreign link becomes a local file, or an error that says what to do. Here is the watch; download.py reads."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import requests

from storage.download import Download, FetchLimits, as_https
from storage.errors import LinkUnavailable
from storage.outbound.deadline import Deadline, NoThread
from storage.outbound.exact import sendable
from storage.outbound.guard import masked
from storage.spool import Spooled

__all__ = ["FetchLimits", "Spooled", "fetch_to_spool"]

TICK_S = 0.25


def fetch_to_spool(
    session: requests.Session,
    url: str,
    *,
    folder: Path,
    limits: FetchLimits,
    allow_private: bool,
    keep_going: Callable[[], None],
) -> Spooled:
    """Fetch the link into an unlinked file in `folder`; the caller closes what is returned.

    `session` is a guarded one. `keep_going` is called in the caller's thread as soon as the link is being asked for,
    and then four times a second until the body is here, whether or not bytes flow; whatever it raises ends the fetch
    and comes out unchanged. The link goes out as it came; an http:// one is asked for over https unless
    `allow_private`. The body is complete as far as HTTP can tell and begins like a film; check_boxes and the probe
    prove the rest. Raises LinkDead, LinkUnavailable, LinkForbidden, BadVideo, SpoolFull.
    """
    link = as_https(sendable(url), allow_private=allow_private)
    try:
        with Deadline(limits.deadline_s) as deadline:
            download = Download(
                session, link, folder=folder, limits=limits, allow_private=allow_private, deadline=deadline
            )
            try:
                _await(download, link, limits, deadline, keep_going)
                return download.result()
            except BaseException:
                download.stop()
                raise
    except NoThread as e:
        raise LinkUnavailable(f"{masked(link)}: {e}") from e


def _await(
    download: Download, link: str, limits: FetchLimits, deadline: Deadline, keep_going: Callable[[], None]
) -> None:
    """Return once the download is done, in time. Raises LinkUnavailable, and what `keep_going` raises."""
    pace = Pace(limits, time.monotonic())
    body_began = False
    keep_going()
    while not download.done.wait(TICK_S) and not deadline.passed:
        keep_going()
        now = time.monotonic()
        if download.answered and not body_began:
            body_began, pace = True, Pace(limits, now)  # time to think is not counted against the body
        if pace.is_stalled(now, download.bytes):
            least = f"{limits.stall_bytes_per_s:g} bytes/s for {limits.stall_window_s:g} s"
            raise LinkUnavailable(f"{masked(link)} stalled: under {least}")
    if deadline.passed:  # even if it is done: to the one who reads, our cut looks like the body's end
        raise LinkUnavailable(f"{masked(link)} was not here after {limits.deadline_s:g} s")


class Pace:
    """Whether bytes come fast enough, judged over a window that slides."""

    def __init__(self, limits: FetchLimits, now: float) -> None:
        self._window_s = limits.stall_window_s
        self._least_bytes = limits.stall_bytes_per_s * limits.stall_window_s
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def is_stalled(self, now: float, total_bytes: int) -> bool:
        """Call with the running total, often; False until a whole window has passed."""
        self._marks.append((now, total_bytes))
        while self._marks[1][0] <= now - self._window_s:
            self._marks.popleft()
        then, before = self._marks[0]
        return now - then >= self._window_s and total_bytes - before < self._least_bytes
