"""What tests have a person say of orders, and how they look at what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from workshop import RUN, Workshop

from jobs.errors import JobsError
from jobs.intake.settling import name_task, settle
from jobs.machine.case import Case
from jobs.machine.job_json import job_json
from jobs.machine.rows import Settled
from jobs.machine.states import State
from jobs.store import history, spending

KEY = "key_of_a_person"
HTML = "<html>502</html>"


def submit(workshop: Workshop, provider: str = "gravitex", **request: Any) -> str:
    job_id = workshop.create(provider=provider, **request)
    RUN["jobs.submit"](job_id, workshop.resources)
    return job_id


def lost(workshop: Workshop, sandbox: Any, provider: str = "gravitex", *, made: bool) -> str:
    """A job whose order the gateway took, or did not take, before its answer was lost."""
    if made:
        sandbox.fault(provider, "lose_answer", how="reset")
    else:
        sandbox.fault(provider, "refuse", status=502, body=HTML)
    job_id = submit(workshop, provider)
    assert workshop.state(job_id) is State.UNCONFIRMED
    return job_id


def lines(workshop: Workshop, job_id: str, event: str = "settle") -> list[tuple[dict[str, Any], str | None]]:
    with workshop.database.read() as db:
        told = history.of_job(db, job_id)
    return [(line["detail"], line["to_state"]) for line in told if line["event"] == event]


def spent(workshop: Workshop, case: Case) -> float:
    with workshop.database.read() as db:
        return spending.spent_usd(db, case.attempts[1].provider, case.attempts[1].day)


def named(case: Case, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = job_json(case)["attempts"][number - 1]["named"]
    return found


def say(workshop: Workshop, job_id: str, word: Settled | str, number: int = 1) -> Case:
    """Settle an order by a word about it, or by the id of its task."""
    if isinstance(word, Settled):
        return settle(job_id, number, word, workshop.core)
    return name_task(job_id, number, word, workshop.core)


def refuses(workshop: Workshop, job_id: str, error: type[JobsError], word: Settled | str, number: int = 1) -> str:
    """That a word is refused, and changes nothing; the refusal's own words."""
    before, told = workshop.case(job_id), workshop.history(job_id)
    with pytest.raises(error) as refusal:
        say(workshop, job_id, word, number)
    assert workshop.case(job_id) == before
    assert workshop.history(job_id) == told
    return str(refusal.value)


def rested(workshop: Workshop, job_id: str) -> Case | None:
    workshop.sweep()
    case = workshop.case(job_id)
    return case if case.job.alarm_at is None else None
