from __future__ import annotations

import itertools

import pytest

from jobs.errors import IllegalTransition
from jobs.machine.states import TRANSITIONS, Event, State, mermaid, next_state

PAIRS = list(itertools.product(State, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda x: str(x))
def test_every_pair_moves_as_the_table_says_or_is_refused(state: State, event: Event) -> None:
    if event in TRANSITIONS[state]:
        assert next_state(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"A job that is {state} knows no {event}"):
            next_state(state, event)


def test_every_state_has_a_row_and_a_step() -> None:
    assert set(TRANSITIONS) == set(State)


def test_every_event_moves_something() -> None:
    assert {event for moves in TRANSITIONS.values() for event in moves} == set(Event)


@pytest.mark.parametrize("state", [State.ARCHIVED, State.CANCELLED])
def test_archived_and_cancelled_are_never_left(state: State) -> None:
    assert TRANSITIONS[state] == {}


def test_failed_is_left_only_by_a_retry_or_a_proof() -> None:
    assert set(TRANSITIONS[State.FAILED]) == {Event.RETRY, Event.RETRY_TRANSFER, Event.PROVE}


def test_archived_is_reached_only_by_a_stored_video() -> None:
    ways = [(state, event) for state, moves in TRANSITIONS.items() for event in moves if moves[event] is State.ARCHIVED]
    assert ways == [(State.ARCHIVING, Event.STORE)]


def test_a_submit_begins_only_in_the_queue() -> None:
    ways = [state for state, moves in TRANSITIONS.items() if State.SUBMITTING in moves.values()]
    assert ways == [State.QUEUED]


def test_no_accepted_task_is_sent_again_without_a_verdict() -> None:
    ways = {event for event, target in TRANSITIONS[State.GENERATING].items() if target is State.QUEUED}
    assert ways == {Event.FAIL_RETRYABLE}


def test_every_state_can_be_reached_and_every_open_one_can_end() -> None:
    def reachable(state: State) -> set[State]:
        seen, left = {state}, [state]
        while left:
            new = set(TRANSITIONS[left.pop()].values()) - seen
            seen |= new
            left += new
        return seen

    assert reachable(State.QUEUED) == set(State)
    assert all(State.ARCHIVED in reachable(state) for state in set(State) - {State.CANCELLED})


def test_the_diagram_has_every_edge_and_no_other() -> None:
    drawn = set()
    for line in mermaid().splitlines()[2:]:
        arrow, _, events = line.partition(": ")
        before, _, after = arrow.strip().partition(" --> ")
        drawn |= {(before, event, after) for event in events.split(", ") if event}
    table = {(state, event, target) for state, moves in TRANSITIONS.items() for event, target in moves.items()}
    assert drawn == table


def test_the_diagram_begins_in_the_queue_and_ends_where_nothing_follows() -> None:
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> queued"]
    assert lines[-2:] == ["    archived --> [*]", "    cancelled --> [*]"]
