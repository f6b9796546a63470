"""The mechanism, in every state that it can reach; and without any one of its protections."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import cache

import pytest
from model import Mechanism
from search import Explored, Ways, explore, is_paid_for, is_settled, path_to, stuck, ways_into

from jobs.machine.states import State

WITHOUT_FAULTS = frozenset({"", "time"})
WITHOUT_LOSS = frozenset({""})

# Every fault at every moment with one attempt; two attempts with queries that are answered at once; two attempts and
# a client who risks paying twice. (All of it at once, two attempts under every fault with a resubmit, has 1.9 million
# states and takes seven minutes; nothing bad was found there.)
WORLDS = {
    "one attempt": Mechanism(),
    "two attempts": Mechanism(attempts=2, oldest=0, slow_queries=False),
    "a resubmit": Mechanism(attempts=2, oldest=1, slow_queries=False, workers_fail=False, resubmit=True),
    "a person": Mechanism(attempts=2, settles=True, slow_queries=False, workers_fail=False),
    "no beat": Mechanism(attempts=2, beat=False, answers_lost=False, workers_fail=False),
}
LARGEST = "two attempts"

BROKEN = {
    "the last write does not compare the version": (Mechanism(version_compared=False), "overwritten unread"),
    "one column serves as alarm and lease": (Mechanism(alarm_and_lease_apart=False), "had not run out"),
    "the last write frees any lease": (Mechanism(frees_own_lease_only=False), "freed the lease of"),
    "a claim ignores the lease": (Mechanism(claim_sees_lease=False), "had not run out"),
    "the holder does not ring for the row it leaves due": (
        Mechanism(holder_rings=False, beat=False, answers_lost=False, workers_fail=False),
        "nobody will look at it",
    ),
    "what was learnt under a lost lease is dropped": (Mechanism(lost_lease_facts_kept=False), "was forgotten"),
    "a dead submit counts as never sent": (Mechanism(lose_believes_sending_at=False), "the gateway has it"),
    "a person calls an order not made whose job a step holds": (
        Mechanism(settles=True, settle_sees_lease=False),
        "had not run out, was freed",
    ),
    "a worker that may not send says so of its attempt": (Mechanism(silent_unless_marked=False), "the gateway has it"),
}


@pytest.fixture(autouse=True, scope="module")
def _without_garbage_collection() -> Iterator[None]:
    """A search makes hundreds of thousands of tuples and no cycle; looking for cycles takes a third of its time."""
    gc.disable()
    yield
    gc.enable()


@cache
def explored(name: str) -> Explored:
    """Each world is explored once."""
    return explore(WORLDS[name])


@cache
def ways(name: str) -> Ways:
    return ways_into(explored(name), WORLDS[name])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.prove if name == LARGEST else ()) for name in WORLDS]
)
def test_no_state_that_can_be_reached_is_bad(name: str) -> None:
    found = explored(name)
    print(f"{name}: {len(found.came)} states")  # noqa: T201 - `pytest -rP` shows it
    assert not found.wrong, f"{found.wrong}\n{found.path}"


@pytest.mark.parametrize("name", ["one attempt", "a person", "no beat"])
def test_once_the_faults_stop_every_job_can_end_with_every_attempt_settled(name: str) -> None:
    found = explored(name)
    left = stuck(found, ways(name), WITHOUT_FAULTS, lambda w: True, is_settled)
    assert not left, f"{len(left)} states lead nowhere, as\n{path_to(found.came, left[0])}"


@pytest.mark.parametrize("name", ["one attempt", "a person", "no beat"])
def test_once_the_faults_stop_what_is_paid_for_can_be_archived_before_its_link_dies(name: str) -> None:
    found = explored(name)
    left = stuck(found, ways(name), WITHOUT_LOSS, is_paid_for, lambda w: w.state is State.ARCHIVED)
    assert not left, f"{len(left)} states lead to no archived video, as\n{path_to(found.came, left[0])}"


def test_a_person_who_was_wrong_would_lose_a_paid_video_if_no_late_callback_woke_its_job() -> None:
    lacking = Mechanism(attempts=2, settles=True, slow_queries=False, workers_fail=False, late_callback_wakes=False)
    found = explore(lacking)
    assert not found.wrong
    left = stuck(found, ways_into(found, lacking), WITHOUT_LOSS, is_paid_for, lambda w: w.state is State.ARCHIVED)
    assert left


@pytest.mark.parametrize("lacking", BROKEN)
def test_the_model_finds_a_bad_state_when(lacking: str) -> None:
    mechanism, expected = BROKEN[lacking]
    found = explore(mechanism)
    print(f"{lacking}: {found.wrong}, after {len(found.came)} states\n{found.path}")  # noqa: T201
    assert expected in found.wrong
