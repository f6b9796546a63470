"""The protections of what workers do, and of what they tell and log (P8, P10, P11, P15)."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from protection import Protection, as_simulated, one

from jobs.store import cases, leases, tables
from jobs.store.leases import Lease
from webhooks import delivery

CORE = "integration/core"
DOORBELLS = f"{CORE}/test_core_doorbells.py::test_what_a_flushed_valkey_held_is_rung_for_again_and_no_job_is_lost"
NOTICES = f"{CORE}/test_core_notices.py"
IN_ORDER = f"{NOTICES}::test_two_notices_of_one_job_are_numbered_sent_in_that_order_and_signed"
DIED = f"{NOTICES}::test_a_notice_whose_sender_died_after_the_answer_is_sent_again_under_the_same_id"
TWO_WORKERS, TROUBLES = f"{CORE}/test_core_two_workers.py", f"{CORE}/test_core_troubles.py"
EVIDENCE = f"{CORE}/test_core_evidence.py"
LATE_FACTS = "integration/jobs/steps/test_jobs_late_facts.py"
OF_ANOTHER = f"{LATE_FACTS}::test_what_was_learnt_of_anothers_task_is_not_written_on_the_true_one"
SLEPT = (
    f"{TWO_WORKERS}::test_a_transfer_that_slept_in_its_copy_past_its_lease_is_taken_over_and_sends_the_bucket_nothing"
)


def _told_before_it_is_sent() -> dict[str, Any]:
    real = delivery._deliver

    def deliver(lease: Any, resources: Any) -> bool:
        with resources.database.write() as db:
            now = resources.database.clock(db)
            told = sa.update(tables.notices).where(tables.notices.c.id == lease.row["id"])
            db.execute(told.values(alarm_at=None, delivered_at=now, version=tables.notices.c.version + 1))
        return real(lease, resources)

    return {"webhooks.delivery._deliver": deliver}


def _sent_for_ever() -> dict[str, Any]:
    def due_notice(now: Any) -> sa.ColumnElement[bool]:
        return sa.and_(tables.notices.c.alarm_at <= now, tables.notices.c.lease_holder.is_(None))

    return {"webhooks.delivery.due_notice": due_notice}


def _newest_first() -> dict[str, Any]:
    real = delivery._next_due
    latest = tables.notices.c.sequence.desc()
    return {"webhooks.delivery._next_due": lambda job_id, now: real(job_id, now).order_by(None).order_by(latest)}


def _new_id_for_each_try() -> dict[str, Any]:
    real = delivery._send

    def send(row: Any, resources: Any) -> int:
        return real({**row, "id": f"{row['id']}-{row['tries']}"}, resources)

    return {"webhooks.delivery._send": send}


def _no_number() -> dict[str, Any]:
    real = delivery._send

    def send(row: Any, resources: Any) -> int:
        body = json.loads(json.dumps(row["body"]))
        return real({**row, "body": {**body, "sequence": 1}}, resources)

    return {"webhooks.delivery._send": send}


def _held_for_ever() -> dict[str, Any]:
    def is_due(job: Any, *, now: Any) -> bool:
        return job.alarm_at is not None and job.alarm_at <= now and job.lease_holder is None

    return {
        "jobs.store.leases._UNMOVED_UNLEASED": leases._UNMOVED.where(tables.jobs.c.lease_holder.is_(None)),
        "jobs.store.due.unleased": lambda now: {},
        "jobs.store.due.is_due": is_due,
    }


def _any_holder_may_write() -> dict[str, Any]:
    def reread(db: Any, lease: Lease) -> Lease:
        case = cases.read_case(db, lease.job.id)
        return replace(lease, case=case, holder=str(case.job.lease_holder))

    return {"jobs.store.leases.reread": reread}


PROTECTIONS = [
    Protection(
        "P8", "the sweep rings for what is due", one("jobs.worker.sweep.due_rows", lambda *_, **__: []), DOORBELLS
    ),
    Protection(
        "P8",
        "what was rung for in vain is rung for again",
        one("jobs.worker.sweep.LEAVE_OUT_S", float("inf")),
        DOORBELLS,
    ),
    Protection(
        "P10",
        "a notice counts as delivered only once it was answered",
        _told_before_it_is_sent,
        DIED,
    ),
    Protection(
        "P10",
        "nobody sends what another sends",
        one("webhooks.delivery.due_notice", lambda now: tables.notices.c.alarm_at <= now),
        DIED,
    ),
    Protection("P10", "the lease of a dead sender runs out", _sent_for_ever, DIED),
    Protection(
        "P10",
        "every try has the same id",
        _new_id_for_each_try,
        f"{NOTICES}::test_a_refused_notice_is_sent_again_under_the_same_id",
    ),
    Protection(
        "P10",
        "a notice is signed",
        one("webhooks.posting.Webhook", lambda secret: SimpleNamespace(sign=lambda *_: "v1,bm8gc2lnbmF0dXJl")),
        f"{NOTICES}::test_an_archived_job_is_told_with_the_whole_job_under_both_secrets",
    ),
    Protection("P10", "a job's notices go in their order", _newest_first, IN_ORDER),
    Protection("P10", "a job's notices are numbered", _no_number, IN_ORDER),
    Protection(
        "P11",
        "a lease that was lost is noticed before anything is sent",
        one("jobs.store.leases.renew_lease", lambda *_, **__: True),
        SLEPT,
    ),
    Protection("P11", "a lease runs out", _held_for_ever, SLEPT),
    as_simulated("P11", "nobody takes what another holds", SLEPT),
    Protection(
        "P11",
        "the last write compares the holder",
        _any_holder_may_write,
        f"{TROUBLES}::test_a_zombies_late_write_does_not_free_anothers_lease",
    ),
    as_simulated(
        "P11",
        "what was learnt of a task is written on that one alone",
        f"{OF_ANOTHER}[sqlite-bears_x-completed-after it]",
    ),
    as_simulated(
        "P11",
        "what is known of a task goes with it",
        f"{LATE_FACTS}::test_what_is_known_of_a_task_goes_with_it[sqlite-answer_t-finished]",
    ),
    Protection(
        "P15",
        "what is logged is masked",
        one("jobs.logs._mask_values", lambda logger, name, event: event),
        "unit/jobs/test_logs_hiding.py::test_a_secret_in_a_traceback_is_masked",
    ),
    Protection(
        "P15",
        "evidence is masked",
        one("jobs.reports.evidence_mask.Mask.text", lambda self, text: text),
        f"{EVIDENCE}::test_secrets_are_masked_in_raw_bodies_too_and_what_came_is_known_by_its_checksum[sqlite]",
    ),
]
