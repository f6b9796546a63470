"""What cannot be sent, as is seen before anything is claimed: a name that is not found, a base URL that is none, a
machine without network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from benches import Gateway, worker
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.breaker import Kind, Lane, LaneName, Word
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, NotSent
from jobs.steps import reconciliation, submission
from jobs.steps.resources import Resources
from jobs.store import hearing, lanes, waiting_jobs

NAMES = ("evolink", "easyrouter")
NO_NAME = NotSent("look-up of gateway: gaierror: Temporary failure in name resolution")
NOT_FOUND = b'{"error": {"message": "Task not found"}}'
NO_URL = NotSent("the base URL of evolink is not a URL", ours=True)


class Cut(Gateway):
    """Gateways to which no way leads, as `looked_up` says of each."""

    def __init__(self, **looked_up: NotSent) -> None:
        super().__init__()
        self.looked_up = looked_up

    def resolve(self, account: Account, **_: Any) -> NotSent | None:
        return self.looked_up.get(account.provider)

    def accept(self) -> Answered:
        return Answered(
            200, {}, b'{"id": "task-%d", "task_id": "task-%d", "status": "queued"}' % (self.sent, self.sent)
        )


def working(rows: Rows, gateway: Gateway) -> Resources:
    resources = worker(rows, gateway)
    accounts = {name: Account(name, f"https://{name}", f"sk-{name}") for name in NAMES}
    return replace(resources, settings=replace(resources.settings, accounts=accounts))


def ordered(rows: Rows, *route: str) -> str:
    return rows.job(request={"prompt": "A fox", "provider": list(route)}, start_by=NOW + DAY)


def with_others(resources: Resources, *names: str) -> Resources:
    others = {name: Account(name, f"https://{name}", f"sk-{name}") for name in names}
    accounts = {**resources.settings.accounts, **others}
    return replace(resources, settings=replace(resources.settings, accounts=accounts))


def task(rows: Rows, resources: Resources, provider: str) -> str:
    """A job whose task runs at a gateway, and is due to be asked about."""
    job_id = rows.job(State.GENERATING, alarm_at=rows.now, provider=provider)
    account = resources.settings.accounts[provider].fingerprint
    known = {"task_id": f"task-of-{job_id}", "accepted_at": rows.now, "standing": "held"}
    rows.attempt(job_id, provider=provider, account=account, **known)
    return job_id


def lane(rows: Rows, resources: Resources, provider: str = "evolink", name: LaneName = "submit") -> Lane:
    return rows.write(lambda db: lanes.read(db, resources.settings.accounts[provider], name))


def test_a_name_that_is_not_found_lets_the_gateway_rest_as_a_refused_connection_does(rows: Rows) -> None:
    resources = working(rows, Cut(evolink=NO_NAME))
    made = [ordered(rows, "evolink") for _ in range(4)]
    for job_id in made:
        submission.submit(job_id, resources)
    assert lane(rows, resources).reason == "unreachable"
    assert {str(rows.case(job_id).job.waiting["provider"]) for job_id in made} == {"evolink"}  # type: ignore[index]
    assert lane(rows, resources, "easyrouter").is_well


def test_each_rest_is_twice_as_long_while_the_name_stays_unknown(rows: Rows) -> None:
    resources = working(rows, Cut(evolink=NO_NAME))
    made = [ordered(rows, "evolink") for _ in range(2)]
    rests = []
    for _ in range(4):
        for job_id in made:
            submission.submit(job_id, resources)
        rests.append(lane(rows, resources).rests_s(rows.now))
        rows.now += (rests[-1] + 1) * SECOND
    assert rests == [15, 30, 60, 120]


def test_where_no_name_is_found_it_is_the_network_and_not_a_gateway(rows: Rows) -> None:
    resources = working(rows, Cut(evolink=NO_NAME, easyrouter=NO_NAME))
    made = [ordered(rows, *NAMES) for _ in range(4)]
    for _ in range(6):
        for job_id in made:
            submission.submit(job_id, resources)
        rows.now += 16 * SECOND
    submission.submit(made[0], resources)
    assert {lane(rows, resources, name).reason for name in NAMES} == {"no_network"}
    said = rows.case(made[0]).job.waiting
    assert said is not None
    assert said["code"] == "no_network"


def cut_off(rows: Rows, resources: Resources, *route: str) -> None:
    """Jobs meet, for some minutes, a machine without network."""
    made = [ordered(rows, *route) for _ in range(4)]
    for _ in range(6):
        for job_id in made:
            submission.submit(job_id, resources)
        rows.now += 16 * SECOND


@pytest.mark.parametrize("other", ["insufficient_credits", "by_hand", "no_answer", None], ids=str)
def test_a_gateway_that_rests_for_another_reason_or_is_unused_does_not_hide_that_it_is_the_network(
    rows: Rows, other: str | None
) -> None:
    resources = with_others(working(rows, Cut(evolink=NO_NAME, easyrouter=NO_NAME)), "gravitex")
    third = resources.settings.accounts["gravitex"]
    if other:
        rows.write(lambda db: lanes.rest(db, third, "submit", other, 900, now=rows.now))
    cut_off(rows, resources, *NAMES)
    assert {lane(rows, resources, name).reason for name in NAMES} == {"no_network"}
    assert {lane(rows, resources, name).rest_s for name in NAMES} == {0}
    assert lane(rows, resources, "gravitex").reason == other


@pytest.mark.parametrize("of", ["orders", "questions"])
def test_where_another_one_answers_meanwhile_it_is_the_gateways(rows: Rows, of: str) -> None:
    gateway = Cut(evolink=NO_NAME, easyrouter=NO_NAME)
    resources = with_others(working(rows, gateway), "gravitex")
    gateway.ask = lambda *_, **__: Answered(404, {}, NOT_FOUND)  # type: ignore[attr-defined]
    running = task(rows, resources, "gravitex")
    cut_off(rows, resources, *NAMES)
    assert {lane(rows, resources, name).reason for name in NAMES} == {"no_network"}
    if of == "orders":
        submission.submit(ordered(rows, "gravitex"), resources)
    else:
        reconciliation.reconcile(running, resources)
    cut_off(rows, resources, *NAMES)
    assert {lane(rows, resources, name).reason for name in NAMES} == {"unreachable"}


def test_a_gateway_that_was_ill_before_the_network_went_is_no_proof_of_one(rows: Rows) -> None:
    gateway = Cut(evolink=NO_NAME)
    resources = with_others(working(rows, gateway), "gravitex", "aivideoapi")
    cut_off(rows, resources, "evolink")
    assert lane(rows, resources).reason == "unreachable"
    submission.submit(ordered(rows, "easyrouter"), resources)
    rows.now += MINUTE
    gateway.looked_up = dict.fromkeys((*NAMES, "gravitex"), NO_NAME)
    cut_off(rows, resources, "easyrouter", "gravitex")
    assert {lane(rows, resources, name).reason for name in ("easyrouter", "gravitex")} == {"no_network"}


def test_questions_that_reach_no_gateway_blame_the_network_though_others_have_no_tasks(rows: Rows) -> None:
    gateway = Cut()
    resources = with_others(working(rows, gateway), "gravitex")
    gateway.ask = lambda *_, **__: NotSent("no route to host")  # type: ignore[attr-defined]
    made = [task(rows, resources, name) for name in NAMES for _ in range(2)]
    for job_id in made:
        reconciliation.reconcile(job_id, resources)
    assert {lane(rows, resources, name, "query").reason for name in NAMES} == {"no_network"}
    assert lane(rows, resources, "gravitex", "query").is_well


@pytest.mark.parametrize("name", NAMES)
def test_what_else_befalls_a_lane_blames_nothing_on_the_network(rows: Rows, name: str) -> None:
    """Its reason stands in the row yet when a trouble of our own is heard of; the other lanes are not locked then."""
    resources = with_others(working(rows, Cut(evolink=NO_NAME, easyrouter=NO_NAME)), "gravitex")
    for provider in NAMES:
        key = resources.settings.accounts[provider]
        rows.write(lambda db, key=key: lanes.rest(db, key, "submit", "unreachable", 60, now=rows.now))  # type: ignore[misc]
        rows.write(
            lambda db, key=key: lanes.write(  # type: ignore[misc]
                db, key, "submit", lanes.lock(db, key, "submit").probe("A", rows.now, for_s=9)
            )
        )
    word = Word(Kind.OURS, "a job", rows.now, "A")
    key = resources.settings.accounts[name]
    rows.write(lambda db: hearing.hear(db, key, "submit", word, resources.settings, now=rows.now))
    assert {lane(rows, resources, each).reason for each in NAMES} == {"unreachable"}


def test_a_rest_that_was_over_long_ago_says_nothing_of_todays_network(rows: Rows) -> None:
    gateway = Cut(easyrouter=NO_NAME)
    resources = working(rows, gateway)
    for job_id in [ordered(rows, "easyrouter") for _ in range(2)]:
        submission.submit(job_id, resources)
    rows.now += HOUR
    gateway.looked_up = {"evolink": NO_NAME}
    for job_id in [ordered(rows, "evolink") for _ in range(2)]:
        submission.submit(job_id, resources)
    assert lane(rows, resources).reason == "unreachable"


def test_a_base_url_that_is_none_is_our_own_trouble_and_lets_nothing_rest(rows: Rows) -> None:
    resources = working(rows, Cut(evolink=NO_URL))
    made = [ordered(rows, "evolink") for _ in range(3)]
    for job_id in made:
        submission.submit(job_id, resources)
    assert lane(rows, resources).is_well
    said = rows.case(made[-1]).job.waiting
    assert said is not None
    assert (said["provider"], said["code"]) == (None, "own_trouble")
    assert "base URL" in said["reason"]
    assert rows.write(waiting_jobs.held_up) == {}


def test_a_job_alone_is_tried_every_minute_and_goes_within_one(rows: Rows) -> None:
    """One job alone lets no lane rest, so it is its own pauses that an outage of hours must not lengthen."""
    gateway = Gateway(lambda: NotSent("ConnectionRefusedError"))
    resources = working(rows, gateway)
    job_id = ordered(rows, "evolink")
    while rows.now < NOW + 2 * HOUR:
        follow(rows, resources, job_id)
    gateway.answer = gateway.accept
    well_at = rows.now
    while rows.case(job_id).job.state is State.QUEUED:
        follow(rows, resources, job_id)
    assert rows.now <= well_at + MINUTE + SECOND


def follow(rows: Rows, resources: Resources, job_id: str) -> None:
    """At the job's alarm."""
    alarm_at = rows.case(job_id).job.alarm_at
    assert alarm_at is not None
    rows.now = max(rows.now + SECOND, alarm_at)
    submission.submit(job_id, resources)


@pytest.mark.parametrize("status", [401, 402, 429])
def test_a_job_whose_key_was_refused_says_so_and_wakes_when_that_is_mended(rows: Rows, status: int) -> None:
    body = b'{"error": {"message": "not with this key", "type": "x", "code": "1"}}'
    resources = working(rows, Gateway(lambda: Answered(status, {}, body)))
    job_id = ordered(rows, "evolink")
    submission.submit(job_id, resources)
    job = rows.case(job_id).job
    assert job.waiting is not None
    assert job.waiting["provider"] == "evolink"
    assert job.waiting["code"] == {401: "unauthorized", 402: "insufficient_credits", 429: "rate_limited"}[status]
    assert rows.write(waiting_jobs.held_up) == {"evolink": 1}
    rows.write(lambda db: waiting_jobs.wake_waiting(db, "evolink", now=rows.now))
    assert rows.case(job_id).job.alarm_at == rows.now
