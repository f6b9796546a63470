"""Taking jobs in. A request that was answered is kept; the same idempotency key never makes a second job."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from ulid import ULID

from jobs.errors import BadRequest
from jobs.intake import api_keys
from jobs.machine import routing, schedule
from jobs.machine.case import Case
from jobs.machine.routing import Candidate, Choice, Obstacle
from jobs.machine.states import State
from jobs.reports import queue_position
from jobs.request import input_links
from jobs.request.generation import JobRequest
from jobs.request.schema import load_request
from jobs.settings import Settings
from jobs.store import availability, cases, idempotency_keys, orders_out, waiting_jobs
from jobs.store.core import Core
from storage.errors import LinkForbidden
from storage.keys import video_key
from storage.outbound.guard import check_url

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")


def check(body: Any, core: Core) -> JobRequest:
    """Read a request and see that somebody can serve it. Raises BadRequest that names each field."""
    request = load_request(body)
    routing.route(core.candidates(request))
    if request.notify_url is not None:
        check_notify_url(request.notify_url, core.settings)
    return request


def check_notify_url(url: str, settings: Settings) -> None:
    """Whether notices can go there. Raises BadRequest."""
    if not settings.notice_secrets:
        raise BadRequest({"notify_url": ["Notices are off here: the operator sets RUSHES_NOTICE_SECRETS."]})
    if not url.isprintable():
        raise BadRequest({"notify_url": ["Holds characters that no URL has; send https://host/path."]})
    try:
        check_url(url, allow_private=settings.allow_private_addresses, receivers=settings.notice_receivers)
    except LinkForbidden as e:
        then = "send a public https URL, or one that RUSHES_NOTIFY_HOSTS opens"
        raise BadRequest({"notify_url": [f"{e}; {then}."]}) from e


@dataclass(frozen=True)
class Quote:
    """What would become of a request now."""

    choice: Choice
    held_up: Mapping[str, int]  # by gateway: how many jobs wait for it
    position: int | None  # its place among the queued jobs (`jobs/reports/queue_position.py`)
    start_by: datetime
    made: str | None  # the job that its idempotency key has made already


def quote(
    body: Any,
    core: Core,
    *,
    api_key_id: str,
    idempotency_key: str | None = None,
    formerly_kept_as: str | None = None,
) -> Quote:
    """Where a request would go now, and what it would cost; nothing is kept and nothing is sent.

    Raises BadRequest, IdempotencyKeyReused, DatabaseUnavailable.
    """
    names, request, digest = _names(idempotency_key, formerly_kept_as), check(body, core), _digest(body)
    with core.database.read() as db:
        made = idempotency_keys.job_of(db, api_key_id, names, digest) if names else None
        now = core.database.clock(db)
        inputs_until = check_inputs(request, core.settings, now)
        found = core.candidates(request)

        def hindered(candidate: Candidate) -> Obstacle | None:
            account = core.settings.accounts[candidate.name]
            usd = candidate.estimate.usd if candidate.estimate else None
            looked = orders_out.look(db, account, core.settings, core.database)
            return availability.obstacle(db, account, usd, core.settings, looked)

        choice = routing.choose(found, routing.route(found), hindered)
        start_by = _start_by(request, core.settings, inputs_until, now)
        held_up = waiting_jobs.held_up(db) if choice.obstacles else {}
        return Quote(choice, held_up, queue_position.next_position(db), start_by, made)


def _names(idempotency_key: str | None, formerly_kept_as: str | None) -> list[str]:
    """The names under which a key may be kept, the usual one first. Raises BadRequest."""
    if idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise BadRequest({"Idempotency-Key": ["Send 1 to 255 visible ASCII characters, for example a UUID."]})
    return [name for name in (idempotency_key, formerly_kept_as) if name is not None]


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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


def create(
    body: Any,
    core: Core,
    *,
    api_key_id: str,
    idempotency_key: str | None = None,
    formerly_kept_as: str | None = None,
) -> tuple[Case, bool]:
    """Keep a request as a queued job; True if the key had made one already, under this name or its former one.

    Raises BadRequest, IdempotencyKeyReused (the key came with another body), DatabaseUnavailable.
    """
    names, digest = _names(idempotency_key, formerly_kept_as), _digest(body)
    if names:  # what was taken in stays taken in, even if its gateways have gone since
        with core.database.read() as db:
            earlier = idempotency_keys.job_of(db, api_key_id, names, digest)
            if earlier is not None:
                return cases.read_case(db, earlier), True
    request = check(body, core)
    try:
        return _keep(body, request, digest, core, api_key_id, names)
    except IntegrityError:  # the same key at the same moment: the other one was first, and its job is there now
        return _keep(body, request, digest, core, api_key_id, names)


def _keep(
    body: Any, request: JobRequest, digest: str, core: Core, api_key_id: str, names: Sequence[str]
) -> tuple[Case, bool]:
    with core.database.write() as db:
        if names:
            earlier = idempotency_keys.job_of(db, api_key_id, names, digest)
            if earlier is not None:
                return cases.read_case(db, earlier), True
        now = core.database.clock(db)
        row = _row(body, request, core.settings, api_key_id, now)
        if "notify_url" not in body and core.settings.notice_secrets:  # null says that nobody is to be told
            row["notify_url"] = api_keys.notify_url(db, api_key_id)
        case = cases.add_job(db, row)
        if names:
            idempotency_keys.keep(db, api_key_id, names[0], digest, case.job.id, now=now)
    core.ring_for(case)
    return case, False


def _start_by(request: JobRequest, settings: Settings, inputs_until: datetime | None, now: datetime) -> datetime:
    start_by = now + timedelta(seconds=request.start_within_s or settings.start_within_s)
    return min(start_by, inputs_until or start_by)


def _row(body: Any, request: JobRequest, settings: Settings, api_key_id: str, now: datetime) -> dict[str, Any]:
    job_id = f"job_{ULID()}"
    inputs_until = check_inputs(request, settings, now)
    return {
        "id": job_id,
        "state": State.QUEUED,
        "version": cases.NEW,
        "alarm_at": now,
        "mode": request.generation.mode.value,
        "request": body,
        "attempt": 0,
        "overdue": False,
        "troubles": 0,
        "holder_deaths": 0,
        "on_unconfirmed": request.on_unconfirmed,
        "start_by": _start_by(request, settings, inputs_until, now),
        "inputs_until": inputs_until,
        "archive_key": video_key(settings.s3_prefix, job_id, now),
        "notify_url": request.notify_url,
        "notices": 0,
        "metadata": dict(request.metadata or {}),
        "batch": request.batch,
        "api_key_id": api_key_id,
        "created_at": now,
        "updated_at": now,
    }
