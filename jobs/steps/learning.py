"""What replies say about the attempts that were asked about, as facts on their rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from jobs.machine import failures, schedule
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges, rejection
from jobs.machine.outcome import Facts, Inquired, Note
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.schedule import is_of_unknown_age
from jobs.machine.states import ENDED
from jobs.providers.base import Failure, Provider, Report, ReportState
from jobs.settings import Settings
from jobs.steps.answers import error_columns
from jobs.steps.replies import SHAPES, Inquiry, Reply
from jobs.store import unknown_words

CLOCK_TOLERANCE = timedelta(minutes=5)  # between a gateway's clock and ours, when a task's age is judged

# Why a task that is called finished has no link, by the word that history has for it; and what a job ends as that
# waited in vain for a better one.
WITHOUT_LINK = {
    "finished_without_link": Failure(
        "no_link", "The gateway calls the task finished, and gives no link that can be used.", retryable=True
    ),
    "link_forbidden": Failure(
        "link_forbidden",
        "The gateway calls the task finished, and its link leads where none may lead.",
        retryable=True,
    ),
}


# What a row says of the task that it has, where another one takes its place.
OF_ANOTHER: AttemptChanges = {
    "contested": False,
    "link": None,
    "finished_at": None,
    "last_unfinished_at": None,
    "reported_credits": None,
    "reported_usd": None,
    "error_code": None,
    "error_message": None,
    "error_retryable": None,
    "error_said": None,
}


def learn(
    case: Case, replies: list[Reply], providers: Mapping[str, Provider], settings: Settings, now: datetime
) -> Facts:
    """What a round of replies says about the attempts; pure."""
    asked_at = case.job.updated_at  # by the claim, before any question: the clock may have leapt since
    unread: dict[int, datetime] = {}  # when the first of each order came
    for callback in case.unread:
        unread[callback.attempt] = min(callback.received_at, unread.get(callback.attempt, callback.received_at))
    # What only a person named is asked about again at its own pace: it is no trouble, and keeps no callback unread.
    silent = [r for r in replies if not r.final and (r.inquiry.attempt.number in unread or not r.inquiry.is_named)]
    behind = {r.inquiry.attempt.number for r in replies if _is_behind(r, case)} & unread.keys()
    behind = {n for n in behind if now < schedule.heard_until(case.attempts[n], settings, providers)}
    waiting = {reply.inquiry.attempt.number for reply in silent} | behind
    changes: dict[int, AttemptChanges] = {}
    notes: list[Note] = []
    progress = None
    rivals: dict[tuple[int, str], bool] = {}
    for reply in sorted(replies, key=_in_turn):
        attempt = reply.inquiry.attempt
        number = attempt.number
        said = changes.setdefault(number, {})
        report = reply.report
        if report is not None and reply.inquiry.candidate:
            task_id = reply.inquiry.task_id
            if reason := misfit(report, reply.inquiry, case, providers[attempt.provider], now):
                said |= rejection(attempt, said, task_id, reason)
                notes.append(Note("task_rejected", number, {"task_id": task_id, "reason": reason}))
                continue
            as_learnt = replace(attempt, **said)
            if as_learnt.task_id is not None:
                lives = report.state is not ReportState.FAILED
                if not lives or not _gives_way(as_learnt):
                    rivals[number, task_id] = lives
                    continue
                said |= OF_ANOTHER
            said |= {"task_id": task_id, "adopted": True}
            said |= {"outcome": AttemptOutcome.OPEN, "standing": Standing.HELD, "closed_at": None}
            attempt = replace(attempt, **said)
            notes.append(Note("task_adopted", number, {"task_id": task_id}))
        elif reply.inquiry.is_named and reply.final:
            said["named_refused"] = reason = _not_known(reply)
            notes.append(Note("task_rejected", number, {"task_id": reply.inquiry.task_id, "reason": reason}))
        if report is not None:
            told_at = unread.get(number)
            news: AttemptChanges = {"news_by": "callback" if told_at else "poll", "news_at": told_at or now}
            verdict = _verdict(attempt, reply, report, providers[attempt.provider], news, now)
            if _stays_given_up(attempt, report, schedule.life_end(attempt, settings, providers), now):
                verdict = {}
            if replace(attempt, **verdict).is_failed_in_doubt and not attempt.is_failed_in_doubt:
                notes.append(Note("failure_in_doubt", number, {"task_id": reply.inquiry.task_id}))
            if report.bad_cost is not None and "outcome" in verdict:
                notes.append(Note("cost_not_kept", number, asdict(report.bad_cost)))
            said |= verdict
            if number == case.job.attempt:
                progress = report.progress
        if reply.word != attempt.last_word:
            said["last_word"] = reply.word
            if reply.detail:
                notes.append(Note("gateway_said", number, {"word": reply.word, **reply.detail}))
                if report is not None and not report.word_known:
                    strange = {"provider": attempt.provider, "word": report.word}
                    notes.append(Note(unknown_words.EVENT, number, strange))
                elif reply.word in SHAPES:
                    strange = {"provider": attempt.provider, "word": SHAPES[reply.word]}
                    notes.append(Note(unknown_words.SHAPE_EVENT, number, strange))
    adopted = {number for number, said in changes.items() if "task_id" in said}
    inquired = _inquired(replies, rivals, settings, now)
    lost = [n for n, attempt in case.attempts.items() if attempt.hears and (not attempt.task_id or _gives_way(attempt))]
    # What tells of a task waits until that has been asked about, unless its order has found one meanwhile.
    in_line = {(x.attempt, x.task_id) for n in lost for x in case.heard(n) if not x.asks} - inquired.keys()
    read = tuple(
        callback.id
        for callback in case.unread
        if callback.attempt not in waiting
        and (callback.attempt in adopted or (callback.attempt, callback.task_id) not in in_line)
    )
    unanswered = {reply.inquiry.attempt.number for reply in silent if reply.asked}
    trouble = bool(unanswered & (unread.keys() | {case.job.attempt}) or behind)
    for number, said in changes.items():
        left = [r for r in replies if r.inquiry.attempt.number == number and not r.final]
        if "task_id" in said or not left:
            said |= {"answered_at": asked_at, "unanswered_since": None}
        elif any(reply.asked for reply in left):
            said["unanswered_since"] = case.attempts[number].unanswered_since or asked_at
        if count := sum(reply.asked for reply in replies if reply.inquiry.attempt.number == number):
            said["polls"] = case.attempts[number].polls + count
    learnt = {n: c for n, c in changes.items() if c}
    return Facts(learnt, read, inquired, notes=tuple(notes), progress=progress, trouble=trouble)


def misfit(report: Report, inquiry: Inquiry, case: Case, provider: Provider, now: datetime) -> str | None:
    """Why a task that a callback named cannot be this attempt's; None when nothing speaks against it."""
    ordered_at = None if is_of_unknown_age(inquiry.attempt, now) else inquiry.attempt.created_at
    if report.created_at is not None and ordered_at is not None and report.created_at < ordered_at - CLOCK_TOLERANCE:
        return "the task is older than the attempt"
    # By mode alone: a row does not say which of the upstream's models it asks for.
    models = [ability.model for (_, mode), ability in provider.abilities.items() if mode == case.job.mode]
    if report.model is not None and models and report.model.lower() not in map(str.lower, models):
        return f"the task's model is {report.model}, not {' or '.join(models)}"
    return None


def _inquired(
    replies: list[Reply], rivals: Mapping[tuple[int, str], bool], settings: Settings, now: datetime
) -> dict[tuple[int, str], Inquired]:
    """When to ask again about what callbacks told of: "not known" makes a task rarer to ask about, and strikes none.

    Where the gateway does not answer, the others have their turn before it. `rivals`: whether a task that it knows may
    be its order's as well as the one that this has.
    """
    asked = [((r.inquiry.attempt.number, r.inquiry.task_id), r) for r in replies if r.inquiry.candidate and r.asked]
    return {
        key: Inquired(r.final, schedule.ask_again(r.inquiry.asks + 1 if r.final else 0, now, settings), rivals.get(key))
        for key, r in asked
    }


def _in_turn(reply: Reply) -> tuple[bool, bool, bool]:
    """What is known first, then what a person named; of what callbacks told, a failed task last."""
    report, inquiry = reply.report, reply.inquiry
    has_failed = report is not None and report.state is ReportState.FAILED
    return inquiry.candidate, not inquiry.is_named, inquiry.candidate and has_failed


def _gives_way(attempt: Attempt) -> bool:
    """Whether an order's task, known by hearsay, has come to nothing: one that lives may as well be its own."""
    return attempt.is_failed_in_doubt or attempt.can_still_deliver


def _is_behind(reply: Reply, case: Case) -> bool:
    """Whether a gateway says of an order that is over, in an ended job, that it still runs.

    A callback that made us ask may be ahead of what queries are told, so it is kept, and the gateway asked again while
    the task can live.
    """
    inquiry, report = reply.inquiry, reply.report
    is_over = case.job.state in ENDED and not inquiry.attempt.is_open and not inquiry.candidate
    return is_over and report is not None and report.state is ReportState.RUNNING


def _stays_given_up(attempt: Attempt, report: Report, life_end: datetime, now: datetime) -> bool:
    """Whether a task still runs though its life is over, and its order was given up for that.

    Opened, it would be closed again at once, as if it had been given up just now, and be heard of for another life.
    """
    return attempt.outcome is AttemptOutcome.EXPIRED and report.state is ReportState.RUNNING and now >= life_end


def _verdict(
    attempt: Attempt, reply: Reply, report: Report, provider: Provider, news: AttemptChanges, now: datetime
) -> AttemptChanges:
    """The changes that a report makes on its attempt's row. `news`: how and when it came."""
    if attempt.outcome is AttemptOutcome.UNDELIVERED and attempt.link is not None:
        return _fresh_link(attempt, report, news)
    if report.state is ReportState.FINISHED and report.link is not None:
        if attempt.outcome is AttemptOutcome.FINISHED:  # known already; a later answer may bring a fresher link
            return {"link": report.link}
        finished: AttemptChanges = {"outcome": AttemptOutcome.FINISHED, "standing": Standing.CHARGED}
        money, at = _money(report, provider), _believable(report, attempt, now) or attempt.finished_at
        return {**finished, **news, **_no_error(), **money, "link": report.link, "finished_at": at}
    if report.state is ReportState.FAILED and report.failure is not None:
        if attempt.outcome is AttemptOutcome.FINISHED:  # the first last word stands; history has the second
            return {}
        if attempt.outcome is AttemptOutcome.FAILED or attempt.is_failed_in_doubt:
            news = {}  # a callback that comes after the poller has not told of it
        said: AttemptChanges = {**news, **_money(report, provider), **error_columns(report.failure)}
        if attempt.is_by_hearsay:  # it is believed as long as a lost answer is waited for after this
            return {} if attempt.outcome is AttemptOutcome.FAILED else {**said, **failures.in_doubt(attempt, now)}
        return {**said, "outcome": AttemptOutcome.FAILED, "standing": failures.standing(report.cost, provider)}
    if attempt.outcome not in (AttemptOutcome.OPEN, AttemptOutcome.EXPIRED):
        return {}
    running: AttemptChanges = {}
    if not attempt.is_open or attempt.is_failed_in_doubt:  # it was given up without a word, or failed; it runs again
        running |= {"outcome": AttemptOutcome.OPEN, "standing": Standing.HELD, "closed_at": None}
    if report.state is ReportState.FINISHED:
        at = _believable(report, attempt, now) or attempt.finished_at or max(now, attempt.created_at)
        why = WITHOUT_LINK.get(reply.word or "", WITHOUT_LINK["finished_without_link"])
        return {**running, **error_columns(why), **_money(report, provider), "finished_at": at}
    if report.word_known:  # an unknown one may be a word for the end
        running |= {"last_unfinished_at": now, "finished_at": None, **_no_error()}
    return running


def _fresh_link(attempt: Attempt, report: Report, news: AttemptChanges) -> AttemptChanges:
    """Of a video that was paid for and not delivered another link is news, and nothing else: not even of its money."""
    if report.state is not ReportState.FINISHED or report.link in (None, attempt.link):
        return {}
    return {"outcome": AttemptOutcome.FINISHED, **news, "link": report.link, **_no_error()}


def _not_known(reply: Reply) -> str:
    """Why a gateway's last word on a task that a person named is no report of it. Each has its own status for that."""
    return f"{reply.inquiry.attempt.provider} knows no such task; it answered {reply.detail.get('status')}"


def _money(report: Report, provider: Provider) -> AttemptChanges:
    """What the gateway says that it took; nothing where it does not say."""
    if report.cost is None:
        return {}
    return {"reported_credits": report.cost, "reported_usd": provider.in_usd(report.cost)}


def _believable(report: Report, attempt: Attempt, now: datetime) -> datetime | None:
    """When the gateway finished, by its own clock; None if that was before the task or is in the future."""
    at = report.finished_at
    return at if at is not None and attempt.created_at - CLOCK_TOLERANCE <= at <= now else None


def _no_error() -> AttemptChanges:
    return {"error_code": None, "error_message": None, "error_retryable": None, "error_said": None}
