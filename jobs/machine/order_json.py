"""One order as people look it up: what was sent, and what the gateway said of it. Pure.

What opens something is left out: the signatures of links, and the token of the callback URL.
"""

from __future__ import annotations

from typing import Any

from jobs.machine.rows import Attempt
from jobs.machine.times import iso
from jobs.request.as_taken import masked_link

CALLBACKS = "/webhooks/"  # in the path of every callback URL, whose last part is its token


def order_json(attempt: Attempt) -> dict[str, Any]:
    """The order as JSON values; `sent` is null once it is pruned, or where nothing of ours sent it."""
    times = ("created_at", "sending_at", "accepted_at", "lost_at", "finished_at", "closed_at", "answered_at")
    error = {"code": attempt.error_code, "message": attempt.error_message, "retryable": attempt.error_retryable}
    return {
        "job_id": attempt.job_id,
        "number": attempt.number,
        "provider": attempt.provider,
        "origin": attempt.origin.value,
        "account": attempt.account,
        "base_url": attempt.base_url,
        "sent": _masked(dict(attempt.request)) if attempt.request else None,
        "sends": attempt.sends,
        "task_id": attempt.task_id,
        "outcome": attempt.outcome.value,
        "last_word": attempt.last_word,
        "news_by": attempt.news_by,
        "polls": attempt.polls,
        "error": None if attempt.error_code is None else {**error, "provider_code": attempt.error_said},
        **{name: iso(getattr(attempt, name)) for name in times},
    }


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {name: _masked(each) for name, each in value.items()}
        case list():
            return [_masked(each) for each in value]
        case str() if value.startswith(("http://", "https://")):
            place, is_ours, _ = value.partition(CALLBACKS)
            return f"{place}{CALLBACKS}…" if is_ours else masked_link(value)
    return value
