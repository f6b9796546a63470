"""Orders that no row knows, or guesses at: asked about by whatever tells of them, with each key, and for an hour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from benches import Pacer, worker
from callback_bench import KEY, Knows
from rows import HOUR, MINUTE, NOW, Rows

from jobs.intake import changes, settling
from jobs.machine.case import Case
from jobs.machine.rows import AttemptOutcome, Origin, Settled, Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost
from jobs.steps import reconciliation, strange_orders, submission
from jobs.steps.resources import Resources

pytestmark = pytest.mark.both_databases

OLD = Account("evolink", "https://gateway-of-old", "sk-0")
OTHER = Account("aivideoapi", "https://other", "sk-2")
UNKNOWN = Answered(404, {}, b'{"error": {"code": "task_not_found", "message": "Task not found", "type": "api_error"}}')


class Keyed(Knows):
    """Knows tasks by the key that made them."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, set[str]] = {}
        self.silent: set[str] = set()

    def ask(self, provider: Any, account: Account, request: Any, **_: Any) -> Any:
        task = request.path.rpartition("/")[2]
        self.asked.append(task)
        if account.api_key in self.silent:
            return Lost("the time was over")
        return _report(task) if task in self.of.get(account.api_key, ()) else UNKNOWN


def _report(task: str) -> Answered:
    return Answered(200, {}, b'{"id": "%s", "status": "processing"}' % task.encode())


@pytest.fixture
def gateway() -> Keyed:
    return Keyed()


@pytest.fixture
def resources(rows: Rows, gateway: Keyed) -> Resources:
    settings = replace(
        rows.core.settings, accounts={"evolink": KEY, "aivideoapi": OTHER}, previous_accounts={"evolink": OLD}
    )
    return worker(rows, gateway, settings=settings)


def tell(rows: Rows, job_id: str, task_id: str, provider: str = "evolink", *, number: int = 1, body: str = "") -> None:
    """A callback under a genuine URL, through the receiver's write; 32 bodies of an order are kept."""
    rows.callback(job_id, (body or task_id).encode(), provider=provider, attempt=number, task_id=task_id)


def look(rows: Rows, job_id: str, resources: Resources) -> Case:
    """Whatever step the job is due for, at its alarm."""
    alarm_at = rows.case(job_id).job.alarm_at
    assert alarm_at is not None
    rows.now = max(rows.now, alarm_at)
    reconciliation.reconcile(job_id, resources)
    return rows.case(job_id)


def forgotten(rows: Rows, state: State = State.UNCONFIRMED, **columns: Any) -> str:
    """A job one of whose orders a backup has forgotten: evolink and its present key are a guess."""
    job_id = rows.job(state, alarm_at=NOW)
    known = {"origin": Origin.FORGOTTEN, "lost_at": NOW, "standing": Standing.UNCERTAIN, "account": KEY.fingerprint}
    rows.attempt(job_id, **{**known, **columns})
    return job_id


def test_is_asked_about_whatever_bodies_came_before_it(rows: Rows, resources: Resources, gateway: Keyed) -> None:
    gateway.of = {"sk-1": {"true"}}
    job_id = rows.job()
    for number in range(32):
        tell(rows, job_id, f"made-up-{number}")
    while rows.case(job_id).has_news:
        look(rows, job_id, resources)
    assert sorted(set(gateway.asked)) == sorted(f"made-up-{n}" for n in range(32))
    tell(rows, job_id, "true")
    assert rows.case(job_id).unread == ()
    submission.submit(job_id, resources)
    case = look(rows, job_id, resources)
    assert (case.job.state, case.attempts[1].task_id, gateway.sent) == (State.GENERATING, "true", 0)


@pytest.mark.parametrize("told", ["no row", "a guess", "a person"])
def test_each_key_of_its_gateway_is_asked_with(rows: Rows, resources: Resources, gateway: Keyed, told: str) -> None:
    gateway.of = {"sk-0": {"t"}}
    job_id = rows.job() if told == "no row" else forgotten(rows)
    if told == "a person":
        settling.name_task(job_id, 1, "t", rows.core)
    else:
        tell(rows, job_id, "t")
    case = look(rows, job_id, resources)
    attempt = case.attempts[1]
    assert (case.job.state, attempt.task_id) == (State.GENERATING, "t")
    assert (attempt.account, attempt.base_url) == (OLD.fingerprint, OLD.base_url)


def test_is_unknown_only_once_each_key_has_been_answered(rows: Rows, resources: Resources, gateway: Keyed) -> None:
    gateway.silent = {"sk-0"}
    job_id = rows.job(start_by=NOW + 9 * HOUR)
    tell(rows, job_id, "t")
    assert look(rows, job_id, resources).has_news
    gateway.silent = set()
    assert not look(rows, job_id, resources).has_news


@pytest.mark.parametrize("spoken", ["", "not made", "named", "expired"])
def test_a_leaked_key_moves_no_forgotten_order_by_itself(
    rows: Rows, resources: Resources, gateway: Keyed, spoken: str
) -> None:
    job_id = forgotten(rows)
    if spoken == "not made":
        settling.settle(job_id, 1, Settled.NOT_MADE, rows.core)
    elif spoken == "named":
        settling.name_task(job_id, 1, "t-9", rows.core)
        gateway.silent = {"sk-0", "sk-1"}
    elif spoken == "expired":
        rows.change(job_id, outcome=AttemptOutcome.EXPIRED, closed_at=NOW)
    before = rows.case(job_id)
    tell(rows, job_id, "made-up", "aivideoapi")
    rows.callback(job_id, b"{}", provider="aivideoapi", readable=False, task_id=None, status=400)
    case = look(rows, job_id, resources)
    known = {"last_word": None, "polls": 0, "answered_at": None, "unanswered_since": None}
    assert replace(case.attempts[1], **known) == replace(before.attempts[1], **known)
    assert (case.job.state, case.job.flagged, case.unread) == (before.job.state, before.job.flagged, ())


@pytest.mark.parametrize("spoken", ["", "not made"])
def test_the_gateway_that_knows_the_task_corrects_a_guess(
    rows: Rows, resources: Resources, gateway: Keyed, spoken: str
) -> None:
    gateway.of = {"sk-2": {"t"}}
    job_id = forgotten(rows)
    if spoken:
        settling.settle(job_id, 1, Settled.NOT_MADE, rows.core)
    tell(rows, job_id, "t", "aivideoapi")
    case = look(rows, job_id, resources)
    attempt = case.attempts[1]
    assert (attempt.provider, attempt.account, attempt.task_id) == ("aivideoapi", OTHER.fingerprint, "t")
    assert (case.job.state, attempt.standing, gateway.sent) == (State.GENERATING, Standing.HELD, 0)


def test_of_two_gateways_that_both_know_a_task_of_it_at_once_one_has_it_and_history_tells_of_the_other(
    rows: Rows, resources: Resources, gateway: Keyed
) -> None:
    gateway.of = {"sk-1": {"of-evolink"}, "sk-2": {"of-aivideoapi"}}
    job_id = rows.job(start_by=NOW + 9 * HOUR)
    for provider in ("aivideoapi", "evolink"):
        tell(rows, job_id, f"of-{provider}", provider)
    case = look(rows, job_id, resources)
    assert case.attempts[1].task_id == f"of-{case.attempts[1].provider}"
    assert case.job.state is State.GENERATING
    assert "unknown_order" in [event for event, *_ in rows.history(job_id)]


@pytest.mark.parametrize(("flagged", "shown"), [(None, "unknown_attempt"), ("uncertain_money", "uncertain_money")])
def test_one_beside_the_known_order_of_its_number_is_shown_if_its_gateway_knows_it_and_hides_nothing(
    rows: Rows, resources: Resources, gateway: Keyed, flagged: str | None, shown: str
) -> None:
    gateway.of = {"sk-1": {"own"}, "sk-2": {"t"}}
    job_id = rows.job(State.GENERATING, alarm_at=NOW, flagged=flagged)
    rows.attempt(job_id, account=KEY.fingerprint, task_id="own", accepted_at=NOW, standing=Standing.HELD)
    tell(rows, job_id, "made-up", "aivideoapi")
    assert look(rows, job_id, resources).job.flagged == flagged
    tell(rows, job_id, "t", "aivideoapi")
    case = look(rows, job_id, resources)
    assert (case.job.flagged, case.attempts[1].task_id, case.unread) == (shown, "own", ())


@pytest.mark.parametrize("hindered", ["nobody looked", "no room in the budget"])
def test_its_hour_begins_with_the_first_question(
    rows: Rows, resources: Resources, gateway: Keyed, hindered: str
) -> None:
    class Full(Pacer):
        def slot(self, *_: Any, **__: Any) -> float:
            return 3_000

    gateway.silent = {"sk-0", "sk-1"}
    job_id = rows.job(start_by=NOW + 30 * HOUR)
    tell(rows, job_id, "t")
    if hindered == "nobody looked":
        rows.now += 2 * HOUR
    else:
        resources.query_budget = Full()  # type: ignore[assignment]
        while rows.now < NOW + 2 * HOUR:
            look(rows, job_id, resources)
        resources.query_budget = Pacer()  # type: ignore[assignment]
    asked_at = rows.now
    while look(rows, job_id, resources).has_news:
        assert rows.now < asked_at + 2 * HOUR
    assert rows.now - asked_at >= strange_orders.ASKED_FOR


def test_a_leaked_key_holds_a_job_for_one_hour_however_often_it_is_used(
    rows: Rows, resources: Resources, gateway: Keyed
) -> None:
    gateway.silent = {"sk-0", "sk-1"}
    job_id = rows.job(start_by=NOW + 30 * HOUR)
    for number in range(1, 9):
        tell(rows, job_id, f"made-up-{number}", number=number)
        if not look(rows, job_id, resources).has_news:
            break
        rows.now += 10 * MINUTE
    assert rows.now - NOW <= strange_orders.ASKED_FOR + 15 * MINUTE
    tell(rows, job_id, "made-up-again", number=99)
    asked = len(gateway.asked)
    assert not look(rows, job_id, resources).has_news
    assert len(gateway.asked) == asked + 2, "a question with each key"
    gateway.silent = set()
    tell(rows, job_id, "answered", number=99)
    look(rows, job_id, resources)
    gateway.silent = {"sk-0", "sk-1"}
    tell(rows, job_id, "another hour", number=99)
    assert look(rows, job_id, resources).has_news


def test_a_gateway_that_cannot_have_the_order_is_waited_for_by_nobody(
    rows: Rows, resources: Resources, gateway: Keyed
) -> None:
    job_id = rows.job()
    tell(rows, job_id, "t", "apiframe")
    case = look(rows, job_id, resources)
    assert (case.has_news, gateway.asked, case.job.strange_since) == (False, [], None)


@pytest.mark.parametrize("is_known", [False, True])
def test_a_wish_to_cancel_waits_until_it_is_answered(
    rows: Rows, resources: Resources, gateway: Keyed, is_known: bool
) -> None:
    gateway.silent = {"sk-0", "sk-1"}
    job_id = rows.job(start_by=NOW + 9 * HOUR)
    tell(rows, job_id, "t")
    for _ in range(2):
        case = changes.cancel(job_id, rows.core)
        assert (case.job.state, case.job.cancel_requested_at) == (State.QUEUED, NOW)
    assert look(rows, job_id, resources).job.state is State.QUEUED
    gateway.silent, gateway.of = set(), {"sk-1": {"t"}} if is_known else {}
    case = look(rows, job_id, resources)
    assert case.job.state is (State.GENERATING if is_known else State.CANCELLED)
    assert (case.job.cancel_requested_at is None) is is_known


def test_a_wish_to_cancel_waits_for_the_task_that_a_person_named(
    rows: Rows, resources: Resources, gateway: Keyed
) -> None:
    over = {"outcome": AttemptOutcome.EXPIRED, "closed_at": NOW}
    job_id = forgotten(rows, State.QUEUED, origin=Origin.ORDERED, **over)
    settling.name_task(job_id, 1, "t", rows.core)
    assert changes.cancel(job_id, rows.core).job.state is State.QUEUED
    assert look(rows, job_id, resources).job.state is State.CANCELLED
