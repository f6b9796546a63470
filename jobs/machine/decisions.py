"""What the facts on a job's rows amount to. Pure: (case, facts, now) in, an outcome out.

Every step first learns facts, and then asks here. So it does not matter who brought a fact (our own answer, a query, a
worker that had lost its lease): the same facts always move a job the same way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.machine import alarms, failures, flags, lives, schedule, settlement
from jobs.machine.alarms import Rules
from jobs.machine.callbacks import Hearsay
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges, JobChanges, with_times
from jobs.machine.error_codes import OWN_TROUBLE
from jobs.machine.held_jobs import ASKS, held_by
from jobs.machine.judges import JUDGES
from jobs.machine.outcome import Facts, Inquired, Move, Note, Outcome, Turn
from jobs.machine.states import Event, State, next_state

S, E = State, Event

OUR_TROUBLE = {"provider": None, "code": OWN_TROUBLE, "reason": "its step failed on our side, and is tried again"}


def decide(case: Case, facts: Facts, *, now: datetime, rules: Rules, wish: Turn | None = None) -> Outcome:
    """The moves that a case with these facts makes, after the one that its client wishes, and its next alarm."""
    before = case
    facts = failures.believe(_with_facts(case, facts, now), facts, now, rules)
    facts = lives.note_ages(case, settlement.weigh(case, facts), now)
    facts = lives.count_tries(_with_facts(case, facts, now), facts, now, rules)
    facts = lives.close_dead(_with_facts(case, facts, now), facts, now, rules)
    facts = settlement.stop_asking(_with_facts(case, facts, now), facts, now, rules)
    facts = settlement.weigh(before, facts)
    case = _with_facts(case, facts, now)
    moves: list[Move] = []
    if facts.video:
        case = replace(case, job=replace(case.job, **facts.video))
    changes: JobChanges = {"troubles": case.job.troubles + 1 if facts.trouble else 0, **facts.video}
    while turn := wish or JUDGES[case.job.state](case, now, rules):
        wish = None
        moves.append(_as_told(turn.move, facts))
        changes |= {**turn.job, "attempt": turn.move.attempt}
        if turn.attempt:
            learnt: AttemptChanges = {**facts.attempts.get(turn.move.attempt, {}), **turn.attempt}
            facts = settlement.weigh(before, replace(facts, attempts={**facts.attempts, turn.move.attempt: learnt}))
        written: JobChanges = {**turn.job, "attempt": turn.move.attempt}
        job = replace(case.job, state=next_state(case.job.state, turn.move.event), **written)
        case = _with_facts(replace(case, job=job), facts, now)
    case = replace(case, job=replace(case.job, troubles=changes["troubles"]))
    if case.job.state is S.QUEUED:
        changes |= _waits_by_rows(case, facts, changes)
    notes = [*facts.notes, *settlement.outweighed(before, facts)]
    flagged = flags.shown(case, now, rules.settings, rules.providers)
    if flagged != case.job.flagged:
        changes["flagged"] = flagged
    if _is_overdue(case, now, rules) and not case.job.overdue:
        changes["overdue"] = True
        notes.append(Note("overdue", case.job.attempt))
    return Outcome(
        alarm_at=alarms.alarm(case, facts, now, rules),
        moves=tuple(moves),
        job=changes,
        facts=replace(facts, notes=tuple(notes)),
    )


def _as_told(move: Move, facts: Facts) -> Move:
    """The move, as history tells it: of a copy how much it was, and how long it took."""
    if move.event is not E.STORE or facts.took_s is None:
        return move
    return replace(move, detail={**move.detail, "bytes": facts.video["bytes"], "seconds": round(facts.took_s, 3)})


def _waits_by_rows(case: Case, facts: Facts, changes: JobChanges) -> JobChanges:
    """Why a queued job waits, where no move says so. What a gateway has yet to answer holds it first."""
    if held := held_by(case):
        return {"waiting": held}
    if "waiting" in changes:
        return {}
    if facts.trouble:
        return {"waiting": OUR_TROUBLE}
    return {"waiting": None} if (case.job.waiting or {}).get("code") == ASKS else {}


def _with_facts(case: Case, facts: Facts, now: datetime) -> Case:
    learnt = {n: with_times(said, now) for n, said in facts.attempts.items() if said}
    attempts = {n: replace(a, **learnt[n]) if n in learnt else a for n, a in case.attempts.items()}
    callbacks = tuple(replace(x, read_at=now) if x.id in facts.read else x for x in case.callbacks)
    asked = [(x, facts.inquired.get((x.attempt, x.task_id))) for x in case.hearsay]
    heard = (_asked(x, y) if y else x for x, y in asked)
    claims = (replace(x, is_contested=True) if (x.attempt, x.task_id) in facts.contested else x for x in heard)
    return Case(case.job, attempts, callbacks, tuple(claims))


def _asked(heard: Hearsay, what: Inquired) -> Hearsay:
    is_contested = heard.is_contested if what.is_rival is None else what.is_rival
    return replace(heard, asks=heard.asks + what.answered, ask_at=what.again_at, is_contested=is_contested)


def _is_overdue(case: Case, now: datetime, rules: Rules) -> bool:
    attempt = case.current
    if case.job.state is not S.GENERATING or attempt is None or attempt.accepted_at is None:
        return False
    return now >= schedule.expected_end(case.job.mode, attempt.accepted_at, rules.settings)
