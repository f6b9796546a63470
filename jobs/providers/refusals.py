"""Documented refusals of a first send, as tables can name them, and how long a refused key rests.

A refusal is only believed in the gateway's own JSON shape: an HTML page from a proxy, a 5xx or an empty body proves
nothing about whether the task was taken.
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

CREDIT_STATUSES = frozenset({400, 401, 402, 403, 429})
CREDIT_CODES = frozenset(
    {
        "insufficient_user_quota",
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_credit",
        "insufficient_credits",
        "insufficient_funds",
        "pre_consume_token_quota_failed",
        "quota_not_enough",
        "user_quota_not_enough",
        "token_quota_not_enough",
        "not_enough_balance",
        "balance_not_enough",
        "quota_exhausted",
        "arrearage",
        "arrears",
    }
)
_WITHOUT_CREDIT = re.compile(
    r"(insufficient|not enough|no|out of)( [\w-]+){0,2} (quota|balance|credits?|funds)\b"
    r"|\b(quota|balance|credits?|funds)\b( [\w-]+){0,2} (insufficient|not (enough|sufficient)|used up|run out|too low)"
    r"|(额度|余额|点数|积分)[^,，。;；]{0,12}(不足|不够|用尽|用完|耗尽)|欠费|预扣费?额度失败",
    re.IGNORECASE,
)
_CODED, _SAID = ("code", "type", "status"), ("message", "msg", "error", "detail")
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


def without_credit(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """The refusal of an order because the account, or the key, has nothing left to pay with; None if it is none.

    Gateways are resold: where one's page says 402, the software that it is made of says 401, 403 or 429, in shapes of
    its own (new-api and its kin): {code, message}, {error: {code, type, message}}, {error: "..."} or {code, msg}.
    """
    if http_status not in CREDIT_STATUSES or any(part(body, name) is not None for name in ("task_id", "id", "jobId")):
        return None
    found = [where for where in (body, part(body, "error")) if isinstance(where, Mapping)]
    said = [words for where in found for name in _SAID if (words := text(part(where, name)))]
    codes = {str(part(where, name))[:100].lower().replace("-", "_") for where in found for name in _CODED}
    # The words of a 400 may be those of the request that it finds fault with.
    by_words = http_status != 400 and any(map(_WITHOUT_CREDIT.search, said))
    return refusal(NO_CREDIT, said[0] if said else None, headers) if by_words or codes & CREDIT_CODES else None


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
