"""The demo's work: one job for each gateway, followed to its end, and its video and poster brought home."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.buckets import bucket
from jobs.machine.states import ENDED
from rushes.cli.service import downloads
from rushes.cli.service.api import Api, direct_session
from rushes.cli.terminal.failures import Failure
from rushes.local.stack import Running
from storage.bucket import Bucket
from storage.errors import StorageError
from storage.keys import poster_key

PROMPT = "A red fox trots through fresh snow at dawn, cinematic"
RESOLUTION, DURATION_S = "720p", 2
DEADLINE_S = 40  # the whole demo has a minute
POLL_S = 0.2
EVENTS_TOLD = 5

Show = Callable[[], None]


@dataclass
class Take:
    """One gateway's job on its way; what is not known yet is None."""

    provider: str
    job: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    video: Path | None = None
    poster: Path | None = None
    trouble: str | None = None

    @property
    def by(self) -> str | None:
        """How the news of the end came: callback or poll."""
        ways = [event["detail"].get("by") for event in self.events if event["event"] == "finish"]
        return ways[-1] if ways else None

    @property
    def seconds(self) -> float | None:
        """From the submit to the archive, by the service's clock."""
        if self.job["ended_at"] is None:
            return None
        return (_moment(self.job["ended_at"]) - _moment(self.job["created_at"])).total_seconds()

    def as_json(self) -> dict[str, Any]:
        """What the table shows, for programs."""
        facts = self.job["video"] or {}
        return {
            "provider": self.provider,
            "job": self.job["id"],
            "state": self.job["state"],
            "by": self.by,
            "seconds": self.seconds,
            **{n: facts.get(n) for n in ("bytes", "sha256", "duration_s", "width", "height", "bucket", "key")},
            "video": str(self.video) if self.video else None,
            "poster": str(self.poster) if self.poster else None,
            "trouble": self.trouble,
        }


class Performance:
    """The takes of one demo. All of its waiting notices at once when the service ends or a signal comes (Ended)."""

    def __init__(self, service: Running, folder: Path) -> None:
        self.takes: list[Take] = []
        self._service, self._folder = service, folder
        self._api = Api(service.url, service.api_key.key, session=direct_session(), pause=self._pause)

    def submit(self) -> None:
        """One job for each gateway. Raises Failure."""
        wanted = {"prompt": PROMPT, "resolution": RESOLUTION, "duration": DURATION_S}
        for provider in self._service.plan.simulated:
            self._service.supervisor.check()
            job = self._api.submit({**wanted, "provider": provider}, f"demo-{secrets.token_hex(8)}")
            self.takes.append(Take(provider, job))

    def follow(self, show: Show) -> None:
        """Until all have ended, or time is up. What ends without a video, or not at all, has a trouble."""
        end = time.monotonic() + DEADLINE_S
        while going := [take for take in self.takes if take.job["state"] not in ENDED]:
            if time.monotonic() > end:
                break
            for take in going:
                self._service.supervisor.check()
                take.job = self._api.get(f"/v1/jobs/{take.job['id']}")
            show()
            self._pause(POLL_S)
        for take in self.takes:
            take.events = self._api.get(f"/v1/jobs/{take.job['id']}/events")["data"]
            if take.job["state"] != "archived":
                take.trouble = _why(take)

    def save(self, show: Show) -> None:
        """The videos by way of the API, proven again by their SHA-256; the posters from beside them in the bucket."""
        self._folder.mkdir(parents=True, exist_ok=True)
        store = bucket(self._service.settings)
        for take in self.takes:
            if take.trouble:
                continue
            self._service.supervisor.check()
            try:
                take.video = self._save_video(take)
                take.poster = self._save_poster(take, store)
            except (Failure, StorageError, OSError) as error:
                take.trouble = f"archived, but not saved here: {error}"
            show()

    def _save_video(self, take: Take) -> Path:
        path, fresh = self._folder / f"{take.provider}.mp4", downloads.path_of(take.job["id"], self._folder)
        downloads.save(self._api, take.job, fresh, lambda count: self._service.supervisor.check())
        os.replace(fresh, path)  # that of an earlier demo
        return path

    def _save_poster(self, take: Take, store: Bucket) -> Path:
        path = self._folder / f"{take.provider}.jpg"
        path.write_bytes(b"".join(store.open(poster_key(take.job["video"]["key"]))))
        return path

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._service.supervisor.check()
            time.sleep(min(left, 0.05))


def _why(take: Take) -> str:
    """Why there is no video: state, error and the last events."""
    job = take.job
    said = f"{job['state']} after {DEADLINE_S} s" if job["state"] not in ENDED else str(job["state"])
    if error := job["error"]:
        said += f": {error['code']}: {error['message']}"
    last = [f"{event['at']} {event['event']} {event['detail'] or ''}".rstrip() for event in take.events[-EVENTS_TOLD:]]
    return "\n".join([said, *(f"    {line}" for line in last)])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
