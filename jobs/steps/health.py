"""What exchanges say of a gateway's lanes, brought to their rows; and the question that costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from jobs.machine import breaker
from jobs.machine.breaker import Kind, LaneName, Word
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome
from jobs.providers.answers import is_own
from jobs.providers.base import Provider
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.providers.refusals import LONGEST_PAUSE_S, SHORTEST_PAUSE_S, UNAUTHORIZED, retry_after_s
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, hearing, lanes, orders_out, waiting_jobs
from jobs.store.database import DatabaseUnavailable

# No gateway's tasks are called so; each answers it as it answers for any task that it does not have.
NO_TASK = "00000000-0000-4000-8000-000000000000"
SAYS_NOTHING = frozenset({401, 403, 408})  # of whether the gateway is well; 429 asks for a rest

Answer = Answered | NotSent | Lost

log = structlog.get_logger()


@dataclass(frozen=True)
class Exchange:
    """One POST or query: about which job or task, when it may have left, under whose lease."""

    of: str
    left_at: datetime
    by: str


def word_of_order(exchange: Exchange, answer: Answer, facts: Facts, number: int) -> Word:
    """What the answer to an order says of the lane; `facts` is what it says of the order."""
    said = facts.attempts.get(number, {})
    if said.get("task_id"):
        return _word(exchange, Kind.ACCEPTED)
    if said.get("outcome") is AttemptOutcome.REFUSED:
        if facts.cooldown is None:
            return _word(exchange, Kind.ALIVE)
        return _word(exchange, Kind.ASKED_FOR_REST, facts.cooldown.seconds, facts.cooldown.reason)
    return _failed(exchange, answer)


def word_of_query(provider: Provider, exchange: Exchange, answer: Answer) -> Word:
    """What the answer to a query says of the lane; not what it says of the task."""
    return replace(_said_to_query(provider, exchange, answer), is_question=True)


def _said_to_query(provider: Provider, exchange: Exchange, answer: Answer) -> Word:
    if isinstance(answer, Answered):
        if answer.status == 429:
            return _word(exchange, Kind.ASKED_FOR_REST, _advice_s(answer), "rate_limited")
        if answer.status in SAYS_NOTHING:
            return _word(exchange, Kind.OURS)
        if answer.status < 500 and is_own(provider, exchange.of, answer.status, answer.body):
            return _word(exchange, Kind.ALIVE)
    return _failed(exchange, answer)


def hear(account: Account, name: LaneName, word: Word, resources: Resources) -> None:
    """Let a word count for its lane. With the database away the lane learns nothing, and a probe's right runs out."""
    database = resources.database
    try:
        if word.kind in (Kind.ACCEPTED, Kind.ALIVE, Kind.OURS):
            with database.read() as db:
                if name == "submit":
                    lane, out, _ = orders_out.look(db, account, resources.settings, database)
                    lost = out.lost
                else:
                    lane, lost = lanes.read(db, account, name), 0
            # Most words are good ones about a lane that is well: they change nothing, so nothing is written.
            if lane.is_well and not lane.losses and not lost and lane.prober is None:
                return
        with database.write() as db:
            may_go = hearing.hear(db, account, name, word, resources.settings, now=database.clock(db))
        if may_go and name == "submit":
            with database.write() as db:
                waiting_jobs.wake_waiting(db, account.provider, now=database.clock(db))
    except DatabaseUnavailable:
        log.warning("lane_not_told", provider=account.provider, lane=name, word=word.kind.value)


def hear_unsent(account: Account, exchange: Exchange, unsent: NotSent, resources: Resources) -> None:
    """Nothing can be sent, as was seen before anything was claimed."""
    if unsent.ours:
        return
    database, word = resources.database, _failed(exchange, unsent)
    try:
        with database.write() as db:
            hearing.hear_unreached(db, account, word, resources.settings, now=database.clock(db))
    except DatabaseUnavailable:
        log.warning("lane_not_told", provider=account.provider, lane="submit", word=word.kind.value)


def ask_for_free(account: Account, resources: Resources) -> bool:
    """Ask a gateway that owes too many answers, or is not heard of, something that costs nothing.

    True: it answered, its rest is over, and one order may go: whose, those who wait for it find out among themselves.
    The question is about a task that the key has there, else about one that cannot exist: then a "not found" in the
    gateway's own words is an answer as well.
    """
    database, settings, by = resources.database, resources.settings, resources.new_lease_holder()
    provider = resources.providers[account.provider]
    if resources.query_budget.slot(account, provider.polling.budget_per_s, account.fingerprint, urgent=True):
        return False
    with database.write() as db:
        now = database.clock(db)
        lane = lanes.lock(db, account, "submit")
        rests_s = lane.rests_s(now)
        if (rests_s and not lane.may_ask(now)) or lane.probed_s(now, longest_s=settings.submit_lease_s):
            return False  # somebody else asks, or has just asked in vain
        asking = lane.silent(now) if rests_s else lane
        lanes.write(db, account, "submit", asking.probe(by, now, for_s=settings.query_lease_s))
        task_id = attempt_rows.newest_task(db, account) or NO_TASK
    answer = resources.client.ask(
        provider, account, provider.query_request(task_id), deadline_s=settings.query_deadline_s
    )
    word = _word_of_free(provider, Exchange(task_id, now, by), answer)
    log.info("asked_for_free", provider=account.provider, word=word.kind.value)
    if word.kind is not Kind.ALIVE:
        hear(account, "submit", word, resources)
        return False
    with database.write() as db:
        now, lane = database.clock(db), lanes.lock(db, account, "submit")
        lanes.write(db, account, "submit", breaker.answered(lane, by, now))
    if lane.prober == by:  # the one that asks may be cancelled before it orders
        with database.write() as db:
            waiting_jobs.wake_waiting(db, account.provider, now=now)
    return lane.prober == by


def _word_of_free(provider: Provider, exchange: Exchange, answer: Answer) -> Word:
    """A question that is asked to learn whether orders are answered: one that the key may not ask is no answer."""
    word = replace(word_of_query(provider, exchange, answer), is_free=True)
    if not isinstance(answer, Answered) or answer.status not in SAYS_NOTHING:
        return word
    if answer.status == 408:
        return replace(word, kind=Kind.LOST)
    return replace(word, kind=Kind.ASKED_FOR_REST, reason="unauthorized", advice_s=UNAUTHORIZED.pause_s)


def _failed(exchange: Exchange, answer: Answer) -> Word:
    if isinstance(answer, NotSent):
        return _word(exchange, Kind.OURS if answer.ours else Kind.UNREACHED)
    return _word(exchange, Kind.LOST, _advice_s(answer) if isinstance(answer, Answered) else None)


def _word(exchange: Exchange, kind: Kind, advice_s: float | None = None, reason: str | None = None) -> Word:
    return Word(kind, exchange.of, exchange.left_at, exchange.by, advice_s, reason)


def _advice_s(answer: Answered) -> float | None:
    asked_s = retry_after_s(answer.headers)
    return None if asked_s is None else min(max(asked_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
