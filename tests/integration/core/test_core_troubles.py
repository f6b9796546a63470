"""What goes wrong between us and a gateway, its links, or another worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from lost_orders import renumber
from workshop import RUN, Workshop

from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.steps import archiving, step
from jobs.steps.step import conclude
from jobs.store import cases, history, leases, tables
from jobs.store.leases import Lease


def objects(workshop: Workshop) -> list[str]:
    found = workshop.bucket.listing(workshop.bucket.config.prefix)
    return [item.key for item in found if item.key.endswith(".mp4")]


def make_due(workshop: Workshop, job_id: str) -> None:
    """Let the alarm ring and every lease run out, as time would."""
    with workshop.database.write() as db:
        past = workshop.database.clock(db) - timedelta(seconds=1)
        row = sa.update(tables.jobs).where(tables.jobs.c.id == job_id)
        db.execute(row.values(alarm_at=past))
        db.execute(row.where(tables.jobs.c.leased_until.is_not(None)).values(leased_until=past))


@pytest.mark.parametrize("how", ["reset", "502", "close", "drip"])
@pytest.mark.parametrize("provider", ["aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink"])
def test_a_lost_answer_leaves_the_job_unconfirmed_with_one_post(
    make_workshop: Any, sandbox: Any, provider: str, how: str
) -> None:
    # Only a dripping answer is ended by the deadline; for the others it is far, as a busy machine connects slowly.
    deadline_s = 2 if how == "drip" else 30
    workshop: Workshop = make_workshop(submit_deadline_s=deadline_s, submit_lease_s=40, resubmit_after_s=0.001)
    sandbox.fault(provider, "lose_answer", how=how)
    job_id = workshop.create(provider=provider)
    RUN["jobs.submit"](job_id, workshop.resources)
    case = workshop.case(job_id)
    assert case.job.state is State.UNCONFIRMED
    assert case.attempts[1].standing is Standing.UNCERTAIN
    for _ in range(3):
        workshop.sweep()
    assert workshop.state(job_id) is State.UNCONFIRMED
    assert len(sandbox.tasks(provider)) == 1


def test_an_idempotent_gateway_is_sent_the_same_key_again_and_answers_with_the_first_task(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(resend_unit_s=0.1)
    sandbox.fault("apiframe", "lose_answer", how="reset")
    job_id = workshop.create(provider="apiframe")
    case = workshop.until(job_id, State.ARCHIVED)
    assert not case.attempts[1].adopted
    assert case.attempts[1].sends == 2
    assert len(sandbox.tasks("apiframe")) == 1


def test_without_a_callback_a_lost_answer_fails_after_its_window_with_money_uncertain(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(unconfirmed_window_s=0.2)
    sandbox.fault("gravitex", "lose_answer", how="reset")
    case = workshop.until(workshop.create(provider="gravitex"), State.FAILED)
    assert case.job.error_code == "submit_unconfirmed"
    assert case.attempts[1].standing is Standing.UNCERTAIN
    assert case.job.alarm_at is None


@pytest.mark.parametrize("what", ["html", "truncated", "truncated_clean", "empty"])
def test_what_does_not_play_is_never_archived_and_the_whole_file_is_fetched_once_it_is_there(
    make_workshop: Any, sandbox: Any, what: str
) -> None:
    workshop: Workshop = make_workshop(retry_first_s=0.05)
    sandbox.fault("evolink", "serve", what=what, hits=2)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    RUN["jobs.transfer"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.ARCHIVING
    assert objects(workshop) == []
    assert "transfer_trouble" in workshop.history(job_id)
    workshop.until(job_id, State.ARCHIVED)
    assert len(objects(workshop)) == 1


def test_a_link_that_never_serves_a_video_fails_the_job_once_its_life_is_over(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(retry_first_s=0.05, life_s=1)
    sandbox.fault("evolink", "serve", what="html", hits=10_000)
    case = workshop.until(workshop.create(provider="evolink"), State.FAILED)
    assert case.job.error_code == "bad_video"
    assert case.attempts[1].outcome is AttemptOutcome.UNDELIVERED
    assert case.attempts[1].standing is Standing.CHARGED
    assert objects(workshop) == []


def test_an_expired_link_is_asked_for_anew(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("easyrouter", "expire_link", reports=1)
    job_id = workshop.create(provider="easyrouter")
    workshop.until(job_id, State.ARCHIVED)
    assert "transfer_trouble" not in workshop.history(job_id)


@pytest.mark.parametrize("what", ["html", "json"])
def test_a_gateways_garbage_moves_nothing_and_stands_in_the_history(
    make_workshop: Any, sandbox: Any, what: str
) -> None:
    workshop: Workshop = make_workshop(retry_first_s=0.05)
    sandbox.fault("aivideoapi", "garbage_query", what=what, times=2)
    job_id = workshop.create(provider="aivideoapi")
    workshop.until(job_id, State.GENERATING)
    workshop.await_(lambda: workshop.sweep() and "gateway_said" in workshop.history(job_id), "garbage", job_id=job_id)
    assert workshop.state(job_id) is State.GENERATING
    with workshop.database.read() as db:
        [line] = [e for e in history.of_job(db, job_id) if e["event"] == "gateway_said"]
    assert line["detail"]["body"]
    workshop.until(job_id, State.ARCHIVED)


def test_an_unknown_status_word_means_still_running(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "unknown_word", times=2)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVED)
    assert workshop.history(job_id).count("gateway_said") == 1


def test_a_retryable_failure_takes_a_second_attempt_and_no_third(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop()
    sandbox.fault("evolink", "fail", retryable=True, times=5)
    case = workshop.until(workshop.create(provider="evolink"), State.FAILED)
    assert case.job.attempt == 2
    assert [a.standing for a in case.attempts.values()] == [Standing.REFUNDED] * 2
    assert len(sandbox.tasks("evolink")) == 2


def test_a_refusal_goes_to_the_next_gateway_of_the_route(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "refuse", status=402)
    case = workshop.until(workshop.create(provider=["evolink", "gravitex"]), State.ARCHIVED)
    assert [(a.provider, a.outcome) for a in case.attempts.values()] == [
        ("evolink", AttemptOutcome.REFUSED),
        ("gravitex", AttemptOutcome.DELIVERED),
    ]


def test_a_rate_limit_waits_and_then_submits_once(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop()
    sandbox.fault("apiframe", "refuse", status=429, retry_after=1)
    job_id = workshop.create(provider="apiframe")
    workshop.until(job_id, State.ARCHIVED)
    assert len(sandbox.tasks("apiframe")) == 1


def test_a_refused_connection_sends_nothing_and_keeps_the_attempt(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(retry_first_s=0.05)
    real = workshop.settings.accounts
    nowhere = {name: type(a)(name, "http://127.0.0.1:1", a.api_key) for name, a in real.items()}
    object.__setattr__(workshop.settings, "accounts", nowhere)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.QUEUED
    assert workshop.case(job_id).attempts[1].outcome is AttemptOutcome.NOT_SENT
    object.__setattr__(workshop.settings, "accounts", real)
    case = workshop.until(job_id, State.ARCHIVED)
    assert list(case.attempts) == [1]


def test_a_worker_that_died_before_sending_leaves_a_job_that_is_simply_sent_by_another(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = _die_in_submit(workshop, monkeypatch, "mark_sending")
    make_due(workshop, job_id)
    case = workshop.until(job_id, State.ARCHIVED)
    assert list(case.attempts) == [1]
    assert len(sandbox.tasks()) == 1


def test_a_worker_that_died_after_sending_leaves_it_unconfirmed_and_never_sent_again(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = _die_in_submit(workshop, monkeypatch, "conclude")
    make_due(workshop, job_id)
    case = workshop.until(job_id, State.UNCONFIRMED, State.ARCHIVED)
    assert (case.job.state, len(sandbox.tasks())) == (State.UNCONFIRMED, 1)


class Died(BaseException):
    """As SIGKILL does it: nothing of ours runs after it."""


def _die_in_submit(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, where: str) -> str:
    def die(*_: Any, **__: Any) -> None:
        raise Died

    job_id = workshop.create(provider="evolink")
    with monkeypatch.context() as patch:
        patch.setattr(leases if where == "mark_sending" else step, where, die)
        with pytest.raises(Died):
            RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.SUBMITTING
    return job_id


def test_a_zombies_late_write_does_not_free_anothers_lease(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "stall")
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.GENERATING)
    make_due(workshop, job_id)
    zombie = _claim(workshop, job_id)
    make_due(workshop, job_id)
    other = _claim(workshop, job_id)
    conclude(zombie, Facts(progress=7), workshop.resources)
    job = workshop.case(job_id).job
    assert job.lease_holder == other.holder
    assert job.state is State.GENERATING


def _claim(workshop: Workshop, job_id: str) -> Lease:
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        lease = leases.claim(
            db, cases.read_case(db, job_id), holder=workshop.resources.new_lease_holder(), lease_s=30, now=now
        )
    assert lease is not None
    return lease


def test_a_success_for_attempt_1_while_attempt_2_is_queued_buys_nothing_more(
    make_workshop: Any, sandbox: Any, receiver: Any
) -> None:
    workshop: Workshop = make_workshop(resubmit_after_s=0.1, max_attempts=2)
    workshop.receive_callbacks_at(receiver.url)
    sandbox.fault("evolink", "lose_callback")
    sandbox.fault("evolink", "lose_answer", how="reset")
    job_id = workshop.create(provider="evolink", on_unconfirmed="resubmit")
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.UNCONFIRMED

    def queued_again() -> bool:
        RUN["jobs.reconcile"](job_id, workshop.resources)
        return workshop.state(job_id) is State.QUEUED

    workshop.await_(queued_again, "the resubmit", job_id=job_id)
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.attempt == 1
    assert "prove" in workshop.history(job_id)
    assert len(sandbox.tasks("evolink")) == 1


def test_a_foreign_object_at_the_key_is_not_overwritten(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.bucket.put_small(workshop.case(job_id).job.archive_key, b"somebody else's", "text/plain")
    case = workshop.until(job_id, State.FAILED)
    assert case.job.error_code == "key_conflict"
    assert b"".join(workshop.bucket.open(case.job.archive_key)) == b"somebody else's"


@pytest.mark.parametrize("is_renumbered", [False, True])
def test_an_object_of_ours_is_adopted_from_its_metadata_without_another_download(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch, is_renumbered: bool
) -> None:
    """Also where another order bears the number that it names since a backup was put back."""
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "stored_facts", lambda *_: (_ for _ in ()).throw(Died()))
        with pytest.raises(Died):
            RUN["jobs.transfer"](job_id, workshop.resources)
    assert len(objects(workshop)) == 1
    hits = sandbox.tasks("evolink")[0]["link_hits"]["count"]
    if is_renumbered:
        renumber(workshop, job_id)
    make_due(workshop, job_id)
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.attempt == 1 + is_renumbered
    assert case.attempts[case.job.attempt].outcome is AttemptOutcome.DELIVERED
    assert case.job.duration_s == pytest.approx(2, abs=0.1)
    assert sandbox.tasks("evolink")[0]["link_hits"]["count"] == hits
