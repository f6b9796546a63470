"""Callbacks: early, doubled, late, under a lost answer. They make us ask; only our own query moves a job."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from served import Served
from workshop import RUN, Workshop, serve_receiver

from jobs import callback_urls
from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.store import tables

SAMPLES = Path(__file__).parents[2] / "samples"
FINISHED = {"id": "t-1", "status": "completed", "output": {"urls": ["https://x.example/v.mp4"]}}


def callback_url(workshop: Workshop, job_id: str, provider: str = "aivideoapi", attempt: int = 1) -> str:
    public_url = workshop.settings.public_url
    assert public_url is not None
    return callback_urls.mint(public_url, workshop.settings.callback_keys, provider, job_id, attempt)


def kept(workshop: Workshop, job_id: str) -> list[Any]:
    with workshop.database.read() as db:
        return list(db.execute(sa.select(tables.inbox).where(tables.inbox.c.job_id == job_id)).mappings())


def submit(workshop: Workshop, **request: Any) -> str:
    job_id = workshop.create(**request)
    RUN["jobs.submit"](job_id, workshop.resources)
    return job_id


@pytest.mark.parametrize("provider", ["aivideoapi", "apiframe", "evolink"])
def test_a_callback_alone_brings_a_job_to_the_archive(make_workshop: Any, sandbox: Any, provider: str) -> None:
    workshop: Workshop = make_workshop(poll_interval_s=3600)
    receiver = serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        job_id = submit(workshop, provider=provider)

        def rung() -> bool:
            return ("jobs.transfer", job_id) in workshop.bells.rung

        workshop.await_(rung, "the callback to ring", job_id=job_id)
        RUN["jobs.transfer"](job_id, workshop.resources)
        case = workshop.case(job_id)
        assert case.job.state is State.ARCHIVED
        assert case.attempts[1].news_by == "callback"
        if provider == "apiframe":
            assert [row["signature"] for row in kept(workshop, job_id)] == ["good"]
    finally:
        receiver.close()


def test_a_lost_callback_is_found_by_the_poller(workshop: Workshop, receiver: Served, sandbox: Any) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = submit(workshop, provider="evolink")
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].with_callback
    assert case.attempts[1].news_by == "poll"
    assert kept(workshop, job_id) == []


def test_a_callback_that_arrives_before_the_submits_answer_is_served_after_it(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("aivideoapi", "callback_before_answer")
    job_id = submit(workshop, provider="aivideoapi")
    assert len(kept(workshop, job_id)) == 1
    assert workshop.state(job_id) is State.GENERATING
    assert workshop.bells.take()[-1] == ("jobs.reconcile", job_id)  # the holder rang: the news was not lost
    RUN["jobs.reconcile"](job_id, workshop.resources)
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].news_by == "callback"
    assert len(sandbox.tasks("aivideoapi")) == 1


def test_a_callback_under_a_submit_whose_answer_is_lost_is_not_overwritten_and_adopts_the_task(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("aivideoapi", "callback_before_answer")
    sandbox.fault("aivideoapi", "lose_answer", how="reset")
    job_id = submit(workshop, provider="aivideoapi")
    case = workshop.case(job_id)
    assert case.job.state is State.UNCONFIRMED
    assert len(case.unread) == 1
    assert workshop.bells.take()[-1] == ("jobs.reconcile", job_id)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].adopted
    assert case.attempts[1].task_id == sandbox.tasks("aivideoapi")[0]["task_id"]
    assert len(sandbox.tasks("aivideoapi")) == 1


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*/callback_*.json")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_documented_callback_tells_its_task_through_the_receiver(
    workshop: Workshop, receiver: Served, sandbox: Any, sample: Path
) -> None:
    """Over HTTP: a reader that is tested with bodies of its own may be given others by the receiver."""
    provider, body = sample.parent.name, json.loads(sample.read_text())
    job_id = workshop.create(provider=provider)
    answer = requests.post(callback_url(workshop, job_id, provider), data=sample.read_bytes(), timeout=5)
    assert answer.status_code == 200
    (row,) = kept(workshop, job_id)
    assert (row["readable"], row["task_id"]) == (True, body["jobId" if provider == "apiframe" else "id"])


@pytest.mark.parametrize("provider", ["aivideoapi", "apiframe", "evolink"])
def test_a_lost_order_is_healed_by_its_callback_alone(make_workshop: Any, sandbox: Any, provider: str) -> None:
    """Nothing is polled, and nothing is sent again under an idempotency key."""
    workshop: Workshop = make_workshop(poll_interval_s=3600, resend_unit_s=3600)
    receiver = serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        sandbox.fault(provider, "lose_answer", how="reset")
        job_id = submit(workshop, provider=provider)
        workshop.until(job_id, State.ARCHIVED)
        assert [(a.adopted, a.sends) for a in workshop.case(job_id).attempts.values()] == [(True, 1)]
    finally:
        receiver.close()


def test_four_equal_callbacks_at_once_move_the_job_once(workshop: Workshop, receiver: Served, sandbox: Any) -> None:
    sandbox.fault("evolink", "double_callbacks", count=4)
    job_id = submit(workshop, provider="evolink")

    def statuses() -> list[int | None]:
        return [sent["status"] for sent in sandbox.tasks("evolink")[0]["callbacks"]]

    workshop.await_(lambda: statuses() == [200] * 4, "four answers", job_id=job_id)
    assert len(kept(workshop, job_id)) == 1
    bells = [bell for bell in workshop.bells.take() if bell[0] in RUN]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda bell: RUN[bell[0]](bell[1], workshop.another_worker()), bells))
    workshop.until(job_id, State.ARCHIVED)
    history = workshop.history(job_id)
    assert history.count("finish") == 1
    assert history.count("store") == 1


def test_a_callback_to_an_archived_job_disturbs_nothing(workshop: Workshop, receiver: Served, sandbox: Any) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = submit(workshop, provider="evolink")
    before = workshop.until(job_id, State.ARCHIVED)
    workshop.bells.take()
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200
    after = workshop.case(job_id)
    assert after.job == before.job
    assert len(after.callbacks) == 1
    assert workshop.bells.take() == []


def test_a_callback_for_an_unknown_job_is_kept_and_disturbs_nothing(workshop: Workshop, receiver: Served) -> None:
    url = callback_url(workshop, "job_00000000000000000000000000")
    assert requests.post(url, json=FINISHED, timeout=5).status_code == 200
    assert len(kept(workshop, "job_00000000000000000000000000")) == 1
    assert workshop.bells.take() == []
    assert workshop.sweep() == 0


@pytest.mark.parametrize(
    "verdict", [{}, {"status": "failed", "error": {"code": "upstream_error"}}], ids=["success", "failure"]
)
def test_a_forged_verdict_on_a_running_task_makes_us_ask_and_moves_nothing(
    workshop: Workshop, receiver: Served, sandbox: Any, verdict: dict[str, Any]
) -> None:
    """Under the order's own URL and with its task's id: were it believed, the job would have its end."""
    sandbox.fault("aivideoapi", "stall")
    job_id = submit(workshop, provider="aivideoapi")
    body = {**FINISHED, "id": workshop.case(job_id).attempts[1].task_id, **verdict}
    assert requests.post(callback_url(workshop, job_id), json=body, timeout=5).status_code == 200
    for task, job in workshop.bells.take():
        RUN[task](job, workshop.resources)
    case = workshop.case(job_id)
    assert case.job.state is State.GENERATING
    assert case.attempts[1].outcome is AttemptOutcome.OPEN
    assert case.unread == ()
    sandbox.clear()  # it finishes
    assert workshop.until(job_id, State.ARCHIVED).attempts[1].link != FINISHED["output"]["urls"][0]


def test_a_callback_that_names_another_jobs_task_brings_nobody_that_jobs_video(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """Under the URL of an order whose answer was lost, which waits to be told its task."""
    others = workshop.until(submit(workshop, provider="aivideoapi"), State.ARCHIVED).attempts[1].task_id
    sandbox.fault("aivideoapi", "lose_answer", how="reset")
    sandbox.fault("aivideoapi", "lose_callback")
    job_id = submit(workshop, provider="aivideoapi")
    assert requests.post(callback_url(workshop, job_id), json={**FINISHED, "id": others}, timeout=5).ok
    workshop.sweep()
    case = workshop.case(job_id)
    assert (case.unread, case.job.state, case.attempts[1].task_id) == ((), State.UNCONFIRMED, None)
    own = sandbox.tasks("aivideoapi")[1]["task_id"]
    assert sandbox.call_back("aivideoapi", own) == 200
    assert workshop.until(job_id, State.ARCHIVED).attempts[1].task_id == own


def test_news_that_comes_while_a_step_holds_the_job_is_served_by_its_ringing(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """A message spent on a held job: the holder rings when it finishes. No beat runs here."""
    sandbox.fault("aivideoapi", "slow_submit", seconds=1)
    sandbox.fault("aivideoapi", "lose_callback")
    job_id = workshop.create(provider="aivideoapi")
    thread = threading.Thread(target=RUN["jobs.submit"], args=(job_id, workshop.resources))
    thread.start()
    workshop.await_(lambda: workshop.case(job_id).job.lease_holder, "a holder", job_id=job_id)
    body = {"id": "somebody-elses", "status": "processing"}
    assert requests.post(callback_url(workshop, job_id), json=body, timeout=5).status_code == 200
    [(_, spent)] = workshop.bells.take()
    RUN["jobs.reconcile"](spent, workshop.another_worker())  # the message is spent on a held row
    assert workshop.case(job_id).job.lease_holder is not None
    thread.join()
    case = workshop.case(job_id)
    assert len(case.unread) == 1
    assert ("jobs.reconcile", job_id) in workshop.bells.take()
