"""What holds for every decision, whatever stands on the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from made_cases import DAY, HOUR, MINUTE, NOW, SECOND, SETTINGS, attempt, callback, case, job, rules

from jobs.machine import schedule
from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import Cooldown, Facts, Inquired
from jobs.machine.rows import Attempt, AttemptOutcome, Settled, Standing
from jobs.machine.states import ENDED, State, next_state
from jobs.providers.registry import PROVIDERS

A = AttemptOutcome
AGES = st.sampled_from([SECOND, MINUTE, 20 * MINUTE, 2 * HOUR, 25 * HOUR, 3 * DAY])
MOMENTS = AGES.map(lambda age: NOW - age)
MAYBE = st.none() | MOMENTS
ERRORS = st.sampled_from([None, "content_refused", "rate_limited", "unauthorized", "key_conflict", "link_expired"])
CLOSED = frozenset(A) - {A.OPEN, A.NOT_SENT}


@st.composite
def attempts(draw: st.DrawFn, number: int) -> Attempt:
    task = draw(st.booleans())
    return attempt(
        number,
        provider=draw(st.sampled_from(["evolink", "apiframe", "gravitex"])),
        with_callback=draw(st.booleans()),
        outcome=draw(st.sampled_from(A)),
        standing=draw(st.sampled_from(Standing)),
        task_id=f"task-{number}" if task else None,
        created_at=draw(MOMENTS),
        sending_at=draw(MAYBE),
        sends=draw(st.integers(0, 4)),
        lost_at=draw(MAYBE),
        accepted_at=draw(MOMENTS) if task else draw(MAYBE),
        last_unfinished_at=draw(MAYBE),
        answered_at=draw(MAYBE),
        finished_at=draw(MAYBE),
        error_code=draw(ERRORS),
        error_retryable=draw(st.none() | st.booleans()),
        settled=draw(st.none() | st.sampled_from(Settled)),
        named_task_id=draw(st.none() | st.just("task-named")),
        named_refused=draw(st.none() | st.just("no such task")),
        unanswered_since=draw(MAYBE),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    state = draw(st.sampled_from(State))
    rows = [draw(attempts(n)) for n in range(1, draw(st.integers(0 if state is State.QUEUED else 1, 3)) + 1)]
    columns: dict[str, Any] = {
        "attempt": draw(st.integers(1, len(rows))) if rows else 0,
        "mode": draw(st.sampled_from(["text-to-video", "video-edit"])),
        "overdue": draw(st.booleans()),
        "troubles": draw(st.integers(0, 40)),
        "cancel_requested_at": draw(MAYBE),
        "on_unconfirmed": draw(st.sampled_from(["wait", "resubmit"])),
        "start_by": draw(st.sampled_from([NOW - SECOND, NOW, NOW + HOUR])),
        "flagged": draw(st.sampled_from([None, "troubled"])),
    }
    numbers = draw(st.lists(st.integers(1, len(rows) + 1), max_size=4))
    callbacks = [callback(n, id=i, read_at=draw(MAYBE)) for i, n in enumerate(numbers, 1)]
    return case(job(state, **columns), *rows, callbacks=callbacks)


CHANGES = st.sampled_from(
    [
        {},
        {"task_id": "task-x"},
        {"outcome": A.REFUSED, "standing": Standing.NONE, "error_code": "content_refused"},
        {"outcome": A.NOT_SENT, "standing": Standing.NONE, "sending_at": None},
        {"standing": Standing.UNCERTAIN},
        {"last_unfinished_at": NOW},
        {"outcome": A.FINISHED, "standing": Standing.CHARGED, "link": "https://host/v.mp4"},
        {"outcome": A.FAILED, "error_code": "generation_failed", "error_retryable": True},
        {"outcome": A.DELIVERED},
        {"outcome": A.UNDELIVERED, "error_code": "link_expired"},
        {"outcome": A.NOT_MADE, "standing": Standing.NONE, "settled": Settled.NOT_MADE},
        {"named_refused": "no such task"},
    ]
)


@st.composite
def learnt(draw: st.DrawFn, subject: Case) -> Facts:
    read = tuple(x for x in subject.unread if draw(st.booleans()))
    strange = {(x.attempt, str(x.task_id)) for x in read if not subject.knows(x.attempt, x.provider)}
    return Facts(
        attempts={n: draw(CHANGES) for n in subject.attempts if draw(st.booleans())},
        read=tuple(x.id for x in read),
        inquired=dict.fromkeys(strange, Inquired(answered=True, again_at=NOW)),  # what is read has been judged
        cooldown=draw(st.none() | st.builds(Cooldown, st.just("rate_limited"), st.floats(0.1, 900))),
        trouble=draw(st.booleans()),
    )


def can_be_heard_of(row: Attempt) -> bool:
    return row.can_still_deliver and schedule.heard_until(row, SETTINGS, PROVIDERS) > NOW


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.data())
def test_every_decision_keeps_to_the_table_and_forgets_nothing(data: st.DataObject) -> None:
    subject = data.draw(cases())
    facts = data.draw(learnt(subject))
    remaining = data.draw(st.sampled_from([(), ("gravitex",)]))

    outcome = decide(subject, facts, now=NOW, rules=rules(remaining))

    state = subject.job.state
    for move in outcome.moves:
        state = next_state(state, move.event)  # raises IllegalTransition off the table
        assert move.attempt in subject.attempts or (move.attempt == 0 and not subject.attempts)
    event(f"{subject.job.state} to {state}")

    if subject.job.state in (State.ARCHIVED, State.CANCELLED):
        assert outcome.moves == ()
    rows = {n: replace(row, **outcome.facts.attempts.get(n, {})) for n, row in subject.attempts.items()}
    after = {n: row.outcome for n, row in rows.items()}
    is_owed = A.OPEN in after.values() or any(row.is_named for row in rows.values())
    if outcome.alarm_at is None:
        assert state in ENDED
        assert not is_owed
    elif state in ENDED:
        late = {x.attempt for x in subject.unread if x.id not in facts.read}
        heard = {n for n in rows if subject.heard_at(n)}
        strange = any((x.attempt, x.task_id) not in facts.inquired for x in subject.strange)
        told = [x for x in subject.unread if x.id not in facts.read]
        strange = strange or not all(subject.knows(x.attempt, x.provider) for x in told)
        assert is_owed or strange or any(n not in rows or _can_matter(rows[n]) for n in late | heard)
    if outcome.alarm_at is not None:
        assert outcome.alarm_at >= NOW
    unread = [x for x in subject.unread if x.id not in facts.read]
    if state in ENDED and A.OPEN not in after.values():  # then a callback matters to an order without a video alone
        unread = [x for x in unread if x.attempt in rows and can_be_heard_of(rows[x.attempt])]
    if unread and outcome.alarm_at is not None and not facts.trouble and not facts.cooldown:
        assert outcome.alarm_at == NOW
    learned = {n: facts.attempts.get(n, {}).get("outcome", row.outcome) for n, row in subject.attempts.items()}
    for number, known in learned.items():
        if known in CLOSED:
            assert after[number] is not A.OPEN
    if state is State.FAILED:
        assert A.FINISHED not in after.values()  # a waiting proof was taken


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_deciding_again_on_what_was_decided_moves_nothing_more(data: st.DataObject) -> None:
    subject = data.draw(cases())
    outcome = decide(subject, Facts(), now=NOW, rules=rules())
    state = subject.job.state
    for move in outcome.moves:
        state = next_state(state, move.event)
    columns = {k: v for k, v in outcome.job.items() if k in type(subject.job).__dataclass_fields__}
    rows = {n: replace(row, **outcome.facts.attempts.get(n, {})) for n, row in subject.attempts.items()}
    again = Case(replace(subject.job, **columns, state=state), rows, subject.callbacks)
    assert decide(again, Facts(), now=NOW, rules=rules()).moves == ()


def _can_matter(order: Attempt) -> bool:
    return order.can_still_deliver or order.made_nothing
