"""Documented refusals of a first send, as tables can name them, and how long a refused key rests.

How an answer to an order is read, at every gateway and in this order. What fits none of it is a lost answer: an HTML
page from a proxy, a 5xx or an empty body proves nothing about whether the task was taken.

1. An acceptance is what the gateway's page shows, under a 2xx. No 2xx is a refusal, and nothing that names a task is.
2. Where the gateway documents a code, status and code together mean what its table says, whatever the text says.
3. Lack of credit (credit.py): a 402; else a code for it, which is new-api's or its kin's; else, where no code says
   something else, words for it, unless they are about how often one asks.
4. The status alone, where the gateway documents it, in the gateway's own JSON shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from jobs.providers.answers import part, text
from jobs.providers.base import Failure, Refusal

LONGEST_PAUSE_S = 900.0
SHORTEST_PAUSE_S = 1.0

TASK_NAMES = ("task_id", "taskId", "id", "jobId")
# Written by the door of new-api and of one-api, before anything is asked of an upstream.
DOOR_TYPES = frozenset({"new_api_error", "one_api_error"})
_SECONDS = re.compile(r"\s*(\d+)(?:\.\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """What one documented refusal means. `pause_s`: how long the key rests when the gateway names no time."""

    code: str
    retryable: bool = False
    pause_s: float | None = None


INVALID = Rule("invalid_request")
# Keys are mended and credit is bought by people: long enough not to hammer, short enough to notice.
UNAUTHORIZED = Rule("unauthorized", pause_s=300)
NO_CREDIT = Rule("insufficient_credits", pause_s=900)
RATE_LIMITED = Rule("rate_limited", retryable=True, pause_s=30)


def refusal(rule: Rule, message: object, headers: Mapping[str, str], *, hint_s: float | None = None) -> Refusal:
    """A Refusal by `rule`. The pause is Retry-After, else the gateway's hint, else the rule's; 1 s to 15 min."""
    pause_s = None
    if rule.pause_s is not None:
        asked_s = retry_after_s(headers)
        pause_s = next(s for s in (asked_s, hint_s, rule.pause_s) if s is not None)
        pause_s = min(max(pause_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
    return Refusal(Failure(rule.code, text(message) or rule.code.replace("_", " "), rule.retryable), pause_s)


def names_a_task(body: Any) -> bool:
    """Whether a body tells of a task by its id. Then one may have been made, whatever else it tells."""
    return any(part(where, name) for where in (body, part(body, "data")) for name in TASK_NAMES)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3).

    A date is measured against the answer's own Date header: no clock is needed, and ours may differ from theirs. `now`
    takes its place where that says nothing.
    """
    value = header(headers, "retry-after")
    if value is None:
        return None
    seconds = _SECONDS.fullmatch(value)
    if seconds:
        return float(seconds[1])
    until, sent = _http_date(value), _http_date(header(headers, "date") or "") or now
    return max(0.0, (until - sent).total_seconds()) if until and sent else None


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header's value whatever the case of its name; `name` is lower case."""
    return next((v for k, v in headers.items() if k.lower() == name), None)


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)  # asctime's form, and -0000
