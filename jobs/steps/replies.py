"""What is asked about a task, and what gateways reply to that, in our words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jobs.errors import BadReport, NoStatus
from jobs.machine.flags import UNKNOWN
from jobs.machine.rows import Attempt
from jobs.providers.answers import is_own
from jobs.providers.base import Provider, Report, ReportState
from jobs.providers.client import Account, Answered, Lost, NotSent, answer_for_history, json_body

NO_WORD = f"{UNKNOWN}no text"  # where a status is missing, empty, or no text
OTHER_SHAPE = f"{UNKNOWN}another shape"  # where a success is JSON and no report
NO_TASK_NAMED = f"{UNKNOWN}no task"  # where a report does not say whose it is
# What is counted as a drift of a gateway's shape, by the word that history has for it.
SHAPES = {
    NO_WORD: "(no status)",
    OTHER_SHAPE: "(an answer of another shape)",
    NO_TASK_NAMED: "(an answer that names no task)",
    "finished_without_link": "(finished without a link)",
    "link_forbidden": "(finished with a link that cannot be used)",
    "another_task": "(an answer about another task)",
}
KEY_TROUBLES = frozenset({401, 403, 408, 429})  # these say nothing about the task


@dataclass(frozen=True)
class Inquiry:
    """One query that a case asks for. `candidate`: a task id that only a callback, or a person, has named so far.

    `asks`: how often its gateway has answered that before. `is_signed`: the callback bore the gateway's signature.
    """

    attempt: Attempt
    task_id: str
    candidate: bool
    asks: int = 0
    is_signed: bool = False

    @property
    def is_guess(self) -> bool:
        """Whether anybody who has the order's callback URL may have made it up."""
        return self.candidate and not self.is_named and not self.is_signed

    @property
    def is_named(self) -> bool:
        """Whether a person named it, who is to be told what came of that."""
        return self.attempt.is_named and self.task_id == self.attempt.named_task_id


@dataclass(frozen=True)
class Reply:
    """What came of an inquiry: a report, or the reason why there is none.

    `final`: the gateway has answered, and asking again at once changes nothing. `asked`: False where the budget did
    not reach so far this time.
    """

    inquiry: Inquiry
    report: Report | None
    word: str | None  # a short name of what was said, to tell changes by
    detail: Mapping[str, Any]
    final: bool = True
    asked: bool = True


def read_reply(inquiry: Inquiry, provider: Provider, account: Account, answer: Answered | NotSent | Lost) -> Reply:
    """A query's answer in our words; pure. Garbage moves nothing and stands in the history, cut and masked."""
    if not isinstance(answer, Answered):
        return Reply(inquiry, None, "unreachable", {"reason": answer.reason}, final=False)
    raw = {"status": answer.status, "body": answer_for_history(answer, account=account)}
    if answer.status >= 300:
        is_final = answer.status < 500 and answer.status not in KEY_TROUBLES
        final = is_final and is_own(provider, inquiry.task_id, answer.status, answer.body)
        return Reply(inquiry, None, f"http_{answer.status}", raw, final)
    word = "unreadable"
    try:
        body = json_body(answer.body)
        # No page documents a success that is no task's: a person sees it at first sight, and it is no answer all the
        # same. That it may have the shape of an error says nothing: EasyRouter's successes have that too.
        word = OTHER_SHAPE
        report = provider.read_report(body)
    except BadReport as e:
        word = NO_WORD if isinstance(e, NoStatus) else word
        return Reply(inquiry, None, word, {"reason": str(e)[:500], **raw}, final=False)
    if report.task_id != inquiry.task_id:
        # Every page's report names its task. What names none may be the words of whoever stands before the gateway.
        word = NO_TASK_NAMED if report.task_id is None else "another_task"
        return Reply(inquiry, None, word, raw, final=False)
    if not report.word_known:
        return Reply(inquiry, report, f"{UNKNOWN}{report.word}"[:64], raw)
    if report.state is ReportState.FINISHED and report.link is None:
        if report.bad_link is not None:  # told without the body, in which its query could not be found and masked
            return Reply(inquiry, report, "link_forbidden", asdict(report.bad_link))
        return Reply(inquiry, report, "finished_without_link", raw)
    return Reply(inquiry, report, report.state.value, {})
