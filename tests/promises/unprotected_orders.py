"""The protections of orders, of the callbacks that tell of them, and of their money (P1, P2, P6, P7, P9, P14)."""

from __future__ import annotations

import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from protection import Protection, as_simulated, nothing, one

from jobs.intake import new_jobs
from jobs.machine import judges, outcome, schedule
from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.providers.answers import json_body
from jobs.providers.registry import PROVIDERS
from jobs.reports import costs
from jobs.steps import reconciliation
from jobs.steps.replies import Inquiry, Reply
from jobs.store import migrate, tables
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.keeping import Kept
from webhooks import receiver
from webhooks.keeper import Keeper

CORE = "integration/core"
ENDS, TROUBLES = f"{CORE}/test_core_ends.py", f"{CORE}/test_core_troubles.py"
LOST_ANSWER = f"{TROUBLES}::test_a_lost_answer_leaves_the_job_unconfirmed_with_one_post"
CALLBACKS, RECEIVER = f"{CORE}/test_core_callbacks.py", f"{CORE}/test_core_receiver.py"
TOLD = f"{CORE}/test_core_told_tasks.py"
ACCOUNT = f"{CORE}/test_core_account.py::test_every_order_stands_on_one_line_of_the_account_and_the_days_add_up"
COMMITTED = f"{RECEIVER}::test_a_callback_is_answered_200_only_once_it_is_committed"


def _in_background(work: Any, *args: Any) -> None:
    def run() -> None:
        with suppress(DatabaseUnavailable):
            work(*args)

    threading.Thread(target=run, daemon=True).start()


def _answered_before_it_is_kept() -> dict[str, Any]:
    real = new_jobs._keep

    def keep(body: Any, request: Any, digest: str, core: Any, *rest: Any) -> Any:
        _in_background(real, body, request, digest, core, *rest)
        with tempfile.TemporaryDirectory() as folder:
            elsewhere = Database(f"sqlite:///{folder}/elsewhere.db")
            migrate.upgrade(elsewhere)
            made = real(body, request, digest, replace(core, database=elsewhere), *rest)
            elsewhere.close()
        return made

    return {"jobs.intake.new_jobs._keep": keep}


def _called_back_before_it_is_kept() -> dict[str, Any]:
    real = receiver._keep

    def keep(*kept: Any) -> Any:
        _in_background(real, *kept)
        return receiver._answer(200)

    return {"webhooks.receiver._keep": keep}


def _answered_before_its_group_is_kept() -> dict[str, Any]:
    real = Keeper._write

    def write(self: Keeper, group: list[Any]) -> None:
        _in_background(real, self, [replace(waiting) for waiting in group])
        for waiting in group:
            waiting.kept = Kept(200, State.GENERATING, ring=False, kept=True)

    return {"webhooks.keeper.Keeper._write": write}


def _failed_with_its_group() -> dict[str, Any]:
    real = Keeper._write

    def write(self: Keeper, group: list[Any]) -> None:
        real(self, group)
        for waiting in group:
            if waiting.kept is None and waiting.error is None:
                waiting.error = DatabaseUnavailable("a neighbour could not be written")

    return {"webhooks.keeper.Keeper._write": write}


def _rung_in_the_request() -> dict[str, Any]:
    return {"jobs.ringer.RingerThread.ring": lambda self, task, *job_ids: self._ringer.ring(task, *job_ids)}


def _callback_is_the_answer() -> dict[str, Any]:
    real = reconciliation._inquire

    def inquire(inquiry: Inquiry, by: str, since: Any, resources: Any) -> Reply:
        told = tables.inbox.c.job_id == inquiry.attempt.job_id
        with resources.database.read() as db:
            body = db.execute(sa.select(tables.inbox.c.body).where(told, tables.inbox.c.read_at.is_(None))).scalar()
        if body is None:
            return real(inquiry, by, since, resources)
        report = PROVIDERS[inquiry.attempt.provider].read_callback(json_body(body))
        return Reply(inquiry, report, report.state.value, {})

    return {"jobs.steps.reconciliation._inquire": inquire}


def _borne_twice() -> dict[str, Any]:
    """The tables refuse it yet; a step waits for that to pass, here for no time."""
    instead = one("jobs.store.late_facts.resolve_task_ids", lambda db, case, facts, *, now: facts)
    return {**instead(), "jobs.steps.step.CONCLUDE_FOR_S": 0}


def _polled_only_without_callbacks() -> dict[str, Any]:
    real = schedule.next_poll

    def next_poll(attempt: Any, now: Any, settings: Any, providers: Any, jitter: Any) -> Any:
        if attempt.with_callback:
            return schedule.life_end(attempt, settings, providers)
        return real(attempt, now, settings, providers, jitter)

    return {"jobs.machine.schedule.next_poll": next_poll}


def _nothing_is_over() -> dict[str, Any]:
    anew = costs.statement.__wrapped__  # which is built once
    return {"jobs.reports.costs.ENDED": frozenset(), "jobs.reports.costs.statement": anew}


def _given_up_as_free() -> dict[str, Any]:
    real = judges._unknown_forever

    def unknown_forever(*said: Any) -> outcome.Turn:
        turn = real(*said)
        return replace(turn, attempt={**turn.attempt, "standing": Standing.NONE})

    return {"jobs.machine.judges._unknown_forever": unknown_forever}


PROTECTIONS = [
    Protection(
        "P1",
        "a 202 comes after the commit",
        _answered_before_it_is_kept,
        "integration/api/test_api_kept.py::test_a_request_is_answered_202_only_once_its_job_is_committed[sqlite]",
    ),
    as_simulated(
        "P1",
        "a task's life is counted from its acceptance",
        f"{ENDS}::test_a_task_that_is_said_to_run_for_ever_ends_with_its_life_and_frees_its_place[sqlite-evolink]",
    ),
    as_simulated(
        "P1",
        "a task's end needs an answer after it, or an hour of tries",
        f"{ENDS}::test_a_gateway_that_does_not_answer_at_the_end_is_tried_for_an_hour",
    ),
    as_simulated(
        "P2",
        "whether a byte was handed over decides what a submit came to",
        f"{LOST_ANSWER}[sqlite-evolink-reset]",
    ),
    as_simulated(
        "P2",
        "a due submit whose byte may have left is unconfirmed",
        f"{TROUBLES}::test_a_worker_that_died_after_sending_leaves_it_unconfirmed_and_never_sent_again",
    ),
    as_simulated(
        "P2",
        "the mark is written before a byte leaves",
        f"{TROUBLES}::test_a_worker_that_died_after_sending_leaves_it_unconfirmed_and_never_sent_again",
    ),
    as_simulated(
        "P2",
        "a lost submit is bought again only by choice",
        f"{LOST_ANSWER}[sqlite-gravitex-reset]",
    ),
    as_simulated(
        "P2",
        "a job is not cancelled beside an order that may come",
        f"{CORE}/test_core_changes.py::test_a_job_whose_first_order_may_yet_come_waits_for_that_and_orders_no_more[sqlite]",
    ),
    Protection(
        "P2",
        "an answer that names a task is no refusal",
        one("jobs.providers.gravitex.names_a_task", lambda body: False),
        f"{CORE}/test_core_refusals.py"
        "::test_an_order_is_refused_lost_or_put_off_by_what_is_certain[sqlite-a task beside it]",
    ),
    as_simulated(
        "P6",
        "a token is checked before anything else",
        f"{RECEIVER}::test_a_bad_token_gets_an_empty_404_without_any_sql[sqlite-<lambda>0]",
    ),
    Protection(
        "P6",
        "what a callback says is asked about",
        _callback_is_the_answer,
        f"{CALLBACKS}::test_a_forged_verdict_on_a_running_task_makes_us_ask_and_moves_nothing",
    ),
    as_simulated(
        "P6",
        "an order that no row knows is recognised by its gateway's answer alone",
        f"{CORE}/test_core_adversary.py::test_a_callback_under_a_key_that_leaked_moves_nothing_by_itself[sqlite-said0]",
    ),
    as_simulated(
        "P6",
        "a contested film is kept aside",
        f"{CORE}/test_core_contests.py::test_while_it_is_undecided_neither_is_archived_and_the_film_is_kept[sqlite]",
    ),
    as_simulated(
        "P6",
        "a failure that callbacks alone have told is not believed at once",
        f"{TOLD}::test_a_failed_task_of_another_installation_does_neither",
    ),
    as_simulated(
        "P6",
        "an order asks about the other tasks that it was told",
        f"{TOLD}::test_of_two_tasks_that_may_both_be_its_own_none_is_archived_and_a_person_decides[sqlite]",
    ),
    as_simulated(
        "P6",
        "a film that contradicts what was ordered is not its order's",
        f"{TOLD}::test_a_film_that_contradicts_what_was_ordered_is_not_its_orders",
    ),
    Protection(
        "P6",
        "what is contested by the end of the copy is not put",
        one("jobs.steps.ownership.require_decided", nothing),
        f"{TOLD}::test_what_is_contested_by_the_end_of_the_copy_is_not_put",
    ),
    Protection(
        "P6",
        "no task id is borne twice",
        _borne_twice,
        f"{CALLBACKS}::test_a_callback_that_names_another_jobs_task_brings_nobody_that_jobs_video",
    ),
    Protection("P7", "a 200 comes after the commit", _called_back_before_it_is_kept, f"{COMMITTED}[sqlite]"),
    Protection(
        "P7", "a group is answered after its commit", _answered_before_its_group_is_kept, f"{COMMITTED}[sqlite]"
    ),
    Protection(
        "P7",
        "one of a group that cannot be written fails no other",
        _failed_with_its_group,
        f"{CORE}/test_core_callback_groups.py::test_one_that_cannot_be_written_fails_none_of_its_group",
    ),
    Protection(
        "P7",
        "doorbells are rung by a thread",
        _rung_in_the_request,
        f"{RECEIVER}::test_a_callback_is_answered_while_the_doorbell_before_it_waits_for_valkey",
    ),
    Protection(
        "P9",
        "a task that would call back is asked about as well",
        _polled_only_without_callbacks,
        f"{CALLBACKS}::test_a_lost_callback_is_found_by_the_poller",
    ),
    Protection("P14", "paid and not delivered is a line of its own", _nothing_is_over, ACCOUNT),
    Protection(
        "P14",
        "an order of unknown outcome has uncertain money",
        _given_up_as_free,
        ACCOUNT,
    ),
    as_simulated("P14", "a reservation that is not needed is given back", ACCOUNT),
]
