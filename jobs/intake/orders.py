"""Taking jobs in. A request that was answered is kept; the same idempotency key never makes a second job."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from ulid import ULID

from jobs.errors import BadRequest, IdempotencyKeyReused
from jobs.intake import api_keys
from jobs.machine import routing, schedule
from jobs.machine.decisions import Rules
from jobs.machine.routing import Candidate, Choice, Obstacle
from jobs.machine.rows import Case
from jobs.machine.states import State
from jobs.providers.base import Provider
from jobs.reports import queue_position
from jobs.request import input_links
from jobs.request.generation import JobRequest
from jobs.request.schema import load_request
from jobs.settings import Settings
from jobs.store import availability, cases
from jobs.store.database import Database
from jobs.store.tables import events, idempotency_keys
from storage.errors import LinkForbidden
from storage.keys import video_key
from storage.outbound.guard import check_url

_NEW_EVENT, _NEW_KEY = sa.insert(events), sa.insert(idempotency_keys)  # built once, so not analysed at every request
IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")


@dataclass(frozen=True)
class Intake:
    """What taking a job in needs."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database

    @property
    def rules(self) -> Rules:
        return Rules(self.settings, self.providers, self._left, jitter=lambda seconds: seconds)

    def _left(self, case: Case) -> list[str]:
        return routing.left(case, self.providers, self.settings)


def check(body: Any, intake: Intake) -> JobRequest:
    """Read a request and see that somebody can serve it. Raises BadRequest that names each field."""
    request = load_request(body)
    routing.route(candidates(request, intake))
    if request.notify_url is not None:
        check_notify_url(request.notify_url, intake.settings)
    return request


def check_notify_url(url: str, settings: Settings) -> None:
    """Whether notices can go there. Raises BadRequest."""
    if not settings.notice_secrets:
        raise BadRequest({"notify_url": ["Notices are off here: the operator sets RUSHES_NOTICE_SECRETS."]})
    if not url.isprintable():
        raise BadRequest({"notify_url": ["Holds characters that no URL has; send https://host/path."]})
    try:
        check_url(url, allow_private=settings.allow_private_addresses)
    except LinkForbidden as e:
        raise BadRequest({"notify_url": [f"{e}; send a public https URL."]}) from e


@dataclass(frozen=True)
class Quote:
    """What would become of a request now."""

    choice: Choice
    position: int | None  # its place among the queued jobs (`jobs/reports/queue_position.py`)
    start_by: datetime


def quote(body: Any, intake: Intake) -> Quote:
    """Where a request would go now, and what it would cost; nothing is kept and nothing is sent. Raises BadRequest."""
    request = check(body, intake)
    with intake.database.read() as db:
        now = intake.database.clock(db)
        inputs_until = check_inputs(request, intake.settings, now)
        found = candidates(request, intake)

        def hindered(candidate: Candidate) -> Obstacle | None:
            account = intake.settings.accounts[candidate.name]
            usd = candidate.estimate.usd if candidate.estimate else None
            return availability.obstacle(db, account, usd, intake.settings, now=now)

        choice = routing.choose(found, routing.route(found), hindered)
        start_by = _start_by(request, intake.settings, inputs_until, now)
        return Quote(choice, queue_position.next_position(db), start_by)


def candidates(request: JobRequest, intake: Intake) -> list[Candidate]:
    """The gateways that the client would take and that have a key here. Raises BadRequest."""
    return routing.candidates(request, intake.providers, intake.settings.accounts, intake.settings.daily_usd)


def check_inputs(request: JobRequest, settings: Settings, now: datetime) -> datetime | None:
    """By when a gateway must have accepted, for its inputs' presigned links still to work then; None: no limit.

    Raises BadRequest for links that would die before queue and gateway can use them.
    """
    takes = schedule.expected_end(request.generation.mode, now, settings) - now
    faults: dict[str, list[str]] = {}
    deaths = []
    for name, url in input_links.urls(request.generation):
        if (dies_at := input_links.dies_at(url)) is None:
            continue
        deaths.append(dies_at)
        needed = now + takes + timedelta(seconds=settings.input_queue_s)
        if dies_at < needed:
            faults[name] = [
                f"The link dies at {dies_at:%Y-%m-%dT%H:%M:%SZ}, before queue and gateway can use it;"
                f" sign it to live until {needed:%Y-%m-%dT%H:%M:%SZ} or later."
            ]
    if faults:
        raise BadRequest(faults)
    return min(deaths) - takes if deaths else None


def create(body: Any, intake: Intake, *, api_key_id: str, idempotency_key: str | None = None) -> tuple[Case, bool]:
    """Keep a request as a queued job; True if the key had made one already.

    Raises BadRequest, IdempotencyKeyReused (the key came with another body), DatabaseUnavailable.
    """
    if idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise BadRequest({"Idempotency-Key": ["Send 1 to 255 visible ASCII characters, for example a UUID."]})
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    if idempotency_key is not None:  # what was taken in stays taken in, even if its gateways have gone since
        with intake.database.read() as db:
            earlier = _earlier(db, api_key_id, idempotency_key, digest)
            if earlier is not None:
                return cases.read_case(db, earlier), True
    request = check(body, intake)
    try:
        return _keep(body, request, digest, intake, api_key_id, idempotency_key)
    except IntegrityError:  # the same key at the same moment: the other one was first, and its job is there now
        return _keep(body, request, digest, intake, api_key_id, idempotency_key)


def _keep(
    body: Any, request: JobRequest, digest: str, intake: Intake, api_key_id: str, idempotency_key: str | None
) -> tuple[Case, bool]:
    with intake.database.write() as db:
        if idempotency_key is not None:
            earlier = _earlier(db, api_key_id, idempotency_key, digest)
            if earlier is not None:
                return cases.read_case(db, earlier), True
        now = intake.database.clock(db)
        row = _row(body, request, intake.settings, api_key_id, now)
        if "notify_url" not in body and intake.settings.notice_secrets:  # null says that nobody is to be told
            row["notify_url"] = api_keys.notify_url(db, api_key_id)
        case = cases.add_job(db, row)
        created = {"job_id": case.job.id, "at": now, "event": "created", "attempt": 0, "to_state": State.QUEUED}
        db.execute(_NEW_EVENT, {**created, "detail": {"api_key": api_key_id}})
        if idempotency_key is not None:
            key = {"api_key_id": api_key_id, "key": idempotency_key, "digest": digest}
            db.execute(_NEW_KEY, {**key, "job_id": case.job.id, "created_at": now})
        return case, False


def _earlier(db: Connection, api_key_id: str, key: str, digest: str) -> str | None:
    same = sa.and_(idempotency_keys.c.api_key_id == api_key_id, idempotency_keys.c.key == key)
    row = db.execute(sa.select(idempotency_keys).where(same)).one_or_none()
    if row is None:
        return None
    if row.digest != digest:
        raise IdempotencyKeyReused("This Idempotency-Key came with another body before; use a new key for a new job.")
    return str(row.job_id)


def _start_by(request: JobRequest, settings: Settings, inputs_until: datetime | None, now: datetime) -> datetime:
    start_by = now + timedelta(seconds=request.start_within_s or settings.start_within_s)
    return min(start_by, inputs_until or start_by)


def _row(body: Any, request: JobRequest, settings: Settings, api_key_id: str, now: datetime) -> dict[str, Any]:
    job_id = f"job_{ULID()}"
    inputs_until = check_inputs(request, settings, now)
    return {
        "id": job_id,
        "state": State.QUEUED,
        "version": 0,
        "alarm_at": now,
        "mode": request.generation.mode.value,
        "request": body,
        "attempt": 0,
        "overdue": False,
        "troubles": 0,
        "on_unconfirmed": request.on_unconfirmed,
        "start_by": _start_by(request, settings, inputs_until, now),
        "inputs_until": inputs_until,
        "archive_key": video_key(settings.s3_prefix, job_id, now),
        "notify_url": request.notify_url,
        "notices": 0,
        "metadata": dict(request.metadata or {}),
        "api_key_id": api_key_id,
        "created_at": now,
        "updated_at": now,
    }
