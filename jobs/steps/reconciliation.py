"""Reconciling: ask the gateway about a job's attempts, write what it says on their rows, and let the facts decide.

A callback is a hint: it only makes us ask. What moves a job is the answer to our own query, made with our own key.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from jobs.machine.breaker import FAILURES, UNREACHABLE, Kind
from jobs.machine.case import Case
from jobs.machine.held_jobs import held_by
from jobs.machine.lives import is_at_an_end, is_tried_by_others
from jobs.machine.outcome import Facts
from jobs.machine.rows import Attempt, AttemptOutcome
from jobs.machine.states import State
from jobs.machine.times import CLOCK_SET_BACK
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.steps import ownership, resending, strange_orders
from jobs.steps.health import Exchange, hear, word_of_query
from jobs.steps.learning import learn
from jobs.steps.replies import Inquiry, Reply, read_reply
from jobs.steps.resources import Resources
from jobs.steps.step import Work, at_work, due_case
from jobs.store import callbacks, lanes, leases
from jobs.store.leases import Lease
from jobs.store.step_table import RECONCILE
from storage.errors import LinkUnavailable

GUESSES_SHARE = 0.25  # of a key's budget, at most, goes to tasks that anybody may have made up
AT_ONCE = 3  # tasks that callbacks told of, in one round

log = structlog.get_logger()


class _LaneRests(Exception):
    """Seen only in the claim's own transaction: the lane of its first question rests, or somebody else probes it."""

    def __init__(self, wait_s: float):
        super().__init__(f"not for {wait_s:.0f} s")
        self.wait_s = wait_s


def reconcile(job_id: str, resources: Resources) -> None:
    """Ask about a due job that is generating or unconfirmed, or that has ended with an attempt still open."""
    with at_work(due_case(job_id, RECONCILE, resources), resources) as work:
        ask(work, resources, lease_s=resources.settings.query_lease_s)


def ask(work: Work, resources: Resources, *, lease_s: float) -> None:
    """Claim a due case and ask about it, as far as budgets and room allow just now."""
    if work.found is None:
        return
    case, now = _judged(work.found.case, resources), work.found.now
    ownership.end_contests(case, resources)
    asked = strange_orders.questions(case, inquiries(case, resources.settings, now), resources, now)
    gateways = sorted({i.attempt.provider for i in asked} | {a.provider for a in [case.current] if a})
    presses = case.has_news or is_at_an_end(case, resources.rules)
    urgent = presses or case.job.state is State.UNCONFIRMED
    if wait := _wait(asked[:1], presses, urgent, resources):
        _put_off(case, wait, resources)
        return
    with resources.bulkheads.enter(gateways[0] if gateways else "none", "query") as come_back_in:
        if come_back_in:
            _put_off(case, come_back_in, resources)
            return
        try:
            work.lease = _claim(case, asked[:1], presses, lease_s, resources)
        except _LaneRests as e:
            if not _count_as_tried(work, case, asked, lease_s, resources):
                _put_off(case, e.wait_s, resources)
            return
        if work.lease is not None:
            work.lease, work.facts = _round(work.lease, presses, urgent, resources)


def _claim(case: Case, asked: list[Inquiry], presses: bool, lease_s: float, resources: Resources) -> Lease | None:
    """Claim, and take the right to probe a lane that rested in the same breath. Raises _LaneRests."""
    holder = resources.new_lease_holder()
    with resources.database.write() as db:
        now = resources.database.clock(db)
        lease = leases.claim(db, case, holder=holder, lease_s=lease_s, now=now)
        account = _account(asked[0], resources) if lease and asked else None
        if account is not None:
            wait_s = lanes.admit_query(db, account, holder, resources.settings, has_news=presses, now=now)
            if wait_s:
                raise _LaneRests(wait_s)
        return lease


def _count_as_tried(work: Work, case: Case, asked: list[Inquiry], lease_s: float, resources: Resources) -> bool:
    """Where the gateway of a task at its end cannot be reached: the questions of others count for it too.

    One at a time is tried while questions rest: hundreds of tasks would wait for hours for two questions of their own.
    """
    if case.has_news or not asked:
        return False
    account, of = _account(asked[0], resources), asked[0].attempt
    if account is None or any((i.attempt.provider, i.attempt.account) != (of.provider, of.account) for i in asked):
        return False
    with resources.database.read() as db:
        now, lane = resources.database.clock(db), lanes.read(db, account, "query")
    rules = resources.rules
    if not all(is_tried_by_others(case, inquiry.attempt, lane, now, rules) for inquiry in asked):
        return False
    with resources.database.write() as db:
        holder, now = resources.new_lease_holder(), resources.database.clock(db)
        work.lease = leases.claim(db, case, holder=holder, lease_s=lease_s, now=now)
    if work.lease is not None:
        why = {"reason": f"{of.provider} cannot be reached, as questions about other tasks have shown"}
        silent = [Reply(inquiry, None, UNREACHABLE, why, final=False) for inquiry in asked]
        work.facts = learn(work.lease.case, silent, resources.providers, resources.settings, now)
    return True


def _put_off(case: Case, seconds: float, resources: Resources) -> None:
    waiting = held_by(case) if case.job.state is State.QUEUED else None
    with resources.database.write() as db:
        now = resources.database.clock(db)
        leases.postpone(db, case.job, until=now + timedelta(seconds=seconds), now=now, waiting=waiting)


def _round(lease: Lease, presses: bool, urgent: bool, resources: Resources) -> tuple[Lease, Facts]:
    """One round of inquiries, as far as the keys' budgets reach, and the re-send that may be due.

    The lease has the rows of orders that were recognised, and corrected, in it: what was learnt speaks of those.
    """
    claimed_at = lease.job.updated_at
    found = inquiries(lease.case, resources.settings, claimed_at)
    asked = strange_orders.questions(lease.case, found, resources, claimed_at)
    replies = [_inquire(inquiry, lease.holder, claimed_at, resources) for inquiry in asked[:1]]
    others = [inquiry for inquiry in asked[1:] if not inquiry.is_guess]
    turn = lease.job.version % len(others) if others else 0  # so that each gets its turn where not all do at once
    for inquiry in (*others[turn:], *others[:turn], *(each for each in asked[1:] if each.is_guess)):
        if not _keep_lease(lease, resources) or _wait([inquiry], presses, urgent, resources):
            replies.append(Reply(inquiry, None, inquiry.attempt.last_word, {}, final=False, asked=False))
        else:
            replies.append(_inquire(inquiry, lease.holder, claimed_at, resources))
    with resources.database.read() as db:
        now = resources.database.clock(db)
    judged = strange_orders.judge(lease, replies, resources, now)
    lease = judged.lease
    facts = judged.with_facts(learn(lease.case, judged.replies, resources.providers, resources.settings, now))
    sent = resending.resend(lease, now, resources)
    if sent is None:
        return lease, facts
    told, notes = {**facts.attempts, **sent.attempts}, (*facts.notes, *sent.notes)
    return lease, replace(facts, attempts=told, notes=notes, answer=sent.answer)


def _keep_lease(lease: Lease, resources: Resources) -> bool:
    """Push our lease before another query, so that several slow ones do not outlive it. False: it is lost."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        return leases.renew_lease(db, lease, lease_s=resources.settings.query_lease_s, now=now)


def fresh_link(attempt: Attempt, resources: Resources) -> str | None:
    """Ask the gateway for the link of a finished task, once the key's budget has room; None: it says there is none.

    Raises LinkUnavailable where it does not answer, or when that room is further away than a lease may be left alone;
    and while its questions rest, where another one that presses has just been tried.
    """
    assert attempt.task_id is not None
    inquiry = Inquiry(attempt, attempt.task_id, candidate=False)
    left_s = resources.settings.transfer_lease_s / 3
    while wait := _slot(inquiry, True, resources):
        if wait > left_s:
            raise LinkUnavailable(f"{attempt.provider} may be asked in {wait:.1f} s")
        resources.pause(wait)
        left_s -= wait
    by, account = resources.new_lease_holder(), _account(inquiry, resources)
    with resources.database.write() as db:
        now, settings = resources.database.clock(db), resources.settings
        if account and (wait := lanes.admit_query(db, account, by, settings, has_news=True, now=now)):
            raise LinkUnavailable(f"questions to {attempt.provider} rest; this one may be tried in {wait:.1f} s")
    reply = _inquire(inquiry, by, now, resources)
    if not reply.final:
        raise LinkUnavailable(f"{attempt.provider} was asked for a fresh link, and did not answer ({reply.word})")
    return reply.report.link if reply.report else None


def inquiries(case: Case, settings: Settings, now: datetime) -> list[Inquiry]:
    """The queries that a case asks for: open attempts and what a person named, and then hearsay whose turn it is.

    The current attempt comes first.
    """
    unread = {callback.attempt for callback in case.unread}
    asked, heard = [], []
    for attempt in sorted(case.attempts.values(), key=lambda a: a.number != case.job.attempt):
        if attempt.outcome is AttemptOutcome.DELIVERED:
            continue
        if attempt.task_id is not None:
            if attempt.is_open or attempt.number in unread:
                asked.append(Inquiry(attempt, attempt.task_id, candidate=False))
        elif attempt.may_have_a_task and attempt.is_named and attempt.named_task_id:
            asked.append(Inquiry(attempt, attempt.named_task_id, candidate=True))
        if attempt.hears:
            heard += case.heard(attempt.number)
    latest = now + timedelta(seconds=settings.retry_longest_s) + CLOCK_SET_BACK
    due = sorted((x for x in heard if not now < x.ask_at <= latest), key=lambda x: x.turn)
    return [
        *asked,
        *(
            Inquiry(case.attempts[x.attempt], x.task_id, candidate=True, asks=x.asks, is_signed=x.is_signed)
            for x in due[:AT_ONCE]
        ),
    ]


def _wait(asked: list[Inquiry], presses: bool, urgent: bool, resources: Resources) -> float:
    """Seconds until the keys that are to be used may be used; 0: now."""
    wait = 0.0
    for inquiry in asked:
        account = _account(inquiry, resources)
        if account is None:
            continue
        with resources.database.read() as db:
            lane = lanes.read(db, account, "query")
            # News, and a task at the end of its life, are asked about while it rests too, slowly: the claim decides.
            if not presses and not lane.is_well:
                wait = max(wait, lane.wait_s(resources.database.clock(db)))
        wait = wait or _slot(inquiry, urgent, resources)
    return wait


def _slot(inquiry: Inquiry, urgent: bool, resources: Resources) -> float:
    """Seconds until the key's budget has room for this question; 0: it has, and the question is counted."""
    account = _account(inquiry, resources)
    if account is None:
        return 0
    per_s = resources.providers[account.provider].polling.budget_per_s
    slot = partial(resources.query_budget.slot, account, job_id=inquiry.attempt.job_id, urgent=urgent)
    guess = slot(per_s * GUESSES_SHARE, only="guesses") if inquiry.is_guess else 0.0
    return guess or slot(per_s)


def _account(inquiry: Inquiry, resources: Resources) -> Account | None:
    return resources.settings.account_of(inquiry.attempt.provider, inquiry.attempt.account)


def _inquire(inquiry: Inquiry, by: str, since: datetime, resources: Resources) -> Reply:
    """Ask one question with the key that the attempt was sent with, under the lease that `by` took at `since`."""
    attempt = inquiry.attempt
    provider = resources.providers[attempt.provider]
    account = _account(inquiry, resources)
    if account is None:
        detail = {"account": attempt.account, "hint": f"set RUSHES_{attempt.provider.upper()}_API_KEY_PREVIOUS"}
        return Reply(inquiry, None, "key_gone", detail, final=False)
    account = replace(account, base_url=attempt.base_url)
    request = provider.query_request(inquiry.task_id)
    answer = resources.client.ask(provider, account, request, deadline_s=resources.settings.query_deadline_s)
    reply = read_reply(inquiry, provider, account, answer)
    word = word_of_query(provider, Exchange(inquiry.task_id, since, by), answer)
    # What a stranger's callback named proves nothing: a gateway may fail over it alone, or ask for a rest.
    proves_nothing = {*FAILURES, Kind.ASKED_FOR_REST} if inquiry.is_guess else FAILURES
    if not inquiry.candidate or word.kind not in proves_nothing:
        hear(account, "query", word, resources)
    return reply


def _judged(case: Case, resources: Resources) -> Case:
    """Record whether signed callbacks are genuine. The exposed process holds no gateway key; this one does."""
    genuine: set[tuple[int, str | None]] = set()
    for attempt in case.attempts.values():
        verify = resources.providers[attempt.provider].verify_callback
        account = resources.settings.account_of(attempt.provider, attempt.account)
        if verify is None or account is None:
            continue
        with resources.database.read() as db:
            kept = callbacks.unjudged(db, attempt.job_id, attempt.number)
        for callback in kept:
            is_genuine = verify(account.api_key, callback.body, callback.headers)
            with resources.database.write() as db:
                callbacks.judge(db, callback.id, is_genuine=is_genuine)
            if is_genuine:
                genuine.add((attempt.number, callback.task_id))
    heard = (replace(x, is_signed=x.is_signed or (x.attempt, x.task_id) in genuine) for x in case.hearsay)
    return replace(case, hearsay=tuple(heard))
