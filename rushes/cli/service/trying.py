"""A notice that is sent for the sake of being sent: does a receiver hear us, and know our signature?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from jobs.machine.times import iso
from jobs.settings import Settings
from storage.outbound.guard import guarded_session
from webhooks import posting
from webhooks.errors import NoticeRefused, NoticeUndelivered

TYPE = "test"
NO_JOB = "job_" + "0" * 26
HINTS = {
    400: "does it verify with this installation's secret? docs/notices.md shows how",
    401: "does it verify with this installation's secret? docs/notices.md shows how",
    403: "does it verify with this installation's secret? docs/notices.md shows how",
    404: "is the path right?",
    405: "it should take POST",
}


@dataclass(frozen=True)
class Answer:
    """What came of it. `error`: why it does not count as taken; None: it does."""

    url: str
    status: int | None
    error: str | None
    hint: str | None
    took_s: float

    @property
    def told(self) -> dict[str, Any]:
        return {"url": self.url, "status": self.status, "error": self.error, "took_s": self.took_s}


def send(url: str, settings: Settings) -> Answer:
    """One try. The guard judges the address as for any notice."""
    now, began = datetime.now(UTC), time.monotonic()
    body = {"type": TYPE, "timestamp": iso(now), "sequence": 0, "data": {"id": NO_JOB}}
    status: int | None = None
    error = hint = None
    with guarded_session(allow_private=settings.allow_private_addresses) as session:
        try:
            status = posting.post(f"ntc_{ULID()}", url, body, now, settings, session)
        except NoticeRefused as refused:
            status, error, hint = refused.status, str(refused), HINTS.get(refused.status)
        except NoticeUndelivered as undelivered:
            cause = undelivered.__cause__  # an operator may know which address a name leads to
            error = f"{undelivered}: {cause}" if cause is not None and str(cause) else str(undelivered)
            hint = "RUSHES_NOTIFY_HOSTS opens receivers inside; is it up, and reached from here?"
    return Answer(url, status, error, hint, round(time.monotonic() - began, 3))
