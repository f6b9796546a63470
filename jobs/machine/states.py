"""How a job moves: one table. Nothing else in the code decides which move is legal."""

from __future__ import annotations

from enum import StrEnum

from jobs.errors import IllegalTransition


class State(StrEnum):
    QUEUED = "queued"
    SUBMITTING = "submitting"
    UNCONFIRMED = "unconfirmed"
    GENERATING = "generating"
    ARCHIVING = "archiving"
    ARCHIVED = "archived"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    CLAIM = "claim"  # a worker takes a queued job to a gateway
    DEFER = "defer"  # nothing was accepted; it waits for another time, or for another gateway
    ACCEPT = "accept"  # the gateway has taken the task
    LOSE = "lose"  # the answer to our submit was lost: it may have been taken
    GIVE_BACK = "give_back"  # an adopted task turned out to be another attempt's, or failed and may be
    FINISH = "finish"  # the gateway says that the video is ready
    FAIL = "fail"  # the gateway's verdict, with no further attempt
    FAIL_RETRYABLE = "fail_retryable"  # the gateway's verdict, with an attempt left
    REFUSE = "refuse"  # no gateway of the route takes the request
    EXPIRE = "expire"  # the window, the task or the link can no longer exist
    KEY_CONFLICT = "key_conflict"  # another's object stands at the job's key
    GIVE_UP = "give_up"  # not started in time, or no gateway serves it
    STORE = "store"  # the proven video is in the bucket
    CANCEL = "cancel"
    RESUBMIT = "resubmit"  # the client's choice to risk paying twice
    RESTORE = "restore"  # a backup was put back: an order that it does not know may have been made
    STAND_BY = "stand_by"  # nothing more is to be ordered while an order of it is open yet
    SETTLE = "settle"  # a person says that the order was not made
    RETRY = "retry"
    RETRY_TRANSFER = "retry_transfer"
    RECALL = "recall"  # another attempt turned out to be running
    PROVE = "prove"  # another attempt turned out to have made the video


S, E = State, Event

TRANSITIONS: dict[State, dict[Event, State]] = {
    S.QUEUED: {
        E.CLAIM: S.SUBMITTING,
        E.GIVE_UP: S.FAILED,
        E.CANCEL: S.CANCELLED,
        E.RECALL: S.GENERATING,  # what an earlier attempt makes need not be bought again
        E.PROVE: S.ARCHIVING,  # nor what it has made
        E.RESTORE: S.UNCONFIRMED,
        E.STAND_BY: S.UNCONFIRMED,
    },
    # A callback may overtake the answer to our submit, so a submitting job also hears the gateway's verdicts.
    S.SUBMITTING: {
        E.ACCEPT: S.GENERATING,
        E.DEFER: S.QUEUED,
        E.LOSE: S.UNCONFIRMED,
        E.REFUSE: S.FAILED,
        E.CANCEL: S.CANCELLED,  # refused, under a wish to cancel
    },
    S.UNCONFIRMED: {
        E.ACCEPT: S.GENERATING,
        E.FINISH: S.ARCHIVING,
        E.FAIL: S.FAILED,
        E.FAIL_RETRYABLE: S.QUEUED,
        E.DEFER: S.QUEUED,  # a late word that nothing was sent or accepted
        E.REFUSE: S.FAILED,
        E.CANCEL: S.CANCELLED,  # failed by verdict, under a wish to cancel
        E.RESUBMIT: S.QUEUED,
        E.SETTLE: S.QUEUED,
        E.STAND_BY: S.UNCONFIRMED,
        E.EXPIRE: S.FAILED,
        # An order that is only suspected gives way to one that is known.
        E.RECALL: S.GENERATING,
        E.PROVE: S.ARCHIVING,
    },
    S.GENERATING: {
        E.FINISH: S.ARCHIVING,
        E.FAIL: S.FAILED,
        E.FAIL_RETRYABLE: S.QUEUED,
        E.GIVE_BACK: S.UNCONFIRMED,
        E.STAND_BY: S.UNCONFIRMED,
        E.EXPIRE: S.FAILED,
    },
    S.ARCHIVING: {
        E.STORE: S.ARCHIVED,
        E.EXPIRE: S.FAILED,
        E.KEY_CONFLICT: S.FAILED,
        E.GIVE_BACK: S.UNCONFIRMED,
    },
    S.FAILED: {
        E.RETRY: S.QUEUED,
        E.RETRY_TRANSFER: S.ARCHIVING,
        E.PROVE: S.ARCHIVING,
    },
    S.ARCHIVED: {},
    S.CANCELLED: {},
}

ENDED = frozenset({S.ARCHIVED, S.FAILED, S.CANCELLED})
LIVE = frozenset(State) - ENDED
UNANSWERED = frozenset({S.SUBMITTING, S.UNCONFIRMED})  # an order is out, and no gateway has said yes to it
MAY_ORDER = LIVE - {S.ARCHIVING}  # an order can follow; a job that is being copied has had its last one


def next_state(state: State, event: Event) -> State:
    """The state after `event`. Raises IllegalTransition for a pair the table does not have."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"A job that is {state} knows no {event}.") from None


def mermaid() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> queued"]
    for state, moves in TRANSITIONS.items():
        by_target: dict[State, list[str]] = {}
        for event, target in moves.items():
            by_target.setdefault(target, []).append(event.value)
        lines += [f"    {state.value} --> {target.value}: {', '.join(events)}" for target, events in by_target.items()]
    lines += ["    archived --> [*]", "    cancelled --> [*]"]
    return "\n".join(lines)
