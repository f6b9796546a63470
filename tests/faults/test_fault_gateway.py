"""Gateways that lose their answers, freeze, flap, and serve films that are none."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from plant import Plant

from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.store import tables

LOSSES = ["reset", "502", "tls", "drip"]
PAST_THE_DEADLINE_S = 12
POLL_ONLY = {"easyrouter", "gravitex"}  # they call nobody back, and tell nobody's tasks apart
BROKEN = ["truncated_clean", "endless"]
BROKEN_TOO = ["html", "truncated", "empty", "slow", "audio_only", "garbage"]


def test_an_answer_lost_after_the_gateway_accepted_is_claimed_by_its_callback_and_never_bought_again(
    plant: Plant,
) -> None:
    jobs = {}
    for how in LOSSES:
        of_this = []
        for provider in PROVIDERS:
            plant.stand_ins.fault(provider, "lose_answer", how=how, seconds=PAST_THE_DEADLINE_S)
            of_this.append(plant.book.order(provider))
            jobs[of_this[-1]] = provider
        plant.await_(lambda: all("lose" in plant.book.history(each) for each in of_this), f"answers lost by {how}")  # noqa: B023
        with plant.database.write() as db:
            db.execute(sa.delete(tables.lanes))  # two losses in a row let a gateway rest; here each is looked at alone
    cases = plant.book.await_ended(*jobs)
    for case in cases:
        assert len(plant.book.sold(case.job.id)) == 1
        assert case.current is not None
        if jobs[case.job.id] in POLL_ONLY:
            assert (case.job.state, case.job.error_code) == (State.FAILED, "submit_unconfirmed")
            assert case.current.standing is Standing.UNCERTAIN
        else:
            assert case.job.state is State.ARCHIVED
            assert "lose" in plant.book.history(case.job.id)


@pytest.mark.prove
def test_a_gateway_frozen_past_the_deadline_may_have_accepted_and_is_not_asked_again(plant: Plant) -> None:
    plant.freeze("sandbox")
    job_id = plant.book.order("evolink")
    plant.book.await_state(job_id, State.UNCONFIRMED)
    plant.thaw("sandbox")
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1


@pytest.mark.prove
def test_a_resubmit_that_the_client_chose_may_buy_twice_and_archives_one(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "lose_answer", how="reset")
    plant.stand_ins.fault("evolink", "delay_callback", seconds=8)
    job_id = plant.book.order("evolink", may_pay_twice=True)
    [case] = plant.book.await_archived(job_id)
    assert case.job.attempt == 2
    late, _ = plant.book.sold(job_id)
    plant.await_(lambda: plant.book.case(job_id).attempts[1].task_id == late["task_id"], "the first one's task")
    assert plant.book.case(job_id).job.sha256 == case.job.sha256


@pytest.mark.prove
def test_queries_that_flap_move_nothing_and_buy_nothing(plant: Plant) -> None:
    job_ids = []
    for provider in PROVIDERS:
        plant.stand_ins.fault(provider, "lose_callback")
        plant.stand_ins.fault(provider, "refuse", on="query", status=500)
        plant.stand_ins.fault(provider, "refuse", on="query", status=429, retry_after=1)
        plant.stand_ins.fault(provider, "garbage_query", what="html")
        plant.stand_ins.fault(provider, "unknown_word", word="marinating")
        job_ids.append(plant.book.order(provider))
    plant.book.await_archived(*job_ids)
    assert [len(plant.book.sold(job_id)) for job_id in job_ids] == [1] * len(job_ids)


@pytest.mark.parametrize("what", [*BROKEN, *(pytest.param(what, marks=pytest.mark.prove) for what in BROKEN_TOO)])
def test_a_film_that_is_none_is_not_stored_and_the_next_download_is(plant: Plant, what: str) -> None:
    rate = {"bytes_per_s": 2_000} if what == "slow" else {}
    plant.stand_ins.fault("evolink", "serve", what=what, **rate)
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    assert "transfer_trouble" in plant.book.history(job_id)
    assert plant.book.sold(job_id)[0]["link_hits"]["count"] == 2


@pytest.mark.prove
def test_a_link_that_is_dead_when_it_is_told_is_asked_for_anew(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "expire_link")
    plant.stand_ins.fault("gravitex", "expire_link")
    plant.book.await_archived(plant.book.order("evolink"), plant.book.order("gravitex"))
