"""Orders that no row knows, and callbacks tell of: a database may have lost its last commits, or a backup was put back.

No such order is made known by a callback alone: whoever has a callback key could make one up. While the task that it
tells of is asked about, its job is not ordered; only the gateway's answer gives it a row, or corrects one whose gateway
or key is only guessed at. One that stands beside the known order of its number is shown to a person.

Of an order that nobody remembers nobody knows the key either: its gateway is asked with each one that it has here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.errors import BadRequest
from jobs.machine import flags, schedule
from jobs.machine.callbacks import Hearsay
from jobs.machine.case import Case
from jobs.machine.outcome import Facts, Inquired, Note
from jobs.machine.rows import Attempt, Origin
from jobs.settings import Settings
from jobs.steps import forgotten_attempts
from jobs.steps.learning import misfit
from jobs.steps.replies import Inquiry, Reply
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, cases, late_facts, leases, spending
from jobs.store.attempt_rows import attempt_of
from jobs.store.leases import Lease

ASKED_FOR = timedelta(hours=1)  # a job, from its first question about such orders on, where not all is answered
AT_ONCE = 3  # of what was told, in one round

Told = tuple[int, str | None]  # a task that a callback told: the order's number, and its id


@dataclass(frozen=True)
class Judged:
    """The lease with the rows of orders that were recognised, the replies about known orders, and what is to be told.

    `left`: the callbacks that stay unread, as their gateway has not answered yet. `read`: those that are judged.
    """

    lease: Lease
    replies: list[Reply]
    notes: tuple[Note, ...]
    inquired: Mapping[tuple[int, str], Inquired]
    left: frozenset[int]
    read: frozenset[int]
    trouble: bool

    def with_facts(self, facts: Facts) -> Facts:
        """What was learnt of known orders, and this."""
        read = tuple(sorted(({*facts.read} - self.left) | self.read))
        notes, inquired = (*self.notes, *facts.notes), {**facts.inquired, **self.inquired}
        return replace(facts, read=read, notes=notes, inquired=inquired, trouble=facts.trouble or self.trouble)


def questions(case: Case, known: Iterable[Inquiry], resources: Resources, now: datetime) -> list[Inquiry]:
    """These about known orders, with each key where one is forgotten; then those about orders that no row knows."""
    told = [x for x in _in_turn(case) if _is_possible(x.provider, case, resources.settings)]
    strange = (
        Inquiry(attempt_of(_row(case, x, resources, now)), x.task_id, True, x.asks, x.is_signed) for x in told[:AT_ONCE]
    )
    return [each for inquiry in (*known, *strange) for each in _with_each_key(inquiry, resources.settings)]


def judge(lease: Lease, replies: list[Reply], resources: Resources, now: datetime) -> Judged:
    """What becomes of what was told of orders that no row knows, by what the gateway says of the tasks.

    One that the gateway knows, and that fits, has been ordered: its row is written. All other news of them moves
    nothing. What is not answered is asked about again, for an hour a job.
    """
    case, strange = lease.case, {(x.attempt, x.provider, x.task_id) for x in lease.case.strange}
    united = {(r.inquiry.attempt.number, r.inquiry.attempt.provider, r.inquiry.task_id): r for r in _united(replies)}
    known = []
    for task, reply in united.items():
        if task not in strange:
            case = _with_key_of(lease, case, reply, resources, now)
            known.append(reply)
    waiting: list[tuple[Hearsay, Reply | None]] = []
    judged: dict[Told, str | None] = {}  # why it is no order of this job's; None: it is
    for heard in _in_turn(lease.case):
        reply_to = united.get((heard.attempt, heard.provider, heard.task_id))
        if case.knows(heard.attempt, heard.provider):  # by another task that was told of it
            known += [] if reply_to is None else [reply_to]
            continue
        is_possible = _is_possible(heard.provider, case, resources.settings)
        if is_possible and (reply_to is None or not reply_to.final):
            waiting.append((heard, reply_to))
            continue
        reason = _why_not(heard, reply_to, case, resources, now)
        if reason is None and reply_to is not None:
            recognised = _recognise(
                lease, heard, reply_to, resources, told_now={x.inquiry.attempt.number for x in known if x.report}
            )
            if recognised is None:
                waiting.append((heard, reply_to))
                continue
            if isinstance(recognised, Attempt):
                case = replace(case, attempts={**case.attempts, heard.attempt: recognised})
                known.append(reply_to)
            else:
                reason = recognised
        judged[heard.attempt, heard.task_id] = reason
    was_asked = any(united[task].asked for task in united.keys() & strange)
    is_over = was_asked and _is_over(lease, bool(waiting), resources, now)
    if is_over:
        judged |= {(x.attempt, x.task_id): "its gateway has not answered" for x, _ in waiting}
        waiting = []
    unread = [x for x in lease.case.unread if not lease.case.knows(x.attempt, x.provider)]
    open_ones = {(x.attempt, x.task_id) for x, _ in waiting}
    left = {x.id for x in unread if (x.attempt, x.task_id) in open_ones}
    return Judged(
        replace(lease, case=case),
        known,
        tuple(_notes(unread, judged, case)),
        {**_inquired(lease.case, judged, resources, now), **_asked_in_vain(waiting, resources, now)},
        frozenset(left),
        frozenset(x.id for x in unread if (x.attempt, x.task_id) in judged or x.task_id is None),
        trouble=any(reply.asked for _, reply in waiting if reply) or (bool(waiting) and not was_asked),
    )


def _in_turn(case: Case) -> list[Hearsay]:
    return sorted(case.strange, key=lambda x: x.turn)


def _is_possible(provider: str, case: Case, settings: Settings) -> bool:
    """Whether a job may have been ordered at a gateway: it has a key here, or had one when its client named it."""
    if provider in settings.accounts or provider in settings.previous_accounts:
        return True
    try:
        return provider in case.job.wanted.providers
    except BadRequest:  # taken in by an earlier version
        return True


def _with_each_key(inquiry: Inquiry, settings: Settings) -> list[Inquiry]:
    """The same question with each key that the order may have been sent with."""
    attempt = inquiry.attempt
    if not inquiry.candidate or not attempt.is_forgotten:
        return [inquiry]
    keys = [accounts.get(attempt.provider) for accounts in (settings.accounts, settings.previous_accounts)]
    others = [
        replace(inquiry, attempt=replace(attempt, account=key.fingerprint, base_url=key.base_url))
        for key in keys
        if key is not None and key.fingerprint != attempt.account
    ]
    is_guess = attempt.account == forgotten_attempts.UNKNOWN_KEY
    return others if others and is_guess else [inquiry, *others]


def _united(replies: Iterable[Reply]) -> Iterable[Reply]:
    """One reply for each task: the report under whichever key, else what is still to be answered, else "not known"."""
    united: dict[tuple[int, str, str], Reply] = {}
    for reply in replies:
        task = reply.inquiry.attempt.number, reply.inquiry.attempt.provider, reply.inquiry.task_id
        before = united.get(task)
        if before is None or _weight(reply) > _weight(before):
            united[task] = reply
    return united.values()


def _weight(reply: Reply) -> tuple[bool, bool, bool]:
    return reply.report is not None, not reply.final, reply.asked


def _why_not(heard: Hearsay, reply: Reply | None, case: Case, resources: Resources, now: datetime) -> str | None:
    """Why a task cannot be that of an order which no row knows; None: it can."""
    if reply is None:
        return f"{heard.provider} has no key here, and the job's client did not name it"
    if reply.report is None:
        return f"{heard.provider} knows no such task"
    return misfit(reply.report, reply.inquiry, case, resources.providers[heard.provider], now)


def _recognise(
    lease: Lease, heard: Hearsay, reply: Reply, resources: Resources, told_now: Collection[int]
) -> Attempt | str | None:
    """The order, which has a row from here on, or why it has none. None: the lease is lost.

    `told_now`: orders of which a task is known in this very round; where they are is no guess any more.
    """
    with resources.database.write() as db:
        now = resources.database.clock(db)
        if not leases.renew_lease(db, lease, lease_s=resources.settings.query_lease_s, now=now):
            return None
        case = cases.read_case(db, lease.job.id)
        row = _row(case, heard, resources, now) | _key_of(reply.inquiry.attempt)
        known = case.attempts.get(heard.attempt)
        if late_facts.bearer_of(db, attempt_of(row), heard.task_id) is not None:
            return "it is the task of another order"
        if known is None or known.made_nothing:
            attempt_rows.add_attempt(db, row, instead_of=known)
            spending.open_day(db, row["provider"], row["day"])
        elif forgotten_attempts.is_guess(known) and known.number not in told_now:
            attempt_rows.correct_guess(db, known, row, now)
        elif known.provider != heard.provider:
            # Nothing is hidden by it that presses more, or that a move has said.
            free = flags.SHOWN - flags.PRESSING
            leases.flag(db, lease.job.id, flagged="unknown_attempt", instead_of=free, now=now)
            return f"order {known.number} of this job is known to be at {known.provider}"
        return cases.read_case(db, lease.job.id).attempts[heard.attempt]


def _with_key_of(lease: Lease, case: Case, reply: Reply, resources: Resources, now: datetime) -> Case:
    """The case, where a key that a forgotten order's row does not have knows the task that fits it: with that key."""
    asked = reply.inquiry.attempt
    known = case.attempts[asked.number]
    if reply.report is None or asked.account == known.account:
        return case
    if misfit(reply.report, reply.inquiry, case, resources.providers[asked.provider], now) is not None:
        return case
    with resources.database.write() as db:
        now = resources.database.clock(db)
        if not leases.renew_lease(db, lease, lease_s=resources.settings.query_lease_s, now=now):
            return case
        attempt = cases.read_case(db, lease.job.id).attempts[asked.number]
        if attempt.task_id is None and attempt.provider == asked.provider:
            attempt_rows.correct_guess(db, attempt, _key_of(asked), now)
    return replace(case, attempts={**case.attempts, asked.number: replace(known, **_key_of(asked))})


def _key_of(attempt: Attempt) -> dict[str, Any]:
    return {"account": attempt.account, "base_url": attempt.base_url}


def _is_over(lease: Lease, is_waiting: bool, resources: Resources, now: datetime) -> bool:
    """Whether the job's hour is over, which begins with the first round of questions that leaves one open.

    All have been answered: the next one begins another hour.
    """
    began_at = lease.job.strange_since
    if began_at is None or began_at > now + ASKED_FOR:  # the second: the clock was set back
        began_at = now
    since = began_at if is_waiting else None
    if since != lease.job.strange_since:
        with resources.database.write() as db:
            now = resources.database.clock(db)
            leases.ask_in_vain(db, lease, since, lease_s=resources.settings.query_lease_s, now=now)
    return is_waiting and began_at <= now - ASKED_FOR


def _notes(unread: Iterable[Any], judged: Mapping[Told, str | None], case: Case) -> Iterable[Note]:
    """What is told of kept callbacks; of what has no body here there may be a thousand."""
    for number in dict.fromkeys(number for (number, _), reason in judged.items() if reason is None):
        yield Note("order_recognised", number, {"provider": case.attempts[number].provider})
    for callback in unread:
        told = callback.attempt, callback.task_id
        reason = "it tells no task" if callback.task_id is None else judged.get(told)
        if reason is not None:
            detail = {"provider": callback.provider, "task_id": callback.task_id, "reason": reason}
            yield Note("unknown_order", callback.attempt, detail)


def _inquired(
    case: Case, judged: Mapping[Told, str | None], resources: Resources, now: datetime
) -> dict[tuple[int, str], Inquired]:
    asks = {(x.attempt, x.task_id): x.asks for x in case.strange}
    return {
        task: Inquired(True, schedule.ask_again(n + 1, now, resources.settings))
        for task, n in asks.items()
        if judged.get(task) is not None
    }


def _asked_in_vain(
    waiting: Iterable[tuple[Hearsay, Reply | None]], resources: Resources, now: datetime
) -> dict[tuple[int, str], Inquired]:
    again_at = schedule.ask_again(0, now, resources.settings)
    return {(x.attempt, x.task_id): Inquired(False, again_at) for x, reply in waiting if reply and reply.asked}


def _row(case: Case, heard: Hearsay, resources: Resources, now: datetime) -> dict[str, Any]:
    known = case.attempts.get(heard.attempt)
    since = known.created_at if known is not None and known.is_forgotten else case.job.created_at
    origin = Origin.CALLED_BACK
    return forgotten_attempts.forgotten_row(
        case, heard.attempt, heard.provider, origin, resources, since=since, now=now
    )
