"""The receiver: gateways call back here. Nothing on this path talks to a gateway, to S3, or waits for Valkey.

The order matters: the length first, if one is declared, then the token (before the body is read, so that half-sent
bodies under bad tokens hold no thread), then the body, up to the limit, then one transaction, then
the doorbell, which a thread of its own publishes, and the answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import IO, Any

import structlog
from flask import Blueprint, Response, request
from marshmallow import Schema, ValidationError

from jobs import callback_urls, measures
from jobs.errors import BadReport
from jobs.providers.answers import TaskId, json_body, part, task_id
from jobs.providers.base import Provider, Report, ReportState
from jobs.ringer import Ringer
from jobs.settings import Settings
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.keeping import Callback, Kept
from jobs.store.step_table import wake
from jobs.tallies import Tallies
from webhooks.bodies import Bodies, TooMany
from webhooks.keeper import Keeper, Wait

# Of a callback's headers these are kept: what gateways document, and nothing that could hold a credential of ours.
# Beside each its name in WSGI.
KEPT_HEADERS = {
    "Content-Type": "CONTENT_TYPE",
    "User-Agent": "HTTP_USER_AGENT",
    "X-Event": "HTTP_X_EVENT",
    "X-Task-Id": "HTTP_X_TASK_ID",
    "X-Timestamp": "HTTP_X_TIMESTAMP",
    "X-Webhook-Signature": "HTTP_X_WEBHOOK_SIGNATURE",
    "X-Webhook-Event": "HTTP_X_WEBHOOK_EVENT",
}
LONGEST_HEADER = 500
RETRY_AFTER_S = "5"
LONGEST_JOB_ID = 40
PROBE = 0  # no order has this number: `rushes doctor` asks with it whether the way in is open

log = structlog.get_logger()


@dataclass(frozen=True)
class Receiver:
    """What the receiver works with; it holds no gateway's key."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database
    ringer: Ringer
    bodies: Bodies = field(default_factory=Bodies)
    wait: Wait = threading.Event.wait  # by which a callback waits for its turn to be kept
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        keeper = Keeper(self.database, self.settings, self.providers, wait=self.wait)
        object.__setattr__(self, "keeper", keeper)


def blueprint(receiver: Receiver) -> Blueprint:
    """`POST /webhooks/<provider>/<job_id>/<attempt>/<token>`."""
    routes = Blueprint("webhooks", __name__)

    @routes.post("/webhooks/<provider>/<job_id>/<attempt>/<token>")
    def receive(provider: str, job_id: str, attempt: str, token: str) -> Response:
        return _receive(receiver, provider, job_id, attempt, token)

    return routes


def _receive(receiver: Receiver, name: str, job_id: str, attempt: str, token: str) -> Response:
    settings = receiver.settings
    provider = receiver.providers.get(name)
    refuse = partial(_refuse, receiver, provider)
    length = request.content_length
    if length is not None and length > settings.max_body_bytes:
        return refuse(413, "too_large")
    number = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 6 else None
    if (
        provider is None
        or number is None
        or len(job_id) > LONGEST_JOB_ID
        or not callback_urls.is_genuine(settings.callback_keys, name, job_id, number, token)
    ):
        return refuse(404, "bad_url")
    if number == PROBE:
        return _answer(204)
    try:
        body = receiver.bodies.read(*_sent(length, settings.max_body_bytes), order=f"{job_id}/{number}")
    except TooMany:
        log.warning("too_many_slow_callbacks", job=job_id, provider=name)
        return refuse(503, "too_many")
    if body is None or (length is not None and len(body) < length):  # the sender went away in the middle of it
        return refuse(400, "cut_off")
    if len(body) > settings.max_body_bytes:
        return refuse(413, "too_large")
    return _keep(receiver, provider, *_read(provider, job_id, number, body))


def _sent(length: int | None, limit: int) -> tuple[IO[bytes], int]:
    """Where the body comes from, and how much of it to read; the server ends one that declares no length."""
    stream = request.environ["wsgi.input"]
    if length is not None:
        return stream, length
    return stream, limit + 1 if request.environ.get("wsgi.input_terminated") else 0


def _refuse(receiver: Receiver, provider: Provider | None, status: int, result: str) -> Response:
    receiver.database.tallies.count(measures.CALLBACKS, provider.name if provider else "", result)
    return _answer(status)


def _keep(receiver: Receiver, provider: Provider, callback: Callback, report: Report | None) -> Response:
    try:
        kept = receiver.keeper.keep(callback, partial(_tell, receiver, callback, report))
    except DatabaseUnavailable as e:
        log.warning("database_unavailable", job=callback.job_id, reason=str(e))
        return _refuse(receiver, provider, 503, "database")  # the gateway tries again; the sweep asks in any case
    return _answer(kept.status)


def _tell(receiver: Receiver, callback: Callback, report: Report | None, kept: Kept) -> None:
    """Count it, say in the log what became of it, and ring."""
    _count(receiver.database.tallies, callback, report, kept)
    state = report and report.state
    order = {"job": callback.job_id, "attempt": callback.attempt, "provider": callback.provider}
    if kept.state is None:
        log.warning("callback_for_unknown_job", **order)
    elif not kept.kept:
        log.warning("callback_over_the_limit", **order)
    else:
        log.info("callback_kept", **order, task=callback.task_id, says=state and state.value, rings=kept.ring)
    if kept.ring and kept.state is not None:
        step = wake(kept.state, news=True, says_finished=state is ReportState.FINISHED)
        receiver.ringer.ring(step.name, callback.job_id)


def _count(tallies: Tallies, callback: Callback, report: Report | None, kept: Kept) -> None:
    """What became of a callback, and how long after its task's end it came, where it tells of that."""
    if kept.state is None:
        result = "unknown_job"
    elif not kept.kept:
        result = "over_limit"
    elif kept.kept_at is None:
        result = "again"
    else:
        result = "kept" if callback.readable else "unreadable"
    tallies.count(measures.CALLBACKS, callback.provider, result)
    if result == "kept" and kept.kept_at and report and report.state is ReportState.FINISHED and report.finished_at:
        delay_s = (kept.kept_at - report.finished_at).total_seconds()
        tallies.observe(measures.CALLBACK_DELAY_S, max(0.0, delay_s), callback.provider)


def _read(provider: Provider, job_id: str, attempt: int, body: bytes) -> tuple[Callback, Report | None]:
    """The callback as it is to be kept, readable or not, and what it hints at."""
    named, report, status, value = None, None, 400, None
    try:
        value = json_body(body)
        report = provider.read_callback(_valid(provider, value))
        named, status = report.task_id, 200
    except (ValidationError, BadReport) as e:
        named = _claim(provider, value)
        log.warning("callback_unreadable", job=job_id, provider=provider.name, error=type(e).__name__)
    sent = request.environ
    headers = {name: sent[key][:LONGEST_HEADER] for name, key in KEPT_HEADERS.items() if sent.get(key)}
    callback = Callback(provider.name, job_id, attempt, body, headers, status == 200, named, status)
    return callback, report


def _valid(provider: Provider, value: Any) -> Any:
    if provider.callback_schema is None:
        raise BadReport(f"{provider.name} documents no callbacks")
    return _schema(provider.callback_schema).load(value)


@cache
def _schema(of: type[Schema]) -> Schema:
    return of()  # to make one takes four times as long as to read a body by it


def _claim(provider: Provider, value: Any) -> str | None:
    """The task that a callback of another shape names, by the gateway's own name for it, at the top or inside `data`.

    It may be all that will ever be heard of an order, and is asked about as what any callback tells.
    """
    fields = provider.callback_schema().fields if provider.callback_schema else {}
    named = [name for name, field in fields.items() if isinstance(field, TaskId)]
    told = [part(where, name) for where in (part(value, "data"), value) for name in named]
    return next(filter(None, map(task_id, told)), None)


def _answer(status: int) -> Response:
    """An empty answer: a caller with a bad token learns nothing."""
    headers = {"Retry-After": RETRY_AFTER_S} if status == 503 else {}
    return Response(status=status, headers=headers)
