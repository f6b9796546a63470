"""A gateway that cannot be reached, or does not answer, beside one that is well: whole jobs, over real connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture
from workshop import Workshop

from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.steps import posting
from jobs.store import lanes, spending

NOBODY = "http://127.0.0.1:1"  # nobody listens there
ROUTES: list[Any] = ["auto", ["evolink", "easyrouter"]]


def lead_astray(workshop: Workshop, *names: str) -> None:
    """The gateways of these names are where nobody listens."""
    accounts = {
        n: replace(a, base_url=NOBODY if n in names else a.base_url) for n, a in workshop.settings.accounts.items()
    }
    use(workshop, accounts=accounts)


def use(workshop: Workshop, **settings: Any) -> None:
    workshop.settings = replace(workshop.settings, **settings)
    workshop.resources.settings = workshop.settings


def only(workshop: Workshop, *names: str) -> None:
    use(workshop, accounts={name: workshop.settings.accounts[name] for name in names})


@pytest.mark.parametrize("route", ROUTES)
def test_an_order_that_could_not_be_sent_goes_to_the_next_gateway_at_once_as_an_attempt_of_its_own(
    make_workshop: Callable[..., Workshop], sandbox: Any, route: Any
) -> None:
    workshop = make_workshop(evolink_daily_usd=1, easyrouter_daily_usd=1)
    only(workshop, "evolink", "easyrouter")
    lead_astray(workshop, "evolink")
    case = workshop.until(workshop.create(provider=route), State.ARCHIVED, within_s=9)  # before a pause could be over
    told = [(a.number, a.provider, a.outcome) for a in case.attempts.values()]
    assert told == [(1, "evolink", AttemptOutcome.NOT_SENT), (2, "easyrouter", AttemptOutcome.DELIVERED)]
    assert len(sandbox.tasks("easyrouter")) == 1
    with workshop.database.read() as db:
        spent = {n: spending.spent_usd(db, n, case.attempts[1].day) for n in ("evolink", "easyrouter")}
    assert spent["evolink"] == 0
    assert spent["easyrouter"] > 0


def test_a_gateway_alone_on_its_route_is_waited_for_with_a_true_reason_and_under_the_same_number(
    make_workshop: Callable[..., Workshop], sandbox: Any
) -> None:
    workshop = make_workshop(retry_first_s=0.2)
    well = workshop.settings.accounts
    lead_astray(workshop, "evolink")
    job_id = workshop.create(provider="evolink")
    workshop.sweep()
    job = workshop.case(job_id).job
    assert job.waiting is not None
    assert (job.state, job.waiting["provider"], job.waiting["code"]) == (State.QUEUED, "evolink", "unreachable")
    assert "Connection refused" in job.waiting["reason"]
    use(workshop, accounts=well)
    case = workshop.until(job_id, State.ARCHIVED)
    assert list(case.attempts) == [1]


def test_each_gateway_has_its_turn_once_a_round_and_keeps_its_number(
    make_workshop: Callable[..., Workshop], sandbox: Any
) -> None:
    workshop = make_workshop(retry_first_s=0.1)
    only(workshop, "evolink", "easyrouter", "gravitex")
    well = workshop.settings.accounts
    lead_astray(workshop, *well)
    job_id = workshop.create(provider=list(well))
    workshop.await_(
        lambda: (workshop.sweep(), workshop.history(job_id).count("defer") >= 7)[1], "rounds", job_id=job_id
    )
    case = workshop.case(job_id)
    assert {a.number: a.provider for a in case.attempts.values()} == {1: "evolink", 2: "easyrouter", 3: "gravitex"}
    use(workshop, accounts=well)
    assert workshop.until(job_id, State.ARCHIVED).job.attempt in (1, 2, 3)
    assert sum(len(sandbox.tasks(name)) for name in well) == 1


def test_where_no_gateway_can_be_reached_the_network_is_to_blame_and_rests_do_not_grow(
    make_workshop: Callable[..., Workshop], sandbox: Any
) -> None:
    workshop = make_workshop()
    only(workshop, "evolink", "easyrouter")
    lead_astray(workshop, "evolink", "easyrouter")
    made = [workshop.create(provider="auto") for _ in range(4)]
    workshop.await_(lambda: (workshop.sweep(), _reasons(workshop) == {"no_network"})[1], "no network")
    for name in ("evolink", "easyrouter"):
        with workshop.database.read() as db:
            lane = lanes.read(db, workshop.settings.accounts[name], "submit")
            assert 0 < lane.rests_s(workshop.database.clock(db)) <= 15
            assert lane.rest_s == 0
    workshop.sweep()
    assert {(workshop.case(job_id).job.waiting or {}).get("code") for job_id in made} <= {"no_network", "unreachable"}


@pytest.mark.parametrize("status", [502, 503])
def test_a_batch_that_meets_an_ill_gateway_risks_a_few_orders_and_goes_elsewhere(
    make_workshop: Callable[..., Workshop], sandbox: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    workshop = make_workshop()
    only(workshop, "evolink", "easyrouter")
    sandbox.fault("evolink", "refuse", status=status, body="<html>Bad Gateway</html>", times=1000)
    heard = LogCapture()
    for module in (posting, lanes):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=[heard]))
    made = [workshop.create(provider="auto") for _ in range(20)]

    def are_done() -> bool:
        workshop.sweep()
        return {workshop.state(job_id) for job_id in made} <= {State.ARCHIVED, State.UNCONFIRMED}

    workshop.await_(are_done, "a batch", 60)
    unconfirmed = [job_id for job_id in made if workshop.state(job_id) is State.UNCONFIRMED]
    assert len(unconfirmed) == 2  # one after the other here; with many threads up to five
    assert {line["job"] for line in heard.entries if line["event"] == "answer_lost"} == set(unconfirmed)
    assert [line["reason"] for line in heard.entries if line["event"] == "lane_rests"] == ["no_answer"]


def _reasons(workshop: Workshop) -> set[str | None]:
    with workshop.database.read() as db:
        return {lanes.read(db, account, "submit").reason for account in workshop.settings.accounts.values()}
