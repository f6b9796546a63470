"""Errors as RFC 9457 problem+json with a stable `code`: one table from error classes to statuses."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, request
from flask_smorest import Api
from marshmallow import EXCLUDE, Schema, fields
from werkzeug.exceptions import HTTPException

from jobs.errors import (
    BadRequest,
    BalanceUnknown,
    IdempotencyKeyReused,
    MayBePaid,
    NotClosed,
    NotFailed,
    NothingKept,
    NothingLeft,
    NothingOpen,
    NotLost,
    TaskKnown,
    TaskTaken,
    TooLate,
    UnderWay,
    UnknownBatch,
    UnknownCallback,
    UnknownJob,
    UnknownKey,
    UnknownNotice,
    UnknownOrder,
)
from jobs.request.schema import flatten
from jobs.store.database import DatabaseUnavailable, DiskFull
from rushes.api.edge import request_ids
from rushes.api.edge.limits import RateLimited
from rushes.api.edge.wrong_keys import TooManyWrongKeys
from storage.errors import BucketUnavailable

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
LONGEST_PATH, LONGEST_DETAIL = 500, 8000  # characters


class NotArchived(Exception):
    """The job has no video yet."""


class NotInstalled(Exception):
    """An optional part of the program is not there."""


class UnknownProvider(Exception):
    """No gateway is called so."""


class NoApiKey(Exception):
    """The gateway has no API key here."""


class NoBalance(Exception):
    """The gateway cannot be asked for its balance."""


class AskedLately(Exception):
    """The gateway was asked a moment ago; `retry_after_s` says when it may be again."""

    def __init__(self, message: str, retry_after_s: int):
        super().__init__(message)
        self.retry_after_s = retry_after_s


# class → status, code, title
TABLE: dict[type[Exception], tuple[int, str, str]] = {
    BadRequest: (422, "invalid_request", "The request is not valid."),
    IdempotencyKeyReused: (422, "idempotency_key_reused", "This Idempotency-Key came with another body."),
    UnknownJob: (404, "unknown_job", "No such job."),
    UnknownOrder: (404, "unknown_order", "The job has no such order."),
    UnknownKey: (404, "unknown_key", "No such API key."),
    UnknownNotice: (404, "unknown_notice", "No such notice."),
    UnknownBatch: (404, "unknown_batch", "No such batch."),
    UnknownCallback: (404, "unknown_callback", "No such callback."),
    UnknownProvider: (404, "unknown_provider", "No such gateway."),
    NoApiKey: (409, "no_api_key", "The gateway has no API key here."),
    NoBalance: (409, "no_balance", "The gateway cannot be asked for its balance."),
    TooLate: (409, "too_late", "The job can no longer be cancelled."),
    NotFailed: (409, "not_failed", "Only a failed job can be tried again."),
    MayBePaid: (409, "may_be_paid", "Another order may pay twice."),
    NothingKept: (409, "nothing_kept", "No film of the job is kept aside to be accepted."),
    NothingLeft: (409, "nothing_left", "Trying again cannot end otherwise."),
    UnderWay: (409, "under_way", "A worker is at the order just now; ask again in a moment."),
    TaskKnown: (409, "task_known", "The order's task is known."),
    TaskTaken: (409, "task_taken", "The task is another order's."),
    NotLost: (409, "not_lost", "It is known whether the order was made."),
    NotClosed: (409, "not_closed", "The order has no last word yet."),
    NothingOpen: (409, "settled", "The job has ended, and nothing of it is open."),
    NotArchived: (409, "not_archived", "The job has no video yet."),
    TooManyWrongKeys: (429, "too_many_wrong_keys", "Too many wrong keys came from this address."),
    RateLimited: (429, "rate_limited", "The key has used up its requests of this minute."),
    AskedLately: (429, "asked_lately", "The gateway was asked a moment ago."),
    NotInstalled: (501, "not_installed", "This installation lacks an optional part."),
    BalanceUnknown: (502, "balance_unknown", "The gateway did not tell its balance."),
    DiskFull: (503, "disk_full", "The database's disk is full; once it has room, try again."),
    DatabaseUnavailable: (503, "database_unavailable", "The database does not answer; try again."),
    BucketUnavailable: (503, "bucket_unavailable", "The bucket does not answer; try again."),
}
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    411: "length_required",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    500: "internal_error",
    503: "unavailable",
}


class ProblemSchema(Schema):
    """The body of every error."""

    class Meta:
        unknown = EXCLUDE

    type = fields.String(metadata={"description": "Always about:blank; `code` tells problems apart."})
    title = fields.String(metadata={"description": "What the code means, in a sentence."})
    status = fields.Integer(metadata={"description": "The HTTP status once more."})
    code = fields.String(metadata={"description": "Stable; made for programs. docs/errors.md has all of them."})
    detail = fields.String(metadata={"description": "For people: what is wrong here, and what would be right."})
    instance = fields.String(metadata={"description": "The path that was asked."})
    request_id = fields.String(metadata={"description": "As in X-Request-Id; the log has it too."})
    retryable = fields.Boolean(metadata={"description": "Whether the same request may succeed later."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "By field: what is wrong, and what is allowed."},
    )


class ProblemApi(Api):
    """flask-smorest's Api with problem+json as its errors."""

    ERROR_SCHEMA = ProblemSchema

    def handle_http_exception(self, error: HTTPException) -> Response:
        status = error.code or 500
        said = getattr(error, "data", None) or {}
        headers = dict(said.get("headers") or {})
        if status == 405 and getattr(error, "valid_methods", None):
            headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined] # MethodNotAllowed has it
        if status == 401:
            headers.setdefault("WWW-Authenticate", "Bearer")
        detail = said.get("message") or (error.description if status != 500 else None)
        if status == 404 and request.url_rule is None:
            detail = _no_such_path(request.path)
        errors = _by_field(said.get("messages"))
        if errors:  # one voice for a wrong request, whoever found it wrong
            return _handle(BadRequest(errors))
        code = said.get("code") or CODES.get(status, "error")
        return problem(status, code, HTTPStatus(status).phrase, detail=detail, headers=headers)


def problem(
    status: int,
    code: str,
    title: str,
    *,
    detail: str | None = None,
    errors: Mapping[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem+json answer."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "code": code}
    body |= {"instance": request.path[:LONGEST_PATH], "retryable": status in (429, 503)}
    if (request_id := request_ids.current()) is not None:
        body["request_id"] = request_id
    if detail:
        body["detail"] = detail[:LONGEST_DETAIL]
    if errors:
        body["errors"] = errors
    told = {"status": status, "code": code, "method": request.method, "path": body["instance"]}
    log.info("request_refused", **told, api_key=g.get("api_key_id"), detail=body.get("detail"))
    more = dict(headers or {})
    if status == 503:
        more.setdefault("Retry-After", str(RETRY_AFTER_S))
    return Response(json.dumps(body, ensure_ascii=False), status=status, content_type=MEDIA_TYPE, headers=more)


def install(app: Flask) -> None:
    """Answer our errors by the table."""
    for kind in TABLE:
        app.register_error_handler(kind, _handle)


def _handle(error: Exception) -> Response:
    status, code, title = next(row for kind, row in TABLE.items() if isinstance(error, kind))
    if isinstance(error, BadRequest):
        return problem(status, code, title, detail=str(error), errors=error.fields)
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, (RateLimited, AskedLately)) else {}
    return problem(status, code, title, detail=str(error) if status < 503 else None, headers=headers)


def _no_such_path(path: str) -> str:
    """Names the nearest path that there is, with the caller's own ids in it."""
    near = difflib.get_close_matches(path[:200], set(_filled(path)), n=1)
    return f"No such path{f'; did you mean {near[0]}?' if near else '.'} /openapi.json lists them all."


def _filled(path: str) -> Iterator[str]:
    asked = path.split("/")
    for rule in current_app.url_map.iter_rules():
        parts = rule.rule.split("/")
        if "<" not in rule.rule:
            yield rule.rule
        elif len(parts) == len(asked) and rule.endpoint.partition(".")[0] != "webhooks":
            pairs = zip(parts, asked, strict=True)
            yield "/".join(mine if part.startswith("<") else part for part, mine in pairs)


def _by_field(messages: Any) -> dict[str, list[str]]:
    """webargs' messages by location and nested field, as dotted paths; the location is no part of a field."""
    flat: dict[str, list[str]] = {}
    for inner in (messages or {}).values():
        flat.update(flatten(inner))
    return flat
