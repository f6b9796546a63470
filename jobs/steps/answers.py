"""What gateways answered to an order, as facts on the attempt's row. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobs.errors import BadReport
from jobs.machine.changes import AttemptChanges
from jobs.machine.error_codes import OWN_TROUBLE
from jobs.machine.outcome import ANSWERED, Cooldown, Facts, Note
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.providers.base import Failure, Provider
from jobs.providers.client import Account, Answered, Lost, NotSent, answer_for_history, json_body
from jobs.store import unknown_words

NO_ID = "(an accepted order without a task's id)"
NO_REFUSAL = "(a refusal of another shape)"


def read_answer(provider: Provider, account: Account, attempt: Attempt, answer: Answered | NotSent | Lost) -> Facts:
    """What a submit's answer says. Anything that is neither acceptance nor a documented refusal is lost."""
    number = attempt.number
    if isinstance(answer, NotSent):
        unsent: AttemptChanges = {"outcome": AttemptOutcome.NOT_SENT, "standing": Standing.NONE, "sending_at": None}
        code = OWN_TROUBLE if answer.ours else "unreachable"
        return Facts({number: {**unsent, "error_code": code, "error_message": answer.reason}}, trouble=True)
    if isinstance(answer, Lost):
        return _lost(number, {"reason": answer.reason})
    try:
        body = json_body(answer.body)
        acceptance = provider.read_acceptance(answer.status, body)
    except BadReport as e:
        body, reason = _json_or_none(answer), str(e)
    else:
        said = {"status": answer.status, "body": answer_for_history(answer, account=account)}
        return Facts({number: {"task_id": acceptance.task_id}}, notes=(Note(ANSWERED, number, said),))
    said = {"status": answer.status, "body": answer_for_history(answer, account=account)}
    refusal = provider.read_refusal(answer.status, answer.headers, body)
    if refusal is None:
        lost = _lost(number, {"reason": f"neither an acceptance nor a documented refusal: {reason}", **said})
        odd = None if body is None else NO_ID if answer.status < 300 else _odd_refusal(provider, answer.status, body)
        if odd is None:
            return lost
        strange = Note(unknown_words.SHAPE_EVENT, number, {"provider": provider.name, "word": odd})
        return replace(lost, notes=(*lost.notes, strange))
    failure = refusal.failure
    refused: AttemptChanges = {"outcome": AttemptOutcome.REFUSED, "standing": Standing.NONE, **error_columns(failure)}
    cooldown = None if refusal.pause_s is None else Cooldown(failure.code, refusal.pause_s)
    return Facts({number: refused}, notes=(Note("refused", number, said),), cooldown=cooldown)


def _odd_refusal(provider: Provider, http_status: int, body: Any) -> str | None:
    """What is counted of a refusal in JSON that has not even the shape of the gateway's errors; None where it has."""
    return NO_REFUSAL if 400 <= http_status < 500 and not provider.is_error(body) else None


def error_columns(failure: Failure) -> AttemptChanges:
    return {
        "error_code": failure.code,
        "error_message": failure.message,
        "error_retryable": failure.retryable,
        "error_said": failure.said,
    }


def _lost(number: int, detail: Mapping[str, Any]) -> Facts:
    return Facts({number: {"standing": Standing.UNCERTAIN}}, notes=(Note("answer_lost", number, detail),))


def _json_or_none(answer: Answered) -> Any:
    try:
        return json_body(answer.body)
    except BadReport:
        return None
