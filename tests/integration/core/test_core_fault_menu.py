"""No fault on the stand-ins' menu makes a second paid order: each of them, at each gateway, with failover tempted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from proving import prove, sampled
from workshop import Workshop, serve_receiver

from jobs.machine.rows import Standing
from jobs.machine.states import ENDED, State
from jobs.providers.registry import PROVIDERS
from jobs.store import tables
from sandbox.faults import FAULTS, Words
from sandbox.gateways import REFUSALS

LONG_S = 1.3  # of a fault that is to outlast our deadline of a second
SHORT_S = 0.2
SECONDS = {"late_answer": LONG_S, "lose_answer": LONG_S, "slow_query": LONG_S}
PARTS = 4  # of the whole menu, each a test of its own: faults are waited out, up to six seconds each
# Orders that nobody will ever hear of again; all others must end.
ENDLESS = {"stall"}
FAILS_OVER = {"aivideoapi", "gravitex", "evolink"}  # where a declared failure can be worth another order


def variants(provider: str, part: int) -> list[dict[str, Any]]:
    """Every fault once for each word of each parameter, and every documented refusal of a submit and of a query."""
    found: list[dict[str, Any]] = []
    for name, kind in FAULTS.items():
        if name == "refuse":
            continue
        base: dict[str, Any] = {"fault": name}
        if "seconds" in kind.params:
            base["seconds"] = SECONDS.get(name, SHORT_S)
        worded = {key: p.read.words for key, p in kind.params.items() if isinstance(p.read, Words)}
        found += [{**base, key: word} for key, words in worded.items() for word in words] or [base]
    for status, code in REFUSALS[provider]:
        for on in ("submit", "query"):
            found.append({"fault": "refuse", "status": status, "on": on} | ({} if code is None else {"code": code}))
    found.append({"fault": "refuse", "status": 429, "retry_after": None})
    # In the sample each gateway has its share of the menu, and all of them together have all of it.
    chosen = sampled(found, list(PROVIDERS).index(provider))
    chosen = chosen if len(chosen) < len(found) else chosen[part::PARTS]
    return [{"fault": "fail", "retryable": True}, *chosen]


def refused_for_sure(tasks: list[dict[str, Any]]) -> bool:
    """Whether every order but the last was declared failed by its gateway."""
    return all(task["state"] == "failed" for task in tasks[:-1])


@pytest.mark.parametrize("part", [0, *map(prove, range(1, PARTS))])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_fault_on_the_menu_buys_a_second_video(
    make_workshop: Callable[..., Workshop], sandbox: Any, provider: str, part: int
) -> None:
    workshop = make_workshop(
        submit_deadline_s=1,
        submit_lease_s=1.5,
        query_deadline_s=1,
        query_lease_s=1.5,
        transfer_deadline_s=5,
        transfer_stall_s=0.5,
        retry_first_s=0.1,
        retry_longest_s=0.2,
        overdue_poll_s=0.1,
        unconfirmed_window_s=1,
        resend_unit_s=0.2,
        max_video_bytes=1_000_000,
    )
    receiver = serve_receiver(workshop)
    workshop.receive_callbacks_at(receiver.url)
    another = next(name for name in PROVIDERS if name != provider)
    violations, bought_again = [], 0
    try:
        for number, fault in enumerate(variants(provider, part)):
            sandbox.fault(provider, **fault)
            prompt = f"A red fox, take {number}"  # tells its tasks from those of an order that comes late
            job_id = workshop.create(provider=[provider, another], prompt=prompt)
            state = followed(workshop, job_id, 3 if fault["fault"] in ENDLESS else 6)
            tasks = [task for task in sandbox.tasks() if task["prompt"] == prompt]
            case = workshop.case(job_id)
            bought_again += len(tasks) > 1
            if not refused_for_sure(sorted(tasks, key=lambda task: task["submitted_at"])):
                violations.append((fault, state, "bought twice", workshop.history(job_id)))
            if state is State.ARCHIVED and not tasks:
                violations.append((fault, state, "archived without an order", workshop.history(job_id)))
            if state in ENDED and any(a.standing is Standing.HELD for a in case.attempts.values()):
                violations.append((fault, state, "money held at the end", workshop.history(job_id)))
            forget(workshop, sandbox)
    finally:
        receiver.close()
    assert violations == []
    assert (bought_again > 0) == (provider in FAILS_OVER)  # a menu that never tempts would prove nothing


def followed(workshop: Workshop, job_id: str, within_s: float) -> State:
    """Sweep until the job has ended, or the time is over."""
    end = time.monotonic() + within_s
    while (state := workshop.state(job_id)) not in ENDED and time.monotonic() < end:
        workshop.sweep()
        time.sleep(0.02)  # between two looks
    return state


def forget(workshop: Workshop, sandbox: Any) -> None:
    """No key rests and no fault waits for the next order."""
    sandbox.clear()
    with workshop.database.write() as db:
        db.execute(tables.lanes.delete())
