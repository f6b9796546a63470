"""Whether an order was refused for lack of credit, in whatever words: codes first, and words where no code speaks.

Gateways are resold, and what they are made of is their neighbour's: where one's page says 402, new-api and its kin say
401, 403 or 429, in {code, message}, {error: {code, type, message}}, {error: "..."}, {code, msg}, {detail} or {errors}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.providers.answers import part, text
from jobs.providers.base import Refusal
from jobs.providers.refusals import NO_CREDIT, refusal

STATUSES = frozenset({400, 401, 402, 403, 429})
CODES = frozenset(
    {
        "402",
        "payment_required",
        "arrearage",
        "arrears",
        "pre_consume_token_quota_failed",
        "quota_exhausted",
        # A newer new-api's: what the account's plan, or the day's share of it, does not hold.
        "entitlement_required",
        "entitlement_inactive",
        "entitlement_daily_limit_exceeded",
        "entitlement_total_limit_exceeded",
    }
)
# What the gateways' pages and new-api's source have for all other refusals. A text that sounds otherwise is overruled.
OTHER_CODES = frozenset(
    {
        "rate_limit_exceeded",
        "rate_limit_error",
        "rate_limited",
        "too_many_requests",
        "token_concurrency_limit_reached",
        "token_concurrency_unavailable",
        "invalid_request",
        "invalid_request_error",
        "invalid_api_key",
        "authentication_error",
        "ip_not_allowed",
        "permission_error",
        "model_not_found",
        "not_found_error",
        "request_too_large_error",
        "content_policy_violation",
        "sensitive_words_detected",
        "prompt_blocked",
        "data_inspection_failed",
    }
)

_CODED, _SAID = ("code", "type", "status"), ("message", "msg", "error", "detail")
_WITHIN = ("error", "detail", "data", "errors")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# A request that is quoted may speak of money.
_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”|「[^」]*」|(?<!\w)'[^']*'(?!\w)")

_FEW, _BETWEEN = r"(?: [\w-]+){0,2}", r"(?: [\w-]+){0,3}"
_MONEY = r"(?:balances?|credits?(?! cards?\b)|funds)"
_PAYABLE = rf"(?:quotas?|{_MONEY})"
_CHINESE = "(?:额度|額度|余额|餘額|点数|點數|积分|積分)"
_WORDS = re.compile(
    rf"\b(?:insufficient|not enough|no|out of){_FEW} {_PAYABLE}\b"
    rf"|(?:\bnot|n['’]t) have (?:enough|sufficient|any){_FEW} {_PAYABLE}\b"
    rf"|\b{_PAYABLE}{_BETWEEN} (?:insufficient|not (?:enough|sufficient)|used up|r[ua]n out|too low|depleted)\b"
    rf"|\b{_MONEY}{_BETWEEN} (?:exhausted|exceeded)\b"
    rf"|\b(?:account|payment|bill|invoice){_BETWEEN} (?:overdue|past due|in arrears)\b"
    r"|\bpayment required\b|\b(?:billing|spend(?:ing)?)(?: hard)? limit\b"
    rf"|{_CHINESE}[^,，。;；]{{0,12}}(?:不足|不够|不夠|用尽|用盡|用完|耗尽|耗盡)"
    rf"|(?:没有|沒有|无|無)(?:足够|足夠)?的?{_CHINESE}"
    r"|欠费|欠費|预扣费?额度失败",
    re.IGNORECASE,
)
# Of a 429 these may as well mean how often one has asked.
_UNCLEAR = re.compile(
    rf"\bquotas?{_BETWEEN} (?:exhausted|exceeded|reached)\b|\bexceed(?:s|ed|ing)?{_BETWEEN} quotas?\b", re.IGNORECASE
)
_PACE = re.compile(
    r"\b(?:requests?|calls?) (?:per|a|in|within)\b|\bper[- ]minute\b"
    r"|\b(?:this|current|each|every|one) (?:second|minute|hour)\b"
    r"|\bslow(?:ing)? down\b|\btoo (?:many|fast|frequent)|\brate[- ]?limit|\b(?:[rt]pm|[qr]ps)\b|\bconcurren"
    r"|频率|頻率|频繁|頻繁|过快|過快|速率|限流|并发|並發|每(?:秒|分|小时|小時)",
    re.IGNORECASE,
)


def without_credit(http_status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
    """The refusal of an order because the account, or the key, has nothing left to pay with; None if it is none.

    For what names no task; the gateway's own table is asked first (see refusals.py).
    """
    if http_status not in STATUSES or not isinstance(body, Mapping):
        return None
    places = list(_places(body))
    codes = {code for where in places for name in _CODED if (code := _folded(part(where, name)))}
    said = [words for where in places for name in _SAID if (words := text(part(where, name)))]
    is_clear = (
        (http_status == 402 and bool(codes or said))
        or bool(codes & CODES)
        or any(_says(code.replace("_", " "), http_status) for code in codes)
    )
    # The words of a 400 may be those of the request that it finds fault with.
    may_speak = http_status != 400 and not codes & OTHER_CODES
    if not is_clear and not (may_speak and any(_lacks(words, http_status) for words in said)):
        return None
    return refusal(NO_CREDIT, said[0] if said else None, headers)


def _places(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Where codes and words stand: at the top, and in the objects that errors are put in."""
    yield body
    for name in _WITHIN:
        inner = part(body, name, 0) or part(body, name)
        if isinstance(inner, Mapping):
            yield inner


def _folded(code: Any) -> str:
    """A code in one way of writing: `insufficientQuota`, `INSUFFICIENT-QUOTA` and `insufficient_quota` are one."""
    said = _HUMP.sub("_", str(code)[:100]) if isinstance(code, str | int) and not isinstance(code, bool) else ""
    return re.sub(r"[\s.-]+", "_", said.strip().lower())


def _lacks(words: str, http_status: int) -> bool:
    """Whether a text says that there is no credit, and not that one has asked too often."""
    words = _QUOTED.sub("", words).replace("_", " ")
    return _says(words, http_status) and not _PACE.search(words)


def _says(words: str, http_status: int) -> bool:
    return bool(_WORDS.search(words) or (http_status != 429 and _UNCLEAR.search(words)))
