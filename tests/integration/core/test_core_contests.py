"""Two jobs lay claim to one task by callbacks: neither is archived until it is decided, and no film is lost by it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from served import Served
from workshop import RUN, Workshop

from jobs import callback_urls
from jobs.intake import settling
from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from storage.errors import LinkDead

pytestmark = pytest.mark.both_databases

PROVIDER = "evolink"


def lost(workshop: Workshop, sandbox: Any) -> str:
    """A job whose order was made, and nobody knows it."""
    sandbox.fault(PROVIDER, "lose_callback")
    sandbox.fault(PROVIDER, "lose_answer", how="reset")
    job_id = workshop.create(provider=PROVIDER)
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.UNCONFIRMED
    return job_id


def tell(workshop: Workshop, job_id: str, task_id: str) -> None:
    url = callback_urls.mint(str(workshop.settings.public_url), workshop.settings.callback_keys, PROVIDER, job_id, 1)
    assert requests.post(url, json={"id": task_id, "status": "completed"}, timeout=5).ok


def forget_links(workshop: Workshop) -> None:
    """Every link of a gateway is dead from now on; the bucket's own are not."""
    real, own = workshop.resources.fetch, str(workshop.resources.bucket.config.endpoint_url)

    def fetch(session: Any, url: str, **more: Any) -> Any:
        if not url.startswith(own):
            raise LinkDead("the link answers 403", status=403)
        return real(session, url, **more)

    workshop.resources.fetch = fetch


@pytest.fixture
def contested(workshop: Workshop, receiver: Served, sandbox: Any) -> tuple[str, str, str]:
    """The liar's victim, the true owner, and the owner's task, of which both were told before it was finished."""
    sandbox.fault(PROVIDER, "stall", times=2)
    victim, owner = lost(workshop, sandbox), lost(workshop, sandbox)
    task_id = sandbox.tasks(PROVIDER)[1]["task_id"]
    tell(workshop, victim, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and workshop.case(victim).attempts[1].task_id, "it is adopted")
    tell(workshop, owner, task_id)
    both = ["contested_task"] * 2

    def is_told() -> bool:
        workshop.sweep()
        return [workshop.case(job_id).job.flagged for job_id in (victim, owner)] == both

    workshop.await_(is_told, "it is told on both")
    sandbox.clear()  # now they finish
    return victim, owner, task_id


def test_while_it_is_undecided_neither_is_archived_and_the_film_is_kept(
    workshop: Workshop, contested: tuple[str, str, str]
) -> None:
    victim, owner, _ = contested
    workshop.await_(lambda: workshop.sweep() is not None and "kept_aside" in workshop.history(victim), "it is kept")
    assert (workshop.state(victim), workshop.state(owner)) == (State.ARCHIVING, State.UNCONFIRMED)
    kept = list(workshop.resources.bucket.listing(f"{workshop.resources.bucket.config.prefix}contested/"))
    assert len(kept) == 1


@pytest.mark.parametrize("link_lives", [True, False])
def test_a_person_decides_and_the_true_owner_has_its_film_though_the_link_be_dead(
    workshop: Workshop, sandbox: Any, contested: tuple[str, str, str], link_lives: bool
) -> None:
    victim, owner, task_id = contested
    workshop.await_(lambda: workshop.sweep() is not None and "kept_aside" in workshop.history(victim), "it is kept")
    if not link_lives:
        forget_links(workshop)
    settling.name_task(owner, 1, task_id, workshop.core)
    case = workshop.until(owner, State.ARCHIVED)
    assert (case.attempts[1].task_id, case.attempts[1].outcome) == (task_id, AttemptOutcome.DELIVERED)
    assert workshop.case(victim).attempts[1].task_id is None
    assert workshop.state(victim) is State.UNCONFIRMED
