"""What a gateway's answer says of the task that a person named for an order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_cases import HOUR, MINUTE, NOW, SECOND, SETTINGS, callback, case, job, lost

from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.base import Report, ReportState
from jobs.providers.registry import PROVIDERS
from jobs.steps.learning import learn
from jobs.steps.replies import Inquiry, Reply

RUNNING = Report(ReportState.RUNNING, "processing", task_id="t-7")
NAMED = lost(named_task_id="t-7")


def learnt(reply: Reply, *callbacks: Any) -> Facts:
    return learn(case(job(State.UNCONFIRMED), NAMED, callbacks=callbacks), [reply], PROVIDERS, SETTINGS, NOW)


def asked(report: Report | None, word: str, *, final: bool = True, **detail: Any) -> Reply:
    return Reply(Inquiry(NAMED, "t-7", candidate=True), report, word, detail, final)


def test_a_task_that_fits_is_the_orders() -> None:
    said = learnt(asked(RUNNING, "running")).attempts[1]
    assert (said["task_id"], said["adopted"], said["standing"]) == ("t-7", True, Standing.HELD)
    assert "named_refused" not in said


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (replace(RUNNING, created_at=NOW - HOUR), "the task is older than the attempt"),
        (replace(RUNNING, model="another-model"), "the task's model is another-model"),
    ],
)
def test_one_that_does_not_fit_is_refused_with_the_reason(report: Report, words: str) -> None:
    facts = learnt(asked(report, "running"))
    assert words in str(facts.attempts[1]["named_refused"])
    assert facts.attempts[1]["rejected_task_ids"] == ["t-7"]
    assert "task_id" not in facts.attempts[1]
    assert [note.event for note in facts.notes] == ["task_rejected"]


def test_an_order_of_unknown_age_is_told_by_no_times() -> None:
    """Its clock was ahead: whatever a gateway made for it seems older than it is."""
    earlier = asked(replace(RUNNING, created_at=NOW - HOUR), "running")
    for doubtful in (replace(NAMED, age_unknown=True), replace(NAMED, created_at=NOW + HOUR)):
        reply = replace(earlier, inquiry=replace(earlier.inquiry, attempt=doubtful))
        assert learnt(reply).attempts[1]["task_id"] == "t-7"


@pytest.mark.parametrize("status", [400, 404, 410])
def test_one_that_the_gateway_does_not_know_is_refused(status: int) -> None:
    facts = learnt(asked(None, f"http_{status}", status=status))
    assert facts.attempts[1]["named_refused"] == f"evolink knows no such task; it answered {status}"
    assert facts.attempts[1].get("outcome", AttemptOutcome.OPEN) is AttemptOutcome.OPEN


def test_silence_leaves_all_as_it_was_and_is_no_trouble_of_ours() -> None:
    facts = learnt(asked(None, "unreachable", final=False))
    claimed_at = NOW - SECOND
    assert facts.attempts[1] == {"unanswered_since": claimed_at, "last_word": "unreachable", "polls": 1}
    assert not facts.trouble


def test_a_question_that_was_not_asked_is_no_silence() -> None:
    facts = learnt(replace(asked(None, "waits", final=False), word=None, asked=False))
    assert facts.attempts == {}


def test_silence_counts_from_the_first_question() -> None:
    waiting = replace(NAMED, unanswered_since=NOW - MINUTE)
    reply = Reply(Inquiry(waiting, "t-7", candidate=True), None, "unreachable", {}, final=False)
    facts = learn(case(job(State.UNCONFIRMED), waiting), [reply], PROVIDERS, SETTINGS, NOW)
    assert facts.attempts[1]["unanswered_since"] == NOW - MINUTE


def test_a_callback_that_names_the_same_task_stays_unread_while_the_gateway_is_silent() -> None:
    facts = learnt(asked(None, "unreachable", final=False), callback(task_id="t-7"))
    assert (facts.read, facts.trouble) == ((), True)


def test_what_was_asked_is_counted_whether_or_not_it_was_answered_and_what_was_not_is_not() -> None:
    answered, silent = asked(RUNNING, "running"), asked(None, "timeout", final=False)
    assert learnt(answered).attempts[1]["polls"] == learnt(silent).attempts[1]["polls"] == 1
    kept_back = replace(silent, asked=False)
    assert learnt(kept_back).attempts.get(1, {}).get("polls", 0) == 0
    other_task = replace(silent, inquiry=replace(silent.inquiry, task_id="t-8"))
    facts = learn(case(job(State.UNCONFIRMED), replace(NAMED, polls=3)), [silent, other_task], PROVIDERS, SETTINGS, NOW)
    assert facts.attempts[1]["polls"] == 5
