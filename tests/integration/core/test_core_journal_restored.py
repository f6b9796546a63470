"""A backup was put back while a journal held answers to orders that it has forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from losing import lose
from rows_backup import Backup
from workshop import RUN, Workshop

from jobs.machine.outcome import PostAnswer
from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.steps import late_answers
from jobs.store.journal import Journal

Only = Callable[[str], None]


@pytest.fixture
def journal(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A folder whose answers have waited for a while, and whose database was lost before they were cleared away.

    Gives the attempts whose answers are in it: all others are in the folder of a machine that is gone.
    """
    held: list[int] = [1, 2]
    real = Journal.drop

    def drop(journal: Journal, answer: PostAnswer) -> None:
        if answer.attempt not in held:
            real(journal, answer)

    monkeypatch.setattr(Journal, "drop", drop)
    workshop.resources.journal = Journal(workshop.resources.journal._folder)
    monkeypatch.setattr(late_answers, "WRITERS_TIME_S", 0)
    return held


@pytest.fixture
def only(workshop: Workshop) -> Only:
    """Leaves keys for one gateway alone, until the next call; "" gives all of them back."""
    accounts = workshop.settings.accounts

    def leave(name: str) -> None:
        left = {name: accounts[name]} if name else accounts
        object.__setattr__(workshop.settings, "accounts", left)

    return leave


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_an_order_that_the_backup_forgot_has_its_task_from_the_journal_and_is_not_ordered_again(
    workshop: Workshop, journal: list[int], sandbox: Any, provider: str
) -> None:
    job_id = workshop.create(provider=provider)
    backup = Backup(workshop)
    RUN["jobs.submit"](job_id, workshop.resources)
    assert lose(workshop, backup).unconfirmed == 1
    case = workshop.until(job_id, State.ARCHIVED)
    [task] = sandbox.tasks()
    attempt = case.attempts[1]
    assert (attempt.task_id, attempt.adopted, attempt.standing) == (task["task_id"], False, Standing.CHARGED)


def test_where_the_restore_guessed_another_gateway_the_journal_knows_better(
    workshop: Workshop, journal: list[int], only: Only, sandbox: Any
) -> None:
    job_id = workshop.create(provider=["evolink", "gravitex"])
    backup = Backup(workshop)
    only("gravitex")
    RUN["jobs.submit"](job_id, workshop.resources)
    only("")
    lose(workshop, backup)
    assert workshop.case(job_id).attempts[1].provider == "evolink"
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.job.provider, len(sandbox.tasks())) == ("gravitex", 1)


def test_a_refusal_frees_no_order_that_another_may_have_followed(
    workshop: Workshop, journal: list[int], sandbox: Any
) -> None:
    """The first POST was refused and the second one taken; this machine has the first answer, and another had both."""
    journal.remove(2)
    sandbox.fault("evolink", "refuse", status=402)
    job_id = workshop.create(provider=["evolink", "gravitex"])
    backup = Backup(workshop)
    workshop.until(job_id, State.GENERATING)
    lose(workshop, backup)
    assert late_answers.bring(workshop.resources) == 1
    for _ in range(3):
        workshop.sweep()
    case = workshop.case(job_id)
    assert (case.job.state, case.attempts[1].standing) == (State.UNCONFIRMED, Standing.UNCERTAIN)
    assert len(sandbox.tasks()) == 1


def test_with_both_answers_in_the_journal_the_second_one_brings_the_video_home(
    workshop: Workshop, journal: list[int], sandbox: Any
) -> None:
    sandbox.fault("evolink", "refuse", status=402)
    job_id = workshop.create(provider=["evolink", "gravitex"])
    backup = Backup(workshop)
    workshop.until(job_id, State.GENERATING)
    lose(workshop, backup)
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.job.attempt, case.job.provider, len(sandbox.tasks())) == (2, "gravitex", 1)
