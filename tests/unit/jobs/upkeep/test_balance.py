from __future__ import annotations

import itertools

import pytest
from made_cases import NOW, accepted, attempt, case, failed, finished, job, lost, refused

from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome, Settled, Standing
from jobs.machine.settlement import STANDINGS
from jobs.machine.states import ENDED, State
from jobs.upkeep.balance import POSSIBLE, Balance, check

LIVE = sorted(set(State) - ENDED)


def codes(checked: Case, told: str | None = None) -> list[str]:
    return [found.code for found in check(checked, told or checked.job.state)]


@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize("holder", [None, "worker"])
@pytest.mark.parametrize("alarm", [None, NOW])
def test_a_live_job_has_an_alarm_or_a_holder(state: State, holder: str | None, alarm: object) -> None:
    found = codes(case(job(state, alarm_at=alarm, lease_holder=holder)))
    assert found == ([] if holder or alarm else ["live_without_alarm"])


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ended_job_needs_an_alarm_while_an_order_is_open(state: State) -> None:
    assert codes(case(job(state, alarm_at=None), accepted())) == ["open_attempt_without_alarm"]
    assert codes(case(job(state, alarm_at=NOW), accepted())) == []
    assert codes(case(job(state, alarm_at=None), failed())) == []


@pytest.mark.parametrize("told", ["queued", None])
def test_a_history_ends_in_the_jobs_state(told: str | None) -> None:
    (found,) = check(case(job(State.FAILED, alarm_at=None)), told)
    assert (found.code, found.detail) == ("history_mismatch", f"failed, but its history ends in {told}")


@pytest.mark.parametrize("made", [attempt(), accepted(), lost(), finished(), failed(), refused()])
def test_what_the_steps_write_is_possible(made: Attempt) -> None:
    assert codes(case(job(State.GENERATING), made)) == []


@pytest.mark.parametrize(("outcome", "standing"), list(itertools.product(AttemptOutcome, Standing)))
def test_an_orders_money_is_where_its_outcome_allows(outcome: AttemptOutcome, standing: Standing) -> None:
    found = codes(case(job(State.GENERATING), attempt(outcome=outcome, standing=standing)))
    assert found == ([] if standing in POSSIBLE[outcome] else ["impossible_money"])


@pytest.mark.parametrize(("outcome", "standing"), list(itertools.product(AttemptOutcome, Standing)))
@pytest.mark.parametrize("settled", Settled)
def test_where_a_person_has_said_it_the_money_is_there(
    outcome: AttemptOutcome, standing: Standing, settled: Settled
) -> None:
    found = codes(case(job(State.GENERATING), attempt(outcome=outcome, standing=standing, settled=settled)))
    assert found == ([] if standing is STANDINGS[settled] else ["impossible_money"])


def test_every_outcome_has_its_possible_money() -> None:
    assert set(POSSIBLE) == set(AttemptOutcome)


def test_accepted_is_what_is_there_and_live_what_has_not_ended() -> None:
    balance = Balance({State.ARCHIVED: 5, State.FAILED: 2, State.CANCELLED: 1, State.QUEUED: 3, State.ARCHIVING: 1}, 0)
    assert (balance.accepted, balance.live) == (12, 4)
