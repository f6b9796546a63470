"""All that proves an order, in one document: for a dispute with a gateway, or with whoever paid.

What opens a door is masked, also inside raw bodies; the SHA-256 of what came, or was sent, is told beside it. What is
not there is said: it was thrown away, or never kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.machine.case import Case
from jobs.machine.job_json import job_json
from jobs.machine.outcome import ANSWERED
from jobs.machine.rows import Attempt, Origin
from jobs.machine.states import State
from jobs.machine.times import iso
from jobs.providers.base import Provider, Request
from jobs.providers.client import ONE_CONNECTION, written
from jobs.reports.evidence_mask import Mask
from jobs.request.as_taken import host_alone
from jobs.settings import Settings
from jobs.store import cases, history, notices
from jobs.store.history import PRUNED, Line
from jobs.store.tables import inbox, notice_tries
from jobs.store.tables import notices as notices_table
from storage.bucket import StoredVideo

FORMAT = "rushes-evidence/1"
ANSWERS = (ANSWERED, "refused", "answer_lost")  # the lines of history that tell what became of a POST
PROOF = "length, SHA-256, boxes and frames were checked before it was stored"
HOW_TO_READ = (
    "`sha256`, the last member, is the SHA-256 of everything else in here, as JSON with sorted keys, without blanks, "
    "in UTF-8. Times are UTC, by the database's clock. `orders[].request.sha256` is of the bytes of the body as they "
    "were sent, `callbacks[].body.sha256` of the bytes as they came. … stands where a secret was: a key, the token of "
    "a callback URL, what follows the question mark of a link, the path of a notify_url. `masked` says in which bodies "
    "that was so; the bytes that stand here have another SHA-256 then. What a gateway answered is kept up to 4,096 "
    "characters. `not_kept` names what is not here, and why."
)
_TIMES = (
    "created_at",
    "sending_at",
    "lost_at",
    "accepted_at",
    "last_unfinished_at",
    "finished_at",
    "closed_at",
    "answered_at",
    "unanswered_since",
)
_MONEY = (
    "standing",
    "settled",
    "estimated_credits",
    "estimated_usd",
    "estimate_exact",
    "reported_credits",
    "reported_usd",
)


@dataclass(frozen=True)
class Look:
    """What the bucket shows at the place of a job's video, or why it was not looked at. Neither: nothing is there."""

    stored: StoredVideo | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Rows:
    """All rows of a job, read at one moment."""

    case: Case
    callbacks: list[RowMapping]
    history: list[Line]
    notices: list[RowMapping]
    tries: Mapping[str, list[RowMapping]]
    read_at: datetime


def read(db: Connection, job_id: str, *, now: datetime) -> Rows:
    """Raises UnknownJob."""
    case = cases.read_case(db, job_id)
    kept = sa.select(inbox).where(inbox.c.job_id == job_id).order_by(inbox.c.id)
    told = sa.select(notices_table).where(notices_table.c.job_id == job_id).order_by(notices_table.c.sequence)
    tried = sa.select(notice_tries).join(notices_table, notices_table.c.id == notice_tries.c.notice_id)
    tried = tried.where(notices_table.c.job_id == job_id).order_by(notice_tries.c.notice_id, notice_tries.c.number)
    tries: dict[str, list[RowMapping]] = defaultdict(list)
    for row in db.execute(tried).mappings():
        tries[row["notice_id"]].append(row)
    rows = (list(db.execute(statement).mappings()) for statement in (kept, told))
    callbacks, written_notices = rows
    return Rows(case, callbacks, history.of_job(db, job_id), written_notices, tries, now)


def document(
    rows: Rows, look: Look | None, settings: Settings, providers: Mapping[str, Provider], *, api_key_id: str
) -> dict[str, Any]:
    """The evidence as JSON values, the SHA-256 of all of it last. `look`: None where there is no video to look at."""
    mask = Mask(rows.case, settings)
    job = rows.case.job
    told = {
        "format": FORMAT,
        "how_to_read": HOW_TO_READ,
        "made_at": iso(rows.read_at),
        "made_by": {"service": f"rushes {version('rushes')}", "api_key": api_key_id},
        "not_kept": _not_kept(rows, settings),
        "job": job_json(rows.case),
        "start_by": iso(job.start_by),
        "orders": [_order(rows, attempt, providers, mask) for attempt in rows.case.attempts.values()],
        "callbacks": [_callback(row, mask) for row in rows.callbacks],
        "hearsay": [
            {
                "attempt": each.attempt,
                "provider": each.provider,
                "task_id": each.task_id,
                "heard_at": iso(each.heard_at),
            }
            | {"asks": each.asks, "is_signed": each.is_signed, "is_contested": each.is_contested}
            for each in rows.case.hearsay
        ],
        "history": [
            {"at": iso(line["at"])}
            | {name: line[name] for name in ("event", "attempt", "from_state", "to_state", "detail")}
            for line in rows.history
        ],
        "archive": _archive(rows.case, look),
        "notices": [_notice(row, rows.tries.get(row["id"], [])) for row in rows.notices],
    }
    masked = mask.everywhere(told)
    return {**masked, "sha256": digest(masked)}


def digest(told: Mapping[str, Any]) -> str:
    """The SHA-256 of a document without its own, in the one form that `HOW_TO_READ` names."""
    content = {name: value for name, value in told.items() if name != "sha256"}
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def _order(rows: Rows, attempt: Attempt, providers: Mapping[str, Provider], mask: Mask) -> dict[str, Any]:
    said = (line for line in rows.history if line["attempt"] == attempt.number and line["event"] in ANSWERS)
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "base_url": attempt.base_url,
        "key_fingerprint": attempt.account,
        "origin": attempt.origin.value,
        "outcome": attempt.outcome.value,
        "task_id": attempt.task_id,
        "task_id_came_by": "callback" if attempt.adopted else "the answer, or a person" if attempt.task_id else None,
        "with_callback": attempt.with_callback,
        "sends": attempt.sends,
        "request": _request(attempt, providers.get(attempt.provider), mask),
        "answers": [{"at": iso(line["at"]), "what": line["event"], **line["detail"]} for line in said],
        "money": {name: getattr(attempt, name) for name in _MONEY}
        | {"day": attempt.day, "counted_micro_usd": attempt.reserved_micro_usd},
        "error": {name: getattr(attempt, f"error_{name}") for name in ("code", "message", "said", "retryable")}
        if attempt.error_code
        else None,
        "verdict_came_by": attempt.news_by,
        "last_word": attempt.last_word,
        "link": attempt.link,
        "named_task_id": attempt.named_task_id,
        "named_refused": attempt.named_refused,
        "rejected_task_ids": attempt.rejected_task_ids,
        "unproven": attempt.unproven,
        "accepted_sha256": attempt.accepted_sha256,
        "accepted_by": attempt.accepted_by,
        "times": {name: iso(getattr(attempt, name)) for name in _TIMES} | {"age_unknown": attempt.age_unknown},
    }


def _request(attempt: Attempt, provider: Provider | None, mask: Mask) -> dict[str, Any] | None:
    """The POST, of its kept parts by what writes them when it is sent. None: they are not kept."""
    if not attempt.request or provider is None:
        return None
    kept = Request(**attempt.request)
    more = dict(ONE_CONNECTION)
    if provider.idempotency_header:
        more[provider.idempotency_header] = attempt.idempotency_key
    headers, body = written(provider, "…", kept, more)
    return {"method": kept.method, "url": attempt.base_url + kept.path, "headers": headers, **mask.body(body or b"")}


def _callback(row: RowMapping, mask: Mask) -> dict[str, Any]:
    names = ("attempt", "provider", "task_id", "headers", "readable", "signature")
    return {
        "id": f"cbk_{row['id']}",
        **{name: row[name] for name in names},
        "answered_with": row["status"],
        "received_at": iso(row["received_at"]),
        "acted_on_at": iso(row["read_at"]),
        "body": mask.body(row["body"]),
    }


def _notice(row: RowMapping, tries: list[RowMapping]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "sequence", "type", "body")},
        "url": host_alone(row["url"]),
        "state": notices.state_of(row).value,
        "created_at": iso(row["created_at"]),
        "delivered_at": iso(row["delivered_at"]),
        "tries": [
            {"at": iso(each["at"]), **{name: each[name] for name in ("number", "status", "error", "took_s")}}
            for each in tries
        ],
    }


def _archive(case: Case, look: Look | None) -> dict[str, Any] | None:
    """What the row says of the archived video, and what the bucket shows of it now."""
    job = case.job
    if job.state is not State.ARCHIVED:
        return None
    facts = ("bucket", "bytes", "sha256", "duration_s", "width", "height", "fps", "accepted_by")
    told = {"key": job.archive_key} | {name: getattr(job, name) for name in facts}
    told["proof"] = (
        "taken by a person" if job.accepted_by else "length, boxes and frames were checked before it was stored"
    )
    stored = look.stored if look else None
    shown = stored and {
        "etag": stored.etag,
        "bytes": stored.bytes,
        "sha256": stored.sha256,
        "written_at": iso(stored.written_at),
        "metadata": stored.metadata,
    }
    return {**told, "object": shown, "object_missing": _why_no_object(look)}


def _why_no_object(look: Look | None) -> str | None:
    if look is not None and look.stored is not None:
        return None
    return (look.reason if look else None) or "the bucket has no object there now"


def _not_kept(rows: Rows, settings: Settings) -> list[dict[str, str]]:
    """What one would look for and not find."""
    missing = []
    pruned = next((iso(line["at"]) for line in rows.history if line["event"] == PRUNED), None)
    if pruned:
        after = f"as histories are after {settings.keep_history_d:g} days (RUSHES_KEEP_HISTORY_D)"
        why = f"thrown away on {pruned}, {after}"
        missing += [{"what": what, "why": why} for what in ("history", "requests of orders", "answers", "notices")]
    for attempt in rows.case.attempts.values():
        gone = [*_gone(rows, attempt, pruned), *_callbacks_gone(rows, attempt, settings)]
        missing += [{"what": f"order {attempt.number}: {what}", "why": why} for what, why in gone]
    unchanged = "kept where they said something new that the order's columns do not tell: see history"
    return [*missing, {"what": "answers to questions about a task", "why": unchanged}]


def _gone(rows: Rows, attempt: Attempt, pruned: str | None) -> Iterator[tuple[str, str]]:
    if attempt.origin is not Origin.ORDERED:
        yield "request and answer", "the database has never had them: a backup was put back, or a callback told of it"
        return
    if pruned:
        return
    if not attempt.request:
        yield "request", "the job's rows were rebuilt from its video's sidecar, which has none"
    said = {line["event"] for line in rows.history if line["attempt"] == attempt.number}
    if attempt.sending_at is None:
        yield "answer", "nothing was sent"
    elif not said.intersection(ANSWERS):
        yield "answer", "not kept, or not there yet: an earlier version kept no answers of accepted orders"


def _callbacks_gone(rows: Rows, attempt: Attempt, settings: Settings) -> Iterator[tuple[str, str]]:
    kept = sum(row["attempt"] == attempt.number for row in rows.callbacks)
    if kept >= settings.max_inbox_rows:
        yield "further callbacks", f"the first {kept} are kept; that more came is in the log alone"
    elif not kept and not attempt.with_callback:
        yield "callbacks", "the order bore no callback URL"
    elif not kept:
        came = "one came" if attempt.news_by == "callback" else "none came that is known of"
        after = f"they are thrown away after {settings.keep_callbacks_d:g} days (RUSHES_KEEP_CALLBACKS_D)"
        yield "callbacks", f"{came}; {after}"
