"""The real steps in one process, on a clock that a script turns, with gateways and a bucket that it plays itself."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from jobs.intake import new_jobs
from jobs.machine.case import Case
from jobs.machine.states import ENDED
from jobs.providers.registry import PROVIDERS, on_terms
from jobs.settings import load
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.resources import Resources
from jobs.store import cases, history, keeping, migrate
from jobs.store.database import Database
from jobs.store.journal import Journal
from jobs.store.step_table import OF_JOBS
from jobs.worker import dispatch
from kit import folder
from kit.dialects import DONE, NOT_FOUND, RUNNING, SUBMIT, ok, report
from storage.bucket import BucketConfig, StoredVideo
from storage.errors import ObjectExists
from storage.proof.probe import VideoFacts
from storage.spool import Spool, Spooled

__all__ = [
    "DONE",
    "ENDED",
    "FILM",
    "LEVEL",
    "LINK",
    "NOT_FOUND",
    "PROVIDERS",
    "RUNNING",
    "SUBMIT",
    "Bells",
    "Bucket",
    "Clock",
    "World",
    "folder",
    "ok",
    "report",
    "settings",
]

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINK = "https://cdn.example.com/v.mp4"
LEVEL = logging.DEBUG if "VERBOSE" in os.environ else logging.CRITICAL  # the steps' log lines
SLOTS = 32

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(LEVEL))


def _box(kind: bytes, body: bytes = b"") -> bytes:
    return (len(body) + 8).to_bytes(4) + kind + body


FILM = _box(b"ftyp", b"isom" + bytes(4)) + _box(b"moov") + _box(b"mdat", b"film")


class Clock:
    """The database's clock, and the steps'."""

    def __init__(self) -> None:
        self.now = self.start = BEGIN

    def __call__(self, db: Any) -> datetime:
        return self.now

    def add(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def elapsed(self) -> float:
        return (self.now - self.start).total_seconds()


class Bells:
    """A ringer that nobody hears."""

    def ring(self, task: str, *job_ids: str) -> None: ...

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int:
        return 0


class Gateways:
    """The client of the gateways: a script sets what they answer to a provider's name and a request."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.on_send: Callable[[str, Any], Any] | None = None
        self.on_ask: Callable[[str, Any], Any] | None = None

    def resolve(self, account: Any, timeout_s: float) -> None: ...

    def close(self) -> None: ...

    def send(self, provider: Any, account: Any, request: Any, **_: Any) -> Any:
        self.sent.append((provider.name, request.body))
        assert self.on_send, "a script says what is answered to orders"
        return self.on_send(provider.name, request)

    def ask(self, provider: Any, account: Any, request: Any, **_: Any) -> Any:
        self.asked.append((provider.name, request.path))
        assert self.on_ask, "a script says what is answered to queries"
        return self.on_ask(provider.name, request)


class NoBudget:
    """Queries without a limit."""

    def slot(self, account: Any, per_s: float, job_id: str, *, urgent: bool, only: str = "") -> float:
        return 0


class Bucket:
    """A bucket in memory: key -> (bytes, metadata). The first video at a key stays."""

    def __init__(self) -> None:
        self.config = BucketConfig("videos", "", None, None, None, None)
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}

    def head(self, key: str) -> StoredVideo | None:
        if key not in self.objects:
            return None
        body, metadata = self.objects[key]
        return StoredVideo(key, len(body), metadata)

    def head_with_checksum(self, key: str) -> StoredVideo | None:
        return self.head(key)

    def put_small(self, key: str, body: bytes, content_type: str) -> None:
        self.objects[key] = body, {}

    def put_video(
        self,
        key: str,
        spooled: Spooled,
        metadata: Mapping[str, str],
        keep_going: Callable[[], None] | None = None,
        *,
        first: Callable[[], None] = lambda: None,
    ) -> None:
        first()
        if key in self.objects:
            raise ObjectExists(f"{key} is taken")
        spooled.file.seek(0)
        self.objects[key] = spooled.file.read(), dict(metadata)


class AnyFilm:
    """A prober to whom every film plays."""

    def probe(self, file: Any) -> tuple[VideoFacts, bytes]:
        return VideoFacts(5.0, 1280, 720, 24.0, "h264", has_audio=False), b"\xff\xd8\xff"


def film_of(session: Any, url: str, *, folder: Path, keep_going: Callable[[], None], **_: Any) -> Spooled:
    """In place of a download: a film that no other link has."""
    keep_going()
    spool = Spool(folder)
    spool.write(FILM + _box(b"free", hashlib.sha256(url.encode()).digest()))
    return spool.finish()


def settings(data_dir: Path, **more: Any) -> dict[str, str]:
    """An environment in which every gateway has a key. `more`: settings in lower case, without RUSHES_."""
    found: dict[str, Any] = {
        "data_dir": data_dir,
        "s3_bucket": "videos",
        "public_url": "https://rushes.example",
        "callback_keys": "k1:0123456789abcdef0123456789abcdef",
        "notice_secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        **{f"{name}_api_key": f"sk-first-{name}" for name in PROVIDERS},
        **more,
    }
    return {f"RUSHES_{name.upper()}": str(value) for name, value in found.items()}


class World:
    """An installation without processes: `sweep` works on what is due, `clock` says when."""

    def __init__(self, clock: Clock | None = None, database: Database | None = None, **numbers: Any) -> None:
        self.dir, self.clock = folder(), clock or Clock()
        self.settings = load(settings(self.dir, **numbers))
        self.client, self.bucket = Gateways(), Bucket()
        if database is None:
            database = Database(f"sqlite:///{self.dir}/rushes.db", clock=self.clock)
            migrate.upgrade(database)
        self.database = database
        self.resources = Resources(
            settings=self.settings,
            providers=on_terms(self.settings.terms),
            database=database,
            ringer=Bells(),
            jitter=lambda seconds: seconds,
            client=self.client,
            query_budget=NoBudget(),
            bulkheads=Bulkheads(SLOTS),
            session=None,
            bucket=self.bucket,
            journal=Journal(self.dir / "journal", clock=self.clock.elapsed),
            prober=AnyFilm(),
            process="case",
            spool_dir=self.dir,
            fetch=film_of,
            monotonic=self.clock.elapsed,
            pause=self.clock.add,
        )

    @property
    def parts(self) -> Resources:
        """What scripts call the resources that were written before they had that name."""
        return self.resources

    @property
    def intake(self) -> Resources:
        """Likewise, where what takes jobs in is meant."""
        return self.resources

    def limit_in_flight(self, number: int) -> None:
        self.settings = self.resources.settings = replace(self.settings, max_in_flight=number)

    def create(self, **request: Any) -> str:
        """Order a video; the job's id."""
        body = {"prompt": "A red fox", "resolution": "720p", "duration": 5, **request}
        case, _ = new_jobs.create(body, self.resources, api_key_id="case")
        return case.job.id

    def case(self, job_id: str) -> Case:
        with self.database.read() as db:
            return cases.read_case(db, job_id)

    def history(self, job_id: str) -> list[Any]:
        with self.database.read() as db:
            return history.of_job(db, job_id)

    def sweep(self) -> int:
        """One step of every job that is due. Notices stay where they are."""
        return dispatch.run_in_place(self.resources, OF_JOBS)

    def until_ended(self, job_id: str, sweeps: int, hurry: Callable[[World], None] | None = None) -> Case:
        """At most so many sweeps, each at the job's next alarm; `hurry` may turn the clock further in between."""
        for _ in range(sweeps):
            self.sweep()
            job = self.case(job_id).job
            if job.state in ENDED:
                break
            next_moment = self.clock.now + timedelta(seconds=1)
            self.clock.now = max(next_moment, job.alarm_at or next_moment)
            if hurry is not None:
                hurry(self)
        return self.case(job_id)

    def callback(self, job_id: str, attempt: int, provider: str, body: dict[str, Any]) -> keeping.Kept:
        """A callback whose token was found to be genuine."""
        told = keeping.Callback(
            provider=provider,
            job_id=job_id,
            attempt=attempt,
            body=json.dumps(body).encode(),
            headers={},
            readable=True,
            task_id=PROVIDERS[provider].read_callback(body).task_id,
            status=200,
        )
        with self.database.write() as db:
            return keeping.keep(db, told, self.settings, PROVIDERS, now=self.clock.now)

    def show(self, job_id: str) -> None:
        """Print how the job and its attempts stand."""
        case = self.case(job_id)
        job = case.job
        print(f"  {job.state}, error {job.error_code}, flagged {job.flagged}, overdue {job.overdue}")  # noqa: T201
        for number, attempt in case.attempts.items():
            ids = f"task {attempt.task_id}, rejected {attempt.rejected_task_ids}"
            print(f"    order {number} at {attempt.provider}: {attempt.outcome}, {attempt.standing}, {ids}")  # noqa: T201
