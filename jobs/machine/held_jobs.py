"""Why a queued job that has news is not ordered: its gateway is asked first. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from jobs.machine.case import Case
from jobs.machine.times import iso_s

ASKS = "asks"


class _Question(NamedTuple):
    provider: str
    about: str
    unanswered_since: datetime | None


def held_by(case: Case) -> dict[str, str] | None:
    """`waiting` of a queued job whose news holds it: who is asked about what, and since when in vain. None: no news."""
    questions = _questions(case)
    if not questions:
        return None
    first = min(questions, key=lambda question: question.unanswered_since is None)  # who is silent holds it longest
    reason = f"{first.provider} is asked about {first.about}, before anything is ordered"
    if first.unanswered_since is not None:
        reason += f"; it has not answered since {iso_s(first.unanswered_since)}"
    return {"provider": first.provider, "code": ASKS, "reason": reason}


def _questions(case: Case) -> list[_Question]:
    found = []
    for callback in case.unread:
        order = case.attempts.get(callback.attempt)  # None: one that a backup forgot
        what = f"task {callback.task_id}" if callback.task_id else f"order {callback.attempt}"
        since = order.unanswered_since if order else None
        found.append(_Question(callback.provider, f"{what}, of which a callback told", since))
    for order in case.attempts.values():
        if order.is_named:
            about = f"task {order.named_task_id}, which a person named"
            found.append(_Question(order.provider, about, order.unanswered_since))
    return found
