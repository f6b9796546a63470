"""What is known of an order at once: a person who says otherwise is refused, and nothing changes."""

from __future__ import annotations

from typing import Any

import pytest
from persons import lost, refuses, submit
from workshop import RUN, Workshop

from jobs.errors import NotClosed, NotLost, TaskKnown, TaskTaken, UnderWay, UnknownJob, UnknownOrder
from jobs.intake.settling import name_task, settle
from jobs.machine.rows import Settled
from jobs.machine.states import State


class _Interrupted:
    """Asks gateways as the real client does; just before an order leaves, somebody speaks."""

    def __init__(self, workshop: Workshop, speak: Any):
        self._real, self._speak, self.asked = workshop.resources.client, speak, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send(self, *args: Any, **kwargs: Any) -> Any:
        self._speak()
        self.asked += 1
        return self._real.send(*args, **kwargs)


@pytest.mark.parametrize("word", [Settled.NOT_MADE, "task-x"])
def test_nobody_settles_an_order_that_is_on_its_way(workshop: Workshop, word: Settled | str) -> None:
    job_id = workshop.create(provider="gravitex")
    client = _Interrupted(workshop, lambda: refuses(workshop, job_id, UnderWay, word))
    RUN["jobs.submit"](job_id, workshop.another_worker(client=client))
    assert client.asked == 1


@pytest.mark.parametrize("word", [Settled.NOT_MADE, "task-x"])
def test_nobody_settles_an_order_that_is_being_sent_again(
    make_workshop: Any, sandbox: Any, word: Settled | str
) -> None:
    workshop: Workshop = make_workshop(resend_unit_s=0.05)
    job_id = lost(workshop, sandbox, "apiframe", made=False)
    client = _Interrupted(workshop, lambda: refuses(workshop, job_id, UnderWay, word))
    workshop.resources.client = client
    workshop.until(job_id, State.GENERATING, State.ARCHIVING, State.ARCHIVED)
    assert client.asked == 1


@pytest.mark.parametrize("word", [Settled.NOT_MADE, "task-x"])
def test_an_order_whose_task_is_known_needs_no_word(workshop: Workshop, sandbox: Any, word: Settled | str) -> None:
    sandbox.set(generation_s=3600)
    job_id = submit(workshop)
    task_id = workshop.case(job_id).attempts[1].task_id
    assert f"was accepted by gravitex as task {task_id}" in refuses(workshop, job_id, TaskKnown, word)


def test_the_task_of_another_order_cannot_be_named(workshop: Workshop, sandbox: Any) -> None:
    other = submit(workshop)
    task_id = workshop.case(other).attempts[1].task_id
    assert task_id
    job_id = lost(workshop, sandbox, made=False)
    assert f"the task of order 1 of {other}" in refuses(workshop, job_id, TaskTaken, task_id)


@pytest.mark.parametrize("word", [Settled.NOT_MADE, "task-x"])
def test_an_order_that_was_refused_was_not_lost(workshop: Workshop, sandbox: Any, word: Settled | str) -> None:
    sandbox.fault("gravitex", "refuse", status=429)
    job_id = submit(workshop)
    assert "it is refused" in refuses(workshop, job_id, NotLost, word)


@pytest.mark.parametrize("word", [Settled.CHARGED, Settled.NOT_CHARGED])
def test_nobody_knows_yet_whether_an_open_order_was_charged(workshop: Workshop, sandbox: Any, word: Settled) -> None:
    job_id = lost(workshop, sandbox, made=False)
    assert "Order 1 is open" in refuses(workshop, job_id, NotClosed, word)


@pytest.mark.parametrize("word", [*Settled, "task-x"])
def test_there_must_be_such_an_order(workshop: Workshop, word: Settled | str) -> None:
    refuses(workshop, workshop.create(), UnknownOrder, word)
    with pytest.raises(UnknownJob):
        name_task("job_00000000000000000000000000", 1, "task-x", workshop.core)
    with pytest.raises(UnknownJob):
        settle("job_00000000000000000000000000", 1, Settled.CHARGED, workshop.core)
