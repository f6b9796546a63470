"""Which gateway an order goes to, and when a second one may be tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from workshop import RUN, Workshop, account, serve_receiver

from jobs.errors import BadRequest
from jobs.intake import new_jobs
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.store import history, tables

# By published price a second at 720p; apiframe and gravitex publish none in dollars.
CHEAPEST_FIRST = ["evolink", "easyrouter", "aivideoapi", "apiframe", "gravitex"]


def accepted(sandbox: Any) -> dict[str, int]:
    """How many orders each gateway took."""
    counted: dict[str, int] = {}
    for task in sandbox.tasks():
        counted[task["provider"]] = counted.get(task["provider"], 0) + 1
    return counted


def routed(workshop: Workshop, job_id: str) -> list[dict[str, Any]]:
    """The decisions in a job's history."""
    with workshop.database.read() as db:
        return [line["detail"] for line in history.of_job(db, job_id) if line["event"] == "routed"]


def test_auto_goes_to_the_cheapest_and_history_has_the_whole_decision(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create()
    case = workshop.until(job_id, State.ARCHIVED)
    assert accepted(sandbox) == {"evolink": 1}
    [decision] = routed(workshop, job_id)
    assert decision["chosen"] == "evolink"
    assert [line["provider"] for line in decision["considered"]] == CHEAPEST_FIRST
    assert decision["considered"][0]["usd"] == case.attempts[1].estimated_usd == 0.172


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 429}, "rate_limited"),
        ({"status": 402}, "insufficient_credits"),
        ({"status": 401}, "unauthorized"),
        ({"status": 400}, "invalid_request"),
    ],
)
def test_a_documented_refusal_sends_the_order_to_the_next_gateway(
    workshop: Workshop, sandbox: Any, fault: dict[str, Any], code: str
) -> None:
    sandbox.fault("evolink", "refuse", **fault)
    job_id = workshop.create()
    case = workshop.until(job_id, State.ARCHIVED)
    assert accepted(sandbox) == {"easyrouter": 1}
    first, second = case.attempts[1], case.attempts[2]
    assert (first.outcome, first.standing, first.error_code) == (AttemptOutcome.REFUSED, Standing.NONE, code)
    assert (second.provider, second.outcome) == ("easyrouter", AttemptOutcome.DELIVERED)
    assert [decision["chosen"] for decision in routed(workshop, job_id)] == ["evolink", "easyrouter"]


def test_a_resting_key_is_left_out_with_its_reason(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "refuse", status=402)
    workshop.until(workshop.create(), State.ARCHIVED)
    job_id = workshop.create()
    workshop.until(job_id, State.ARCHIVED)
    assert accepted(sandbox) == {"easyrouter": 2}
    [decision] = routed(workshop, job_id)
    assert decision["chosen"] == "easyrouter"
    assert decision["considered"][0]["obstacle"]["code"] == "insufficient_credits"


def test_a_full_gateway_is_left_out(make_workshop: Callable[..., Workshop], sandbox: Any) -> None:
    workshop = make_workshop(max_in_flight=1)
    sandbox.set(generation_s=600)
    for _ in range(2):
        RUN["jobs.submit"](workshop.create(), workshop.resources)
    assert accepted(sandbox) == {"evolink": 1, "easyrouter": 1}


def test_a_retryable_failure_is_tried_once_more_elsewhere_and_then_given_up(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("any", "fail", retryable=True, times=5)
    job_id = workshop.create(provider=["evolink", "aivideoapi", "gravitex"])
    case = workshop.until(job_id, State.FAILED)
    assert accepted(sandbox) == {"evolink": 1, "aivideoapi": 1}
    assert [a.standing for a in case.attempts.values()] == [Standing.REFUNDED, Standing.REFUNDED]
    assert case.job.error_said == "internal_error"


def test_a_final_failure_is_tried_nowhere_else(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "fail", retryable=False)
    case = workshop.until(workshop.create(), State.FAILED)
    assert accepted(sandbox) == {"evolink": 1}
    assert (case.job.error_code, case.job.error_said) == ("content_refused", "content_policy_violation")
    assert case.job.error_retryable is False


def test_while_an_order_is_unconfirmed_no_other_gateway_is_asked(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "lose_answer", how="reset")
    job_id = workshop.create()
    workshop.until(job_id, State.UNCONFIRMED)
    for _ in range(3):
        workshop.sweep()
    assert accepted(sandbox) == {"evolink": 1}
    assert workshop.state(job_id) is State.UNCONFIRMED


def test_a_quote_tells_where_and_for_how_much_and_leaves_no_trace(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "refuse", status=402)
    workshop.until(workshop.create(), State.ARCHIVED)
    body = {"prompt": "A fox", "resolution": "720p", "duration": 10}
    with workshop.database.read() as db:
        before = db.execute(sa.select(sa.func.count()).select_from(tables.jobs)).scalar_one()
    quote = new_jobs.quote(body, workshop.core, api_key_id="test")
    chosen = quote.choice.chosen
    assert chosen is not None
    assert chosen.estimate is not None
    assert (chosen.name, chosen.estimate.usd, chosen.estimate.credits) == ("easyrouter", 1.0, 500_000)
    assert quote.choice.obstacles["evolink"].code == "insufficient_credits"
    assert accepted(sandbox) == {"easyrouter": 1}
    with workshop.database.read() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(tables.jobs)).scalar_one() == before


class TestKeysAndAddresses:
    def replaced(self, workshop: Workshop, *, keep_previous: bool) -> None:
        """EvoLink's key is replaced by another, at another address."""
        old = account(workshop, "evolink")
        new = Account("evolink", "http://127.0.0.1:9/elsewhere", "sk-new")
        settings = replace(
            workshop.settings,
            accounts={**workshop.settings.accounts, "evolink": new},
            previous_accounts={"evolink": replace(old, base_url=new.base_url)} if keep_previous else {},
        )
        workshop.settings = workshop.resources.settings = settings

    def test_a_running_job_is_asked_about_with_its_own_key_at_its_own_address(
        self, workshop: Workshop, sandbox: Any
    ) -> None:
        sandbox.set(generation_s=0.5)
        job_id = workshop.create(provider="evolink")
        RUN["jobs.submit"](job_id, workshop.resources)
        self.replaced(workshop, keep_previous=True)
        case = workshop.until(job_id, State.ARCHIVED)
        assert case.attempts[1].base_url == f"{sandbox.url}/evolink"

    def test_without_the_previous_key_the_job_waits_and_says_which_variable_is_missing(
        self, workshop: Workshop, sandbox: Any
    ) -> None:
        job_id = workshop.create(provider="evolink")
        RUN["jobs.submit"](job_id, workshop.resources)
        self.replaced(workshop, keep_previous=False)

        def told() -> list[Any]:
            workshop.sweep()
            with workshop.database.read() as db:
                return [line["detail"] for line in history.of_job(db, job_id) if line["event"] == "gateway_said"]

        [detail] = workshop.await_(told, "the history tells of the missing key", job_id=job_id)
        assert detail["hint"] == "set RUSHES_EVOLINK_API_KEY_PREVIOUS"
        assert workshop.state(job_id) is State.GENERATING

    def test_a_resend_goes_to_the_address_of_the_first_send(
        self, make_workshop: Callable[..., Workshop], sandbox: Any
    ) -> None:
        workshop = make_workshop(resend_unit_s=0.1)
        sandbox.fault("apiframe", "lose_answer", how="reset")
        job_id = workshop.create(provider="apiframe")
        RUN["jobs.submit"](job_id, workshop.resources)
        moved = replace(account(workshop, "apiframe"), base_url="http://127.0.0.1:9/elsewhere")
        accounts = {**workshop.settings.accounts, "apiframe": moved}
        workshop.settings = workshop.resources.settings = replace(workshop.settings, accounts=accounts)
        workshop.until(job_id, State.ARCHIVED)
        assert accepted(sandbox) == {"apiframe": 1}


class TestInputs:
    def signed(self, seconds: float, workshop: Workshop) -> dict[str, Any]:
        with workshop.database.read() as db:
            dies = workshop.database.clock(db) + timedelta(seconds=seconds)
        url = f"https://bucket.example.com/first.png?Expires={int(dies.timestamp())}&Signature=ab"
        return {"mode": "image-to-video", "media": [{"type": "first_frame", "url": url}]}

    def test_a_link_that_dies_too_soon_is_refused_with_the_time_it_should_live_to(self, workshop: Workshop) -> None:
        with pytest.raises(BadRequest) as caught:
            workshop.create(**self.signed(800, workshop))  # 300 s at the gateway and 600 s before
        assert list(caught.value.fields) == ["media.0.url"]
        assert "sign it to live until" in caught.value.fields["media.0.url"][0]

    def test_one_that_lives_long_enough_is_taken_and_nothing_is_bought_once_it_is_too_late(
        self, workshop: Workshop, sandbox: Any
    ) -> None:
        job_id = workshop.create(**self.signed(1000, workshop))
        job = workshop.case(job_id).job
        assert job.inputs_until is not None
        assert job.start_by == job.inputs_until
        assert timedelta(seconds=690) < job.start_by - job.created_at <= timedelta(seconds=700)
        with workshop.database.write() as db:
            past = workshop.database.clock(db) - timedelta(seconds=1)
            row = sa.update(tables.jobs).where(tables.jobs.c.id == job_id)
            db.execute(row.values(start_by=past, inputs_until=past))
        workshop.sweep()
        case = workshop.case(job_id)
        assert (case.job.state, case.job.error_code) == (State.FAILED, "not_started")
        assert accepted(sandbox) == {}

    def test_a_shorter_wish_of_the_clients_stays(self, workshop: Workshop) -> None:
        job = workshop.case(workshop.create(start_within_s=60, **self.signed(86_400, workshop))).job
        assert job.start_by - job.created_at == timedelta(seconds=60)


class TestPaidTwice:
    def test_a_second_paid_result_stands_as_paid_not_delivered_with_its_link(
        self, make_workshop: Callable[..., Workshop], sandbox: Any
    ) -> None:
        """The client chose to risk it: the answer was lost, another was bought, and then the first came as well."""
        workshop = make_workshop(resubmit_after_s=0.2)
        receiver = serve_receiver(workshop)
        try:
            workshop.receive_callbacks_at(receiver.url)
            sandbox.fault("evolink", "lose_answer", how="reset")
            sandbox.fault("evolink", "lose_callback")
            job_id = workshop.create(provider="evolink", on_unconfirmed="resubmit")
            case = workshop.until(job_id, State.ARCHIVED)
            assert case.job.attempt == 2
            first = min(sandbox.tasks("evolink"), key=lambda task: task["submitted_at"])
            sandbox.call_back("evolink", first["task_id"])
            case = workshop.await_(lambda: self.settled(workshop, job_id), "the first is known", job_id=job_id)
        finally:
            receiver.close()
        late = case.attempts[1]
        assert (late.outcome, late.standing, late.task_id) == (
            AttemptOutcome.FINISHED,
            Standing.CHARGED,
            first["task_id"],
        )
        assert late.link is not None
        assert case.job.state is State.ARCHIVED
        assert case.job.alarm_at is None

    def settled(self, workshop: Workshop, job_id: str) -> Any:
        workshop.sweep()
        case = workshop.case(job_id)
        return case if case.attempts[1].outcome is AttemptOutcome.FINISHED else None


def test_an_unknown_word_keeps_the_job_running_and_is_counted(workshop: Workshop, sandbox: Any) -> None:
    sandbox.fault("evolink", "unknown_word", word="moderating")
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVED)
    assert "unknown_word" in workshop.history(job_id)
    with workshop.database.read() as db:
        rows = db.execute(sa.select(tables.unknown_words)).mappings().all()
    assert [(row["provider"], row["word"], row["times"]) for row in rows] == [("evolink", "moderating", 1)]
