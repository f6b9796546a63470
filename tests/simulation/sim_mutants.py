"""Each protection of the service, taken away: what a run must then find. One at a time, by patching the real code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import sqlalchemy as sa
from sim_bucket import MARK, SimBucket

from jobs.intake import changes
from jobs.machine import decisions, judges, outcome, routing, schedule
from jobs.machine.case import Case
from jobs.machine.rows import Attempt
from jobs.machine.states import MAY_ORDER, State
from jobs.providers.answers import is_own
from jobs.providers.base import Failure, Report, ReportState
from jobs.providers.client import Lost, NotSent
from jobs.steps import answers, archiving, learning, object_metadata, ownership, replies, strange_orders
from jobs.store import availability, cases, due, lanes, late_facts, leases, tables
from jobs.store.keeping import Desk
from jobs.store.leases import Lease
from jobs.store.step_table import NOTIFY
from storage.errors import ObjectExists


class Lack(NamedTuple):
    """What stands in a protection's place, and the faults against which it protects.

    `fleet`: among hundreds of jobs it is missed soon; among a few it takes many seeds, or none shows it. `crowded`: it
    is missed where orders at one gateway meet.
    """

    patches: Callable[[], dict[str, Any]]
    faults: tuple[str, ...]
    fleet: bool = False
    crowded: bool = False


def _as_it_stands(db: Any, case: Any) -> Any:
    """The case under the version that the row has by now: a comparison with it is no comparison."""
    now = db.execute(sa.select(tables.jobs.c.version).where(tables.jobs.c.id == case.job.id)).scalar_one()
    return replace(case, job=replace(case.job, version=now))


def _ended_jobs_sleep() -> dict[str, Any]:
    real = Desk.wake

    def wake(self: Desk, job_id: str, number: int) -> bool:
        return job_id in self._alarmed and real(self, job_id, number)

    return {"jobs.store.keeping.Desk.wake": wake}


def _claim_without_version() -> dict[str, Any]:
    real = leases.claim
    return {"jobs.store.leases.claim": lambda db, case, **more: real(db, _as_it_stands(db, case), **more)}


def _last_write_without_reading_again() -> dict[str, Any]:
    def stale(db: Any, lease: Lease) -> Lease | None:
        holder = cases.read_case(db, lease.job.id).job.lease_holder
        return Lease(_as_it_stands(db, lease.case), lease.holder) if holder == lease.holder else None

    return {"jobs.store.leases.reread": stale}


def _lease_ignored() -> dict[str, Any]:
    def is_due(job: Any, *, now: Any) -> bool:
        return job.alarm_at is not None and job.alarm_at <= now

    statements = {"jobs.store.leases._UNMOVED_UNLEASED": leases._UNMOVED, "jobs.store.due.unleased": lambda now: {}}
    return {**statements, "jobs.store.due.is_due": is_due}


def _mark_without_lease() -> dict[str, Any]:
    def mark(db: Any, lease: Lease, number: int, *, lease_s: float, now: Any) -> bool:
        row = sa.and_(tables.attempts.c.job_id == lease.job.id, tables.attempts.c.number == number)
        db.execute(sa.update(tables.attempts).where(row).values(sending_at=now, sends=tables.attempts.c.sends + 1))
        return True

    return {"jobs.store.leases.mark_sending": mark}


def _mark_without_version() -> dict[str, Any]:
    real = leases.mark_sending

    def mark(db: Any, lease: Lease, *more: Any, **known: Any) -> bool:
        return real(db, Lease(_as_it_stands(db, lease.case), lease.holder), *more, **known)

    return {"jobs.store.leases.mark_sending": mark}


def _lost_counts_as_unsent() -> dict[str, Any]:
    real = answers.read_answer

    def read(provider: Any, account: Any, attempt: Any, answer: Any) -> Any:
        answer = NotSent(answer.reason) if isinstance(answer, Lost) else answer
        return real(provider, account, attempt, answer)

    return dict.fromkeys(("jobs.steps.submission.read_answer", "jobs.steps.resending.read_answer"), read)


def _dead_submit_counts_as_unsent() -> dict[str, Any]:
    real = judges._submitting

    def judge(case: Any, now: Any, rules: Any) -> Any:
        attempt = case.current
        if attempt.is_open and attempt.task_id is None:
            return judges._not_sent(case, attempt, now)
        return real(case, now, rules)

    return {"jobs.machine.decisions.JUDGES": {**judges.JUDGES, State.SUBMITTING: judge}}


def _news_goes_to_the_current_attempt() -> dict[str, Any]:
    real = learning.learn

    def learn(case: Any, *more: Any) -> Any:
        facts = real(case, *more)
        changes: dict[int, Any] = {}
        for said in facts.attempts.values():
            changes[case.job.attempt] = {**changes.get(case.job.attempt, {}), **said}
        return replace(facts, attempts=changes)

    return {"jobs.steps.reconciliation.learn": learn}


def _not_found_is_a_verdict() -> dict[str, Any]:
    real = replies.read_reply

    def read(inquiry: Any, provider: Any, account: Any, answer: Any) -> Any:
        reply = real(inquiry, provider, account, answer)
        if reply.report is None and reply.word in ("http_404", "http_403", "http_401"):
            failure = Failure("generation_failed", "not found", retryable=True)
            return replace(reply, report=Report(ReportState.FAILED, "gone", failure=failure))
        return reply

    return {"jobs.steps.reconciliation.read_reply": read}


def _nobodys_report_is_believed() -> dict[str, Any]:
    real = replies.read_reply

    def read(inquiry: Any, provider: Any, account: Any, answer: Any) -> Any:
        def named(body: Any) -> Report:
            report = provider.read_report(body)
            return replace(report, task_id=report.task_id or inquiry.task_id)

        return real(inquiry, replace(provider, read_report=named), account, answer)

    return {"jobs.steps.reconciliation.read_reply": read}


def _any_status_is_an_answer() -> dict[str, Any]:
    real = is_own

    def own(provider: Any, asked: str, status: int, body: bytes) -> bool:
        def named(said: Any) -> Report:
            return replace(provider.read_report(said), task_id=asked)

        return real(replace(provider, read_report=named), asked, status, body)

    return {"jobs.steps.health.is_own": own}


def _put_without_condition() -> dict[str, Any]:
    real = SimBucket._land

    def land(bucket: SimBucket, key: str, made: Any) -> bool:
        bucket.objects.pop(key, None)
        return real(bucket, key, made)

    return {"sim_bucket.SimBucket._land": land}


def _accepted_over_anything() -> dict[str, Any]:
    """Neither the HEAD before the PUT of an accepted film nor the condition on it, where a proven one stands."""
    land, head, real = SimBucket._land, SimBucket.head, archiving._copy
    taken: set[str] = set()

    def unconditional(bucket: SimBucket, key: str, made: Any) -> bool:
        if MARK in made.metadata and key in bucket.proven:
            bucket.objects.pop(key, None)
        return land(bucket, key, made)

    def unseen(bucket: SimBucket, key: str) -> Any:
        found = head(bucket, key)
        return None if key in taken and found and MARK not in found.metadata else found

    def copy(lease: Lease, resources: Any) -> Any:
        if lease.case.current is not None and lease.case.current.accepted_film:
            taken.add(lease.job.archive_key)
        return real(lease, resources)

    return {
        "sim_bucket.SimBucket._land": unconditional,
        "sim_bucket.SimBucket.head": unseen,
        "jobs.steps.archiving._copy": copy,
    }


def _unmarked() -> dict[str, Any]:
    real = object_metadata.video_columns
    return {"jobs.steps.object_metadata.video_columns": lambda stored: {**real(stored), "accepted_by": None}}


def _settled_under_a_lease() -> dict[str, Any]:
    def is_leased(job: Any, *, now: Any) -> bool:
        return False

    unguarded = SimpleNamespace(move_unleased=leases.write_wish)
    return {"jobs.intake.settling.is_leased": is_leased, "jobs.intake.settling.leases": unguarded}


def _cancelled_at_once() -> dict[str, Any]:
    def cancelled(case: Any, wish: Any, detail: Any = None) -> Any:
        return outcome.Turn(decisions.Move(decisions.E.CANCEL, case.job.attempt, detail or {}), {}, {})

    def no_order_of(case: Any, attempt: Any, otherwise: Any) -> Any:
        return decisions.E.CANCEL if case.job.cancel_requested_at else otherwise

    names = ("jobs.machine.judges.cancelled", "jobs.intake.changes.cancelled")
    return {**dict.fromkeys(names, cancelled), "jobs.machine.judges.no_order_of": no_order_of}


def _cancelled_unasked() -> dict[str, Any]:
    class Unasked(Case):
        has_news = False  # type: ignore[assignment]

    real = changes._cancelled

    def cancelled(case: Any, *more: Any) -> Any:
        return real(Unasked(case.job, case.attempts, case.callbacks, case.hearsay), *more)

    return {"jobs.intake.changes._cancelled": cancelled}


def _lane_obstacle(**settings: Any) -> dict[str, Any]:
    """What stands in an order's way, under other settings."""
    real = availability.lane_obstacle

    def obstacle(account: Any, lane: Any, out: Any, known: Any, now: Any) -> Any:
        return real(account, lane, out, replace(known, **settings), now)

    return {"jobs.store.availability.lane_obstacle": obstacle}


def _life_that_slides() -> dict[str, Any]:
    real = schedule._lives_end

    def end(attempt: Any, settings: Any, providers: Any) -> Any:
        slid = attempt.last_unfinished_at and attempt.last_unfinished_at + timedelta(seconds=settings.life_s)
        return max(real(attempt, settings, providers), slid or attempt.created_at)

    return {"jobs.machine.schedule._lives_end": end}


def _risk_unasked() -> dict[str, Any]:
    def ask_for_free(account: Any, resources: Any) -> bool:
        with resources.database.write() as db:
            lane = lanes.lock(db, account, "submit")
            if not lane.rests_s(resources.database.clock(db)):
                lanes.write(db, account, "submit", replace(lane, may_risk=True))
        return True

    return {"jobs.steps.health.ask_for_free": ask_for_free}


def _one_more_begins_no_rest() -> dict[str, Any]:
    real = availability.admit

    def admit(db: Any, account: Any, *more: Any, **known: Any) -> Any:
        before = lanes.lock(db, account, "submit")
        found = real(db, account, *more, **known)
        if found is None:
            now = replace(lanes.read(db, account, "submit"), until=before.until, began_at=before.began_at)
            lanes.write(db, account, "submit", replace(now, reason=before.reason))
        return found

    return {"jobs.store.availability.admit": admit}


def _unsent_stays() -> dict[str, Any]:
    return {
        "jobs.steps.submission._goes_on": lambda *_: False,
        "jobs.steps.planning._tried_lately": lambda *_: None,
    }


def _first_gateway_alone() -> dict[str, Any]:
    real = routing.choose
    return {"jobs.machine.routing.choose": lambda found, names, obstacle: real(found, list(names)[:1], obstacle)}


def _callback_is_believed() -> dict[str, Any]:
    real = strange_orders.judge

    def judge(lease: Lease, replies: list[Any], resources: Any, now: Any) -> Any:
        for told in lease.case.strange:
            key = resources.settings.accounts[told.provider]
            asked = SimpleNamespace(account=key.fingerprint, base_url=key.base_url)
            reply = SimpleNamespace(inquiry=SimpleNamespace(attempt=asked))
            strange_orders._recognise(lease, told, reply, resources)  # type: ignore[arg-type]
        return real(lease, replies, resources, now)

    return {"jobs.steps.strange_orders.judge": judge}


def _archived_undecided() -> dict[str, Any]:
    real = ownership.doubt

    def doubt(case: Any, resources: Any) -> Any:
        return None if case.current.contested else real(case, resources)

    return {"jobs.steps.ownership.doubt": doubt}


def _video_first() -> dict[str, Any]:
    real = archiving._put

    def put(case: Any, proven: Any, resources: Any, keep_going: Any) -> Any:
        metadata = object_metadata.write(case, proven.spooled.sha256, proven.video)
        with suppress(ObjectExists):
            resources.bucket.put_video(case.job.archive_key, proven.spooled, metadata, keep_going)
        return real(case, proven, resources, keep_going)

    return {"jobs.steps.archiving._put": put}


def _first_bearer_is_believed() -> dict[str, Any]:
    real = late_facts.bearer_of

    def bearer_of(*more: Any) -> Any:
        bearer = real(*more)
        return replace(bearer, adopted=False) if bearer else None

    return {"jobs.store.late_facts.bearer_of": bearer_of}


def _borne_under_one_key() -> dict[str, Any]:
    real = late_facts.bearer_of

    def bearer_of(db: Any, attempt: Attempt, task_id: str) -> Attempt | None:
        bearer = real(db, attempt, task_id)
        return bearer if bearer and bearer.account == attempt.account else None

    return {"jobs.store.late_facts.bearer_of": bearer_of}


def _notices_sleep() -> dict[str, Any]:
    real = due.due_rows

    def due_rows(db: Any, step: Any, **more: Any) -> Any:
        with patch("jobs.store.due.CLOCK_SET_BACK", timedelta(days=900) if step is NOTIFY else due.CLOCK_SET_BACK):
            return real(db, step, **more)

    return {"jobs.worker.sweep.due_rows": due_rows}


def _nothing(*_: Any, **__: Any) -> None: ...


def _one(name: str, instead: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {name: instead}


TROUBLE = ("message_twice", "message_late", "worker_sleeps", "connection_refused")
DEATH = ("worker_dies", "message_lost")
ILL = ("gateway_loses_orders", "gateway_unavailable", "gateway_loses_a_third")
LOSS = ("submit_unanswered", "request_lost", "callback_late")
WORDS = ("person_settles", "person_errs", "submit_unanswered")
ENDS = ("task_stuck", "link_missing", "answer_lost", "answer_garbled")

PROTECTIONS: dict[str, Lack] = {
    "a claim compares the version": Lack(_claim_without_version, (*TROUBLE, "refused_request")),
    "the last write reads the row again": Lack(
        _last_write_without_reading_again, ("callback_early", "callback_twice", "worker_sleeps", "answer_late")
    ),
    "nobody takes what another holds": Lack(_lease_ignored, TROUBLE),
    "the mark compares the holder": Lack(_mark_without_lease, ("worker_sleeps", "message_twice")),
    "the mark compares the version": Lack(
        _mark_without_version, ("task_failed_retryable", "callback_twice", "callback_late", "database_slow")
    ),
    "the mark is written before a byte leaves": Lack(
        _one("jobs.store.leases.mark_sending", lambda *_, **__: True), LOSS
    ),
    "whether a byte was handed over decides what a submit came to": Lack(_lost_counts_as_unsent, LOSS),
    "a due submit whose byte may have left is unconfirmed": Lack(_dead_submit_counts_as_unsent, DEATH),
    "news is written on its own attempt": Lack(
        _news_goes_to_the_current_attempt, ("submit_unanswered", "task_slow", "callback_late", "callback_twice")
    ),
    "what is learnt without a lease is brought as news": Lack(
        _one("jobs.store.late_facts.bring_facts", _nothing), ("worker_sleeps", "answer_late")
    ),
    "an answer stands in a journal until it is written": Lack(
        _one("sim_service.SimJournal.keep", _nothing), ("database_down_at_order", "task_slow", "callback_lost")
    ),
    "an adopted task is no older than its order": Lack(
        _one("jobs.steps.learning.misfit", lambda *_: None), (*LOSS, "callback_of_another", "task_slow")
    ),
    "no task id is borne twice": Lack(
        _one("jobs.store.late_facts.resolve_task_ids", lambda db, case, facts, *, now: facts),
        ("submit_unanswered", "callback_of_another"),
    ),
    "what was learnt of a task is written on that one alone": Lack(
        _one("jobs.store.late_facts._is_of_another_task", lambda *_: False),
        ("answer_late", "submit_unanswered", "callback_of_another", "worker_sleeps"),
    ),
    "what is known of a task goes with it": Lack(
        lambda: {"jobs.machine.changes.OF_TASK": {}, "jobs.store.contests.OF_TASK": {}},
        ("answer_late", "submit_unanswered", "callback_of_another", "worker_sleeps"),
    ),
    "a 401, 403 or 404 is no verdict": Lack(_not_found_is_a_verdict, ("query_refused", "callback_lost")),
    "a report names its task": Lack(_nobodys_report_is_believed, ("report_of_nobody",)),
    "an answer to the free question names what was asked about": Lack(
        _any_status_is_an_answer, ("report_of_nobody", *ILL), fleet=True
    ),
    "a lost submit is bought again only by choice": Lack(
        _one("jobs.machine.alarms.may_resubmit", lambda case, rules: True), LOSS
    ),
    "a retry asks before it may pay twice": Lack(
        _one("jobs.intake.changes._refuse_if_paid", _nothing), ("submit_unanswered", "callback_lost", "client_retries")
    ),
    "a failed job may have been tried again since a backup": Lack(
        _one("jobs.upkeep.restore.MAY_HAVE_ORDERED", MAY_ORDER),
        ("backup_restored", "client_retries", "task_failed", "refused_request", "callback_lost"),
    ),
    "a job is not cancelled beside an order that may come": Lack(
        _cancelled_at_once, ("submit_unanswered", "callback_lost", "refused_key", "client_cancels_late")
    ),
    "a kept callback wakes its job": Lack(_one("jobs.store.keeping.Desk.wake", lambda *_: True), ("callback_twice",)),
    "an ended job with an open attempt keeps an alarm": Lack(
        _one("jobs.machine.alarms._alarm_after_end", _nothing),
        ("submit_unanswered", "task_slow", "task_failed", "callback_late", "refused_key"),
    ),
    "a token is checked before anything else": Lack(
        _one("jobs.callback_urls.is_genuine", lambda *_: True), ("callback_forged",)
    ),
    "the boxes of a file are checked": Lack(_one("jobs.steps.archiving.check_boxes", _nothing), ("download_cut",)),
    "what the proof refused waits for a person": Lack(
        _one("jobs.machine.rows.Attempt.accepted_film", Attempt.unproven_film), ("download_cut",)
    ),
    "a job says who took its film": Lack(_unmarked, ("download_cut", "person_accepts")),
    "an accepted film is put only where nothing stands": Lack(
        _accepted_over_anything, ("download_cut", "person_accepts", "put_late")
    ),
    "the PUT is conditional": Lack(_put_without_condition, ("put_late", "put_unanswered")),
    "a HEAD comes before a transfer and before its end": Lack(
        _one("sim_bucket.SimBucket.head", _nothing), ("put_unanswered",)
    ),
    "room at a gateway is counted": Lack(lambda: _lane_obstacle(max_in_flight=10**6), ("task_slow",)),
    "only so many orders are out without an answer": Lack(lambda: _lane_obstacle(max_unconfirmed=10**6), ILL),
    "lane and room are judged in the claim": Lack(
        _one("jobs.store.availability.admit", lambda *_, **__: None), ILL, fleet=True
    ),
    "a lost order that is sent again passes its lane": Lack(
        _one("jobs.store.availability.admit_resend", lambda *_, **__: True),
        ("submit_unanswered", "gateway_loses_orders", "callback_lost"),
        fleet=True,
    ),
    "a rest is kept": Lack(_one("jobs.machine.breaker.Lane.rests_s", lambda *_: 0.0), ILL),
    "one alone probes": Lack(_one("jobs.machine.breaker.Lane.probed_s", lambda *_, **__: 0.0), ILL, fleet=True),
    "what left before a rest began counts for nothing": Lack(
        _one("jobs.machine.breaker._is_stale", lambda *_: False), ("gateway_loses_a_third",), fleet=True
    ),
    "one order more goes after an answer that cost nothing": Lack(_risk_unasked, ILL),
    "one order more begins the next rest": Lack(
        _one_more_begins_no_rest, ("gateway_loses_orders", "worker_dies"), fleet=True
    ),
    "a route leads past a gateway that rests": Lack(
        _first_gateway_alone, ("gateway_away", "gateway_unavailable"), fleet=True
    ),
    "a gateway that was silent is asked again": Lack(_one("jobs.store.waiting_jobs.wake_askers", _nothing), ILL),
    "a notice from the future is due": Lack(_notices_sleep, ("clock_set_back", "clock_jumps", "pipeline_away")),
    "numbers from outside pass the gate": Lack(
        _one("jobs.gate.amount", lambda value: value if isinstance(value, int | float) else None), ("odd_values",)
    ),
    "what stands around a link is cut": Lack(
        _one("jobs.providers.answers._link", lambda given: given), ("odd_values", "callback_lost")
    ),
    "words from outside pass the gate": Lack(
        _one("jobs.gate.words", lambda said, longest=2000: said), ("odd_values", "task_failed")
    ),
    "what callbacks tell of is asked about in turn": Lack(
        _one("jobs.machine.schedule.ask_again", lambda asks, now, settings: now),
        ("ids_made_up", "submit_unanswered", "task_slow", "queries_rationed"),
    ),
    "an order that no row knows is recognised by its gateway's answer alone": Lack(
        _callback_is_believed, ("key_leaked",)
    ),
    "a lost order is recognised by its gateway's answer": Lack(
        _one("jobs.steps.strange_orders._recognise", lambda *_: "no order of ours"), ("commits_lost", "callback_twice")
    ),
    "a lost order is asked about with each key": Lack(
        _one("jobs.steps.strange_orders._with_each_key", lambda inquiry, settings: [inquiry]),
        ("commits_lost", "key_replaced"),
        crowded=True,
    ),
    "a wish to cancel waits for what is asked about": Lack(
        _cancelled_unasked, ("commits_lost", "client_cancels", "client_cancels_late", "query_refused", "answer_lost")
    ),
    "a contested film is kept aside": Lack(
        _archived_undecided, ("submit_unanswered", "callback_of_another", "answer_late"), crowded=True
    ),
    "a film waits for the other orders that may have made it": Lack(
        _one("jobs.machine.schedule.held_until", lambda attempt, now, settings: None),
        ("submit_unanswered", "callback_of_another"),
        crowded=True,
    ),
    "a film shows its owner by what was asked for alone": Lack(
        _one("jobs.steps.ownership._may_be_of", lambda film, attempt, resources: attempt.adopted),
        ("submit_unanswered", "callback_of_another"),
        crowded=True,
    ),
    "a task that two orders were told is struck from neither": Lack(
        _first_bearer_is_believed, ("submit_unanswered", "callback_of_another", "task_slow", "callback_late")
    ),
    "a task's owner is sought under every key": Lack(
        _borne_under_one_key,
        ("key_replaced", "submit_unanswered", "callback_of_another", "callback_late"),
        crowded=True,
    ),
    "a failure that callbacks alone have told is not believed at once": Lack(
        _one("jobs.machine.failures._is_in_doubt", lambda *_: False),
        ("submit_unanswered", "callback_of_another", "task_elsewhere", "task_failed_retryable"),
    ),
    "an order asks about the other tasks that it was told": Lack(
        _one("jobs.machine.schedule.rivals", lambda *_: []), ("submit_unanswered", "task_elsewhere")
    ),
    "a film that contradicts what was ordered is not its order's": Lack(
        _one("jobs.steps.ownership.is_denied", lambda *_: False), ("submit_unanswered", "task_elsewhere")
    ),
    "where no gateway can be reached it is the network": Lack(
        _one("jobs.store.hearing._excuse_all", lambda *_: False), ("gateway_away",), fleet=True
    ),
    "one gateway that rests for another reason hides no missing network": Lack(
        _one("jobs.store.hearing._has_any_answered", lambda *_: True),
        ("gateway_away", "gateway_unavailable", "refused_key"),
        fleet=True,
    ),
    "an order that was not sent goes elsewhere": Lack(_unsent_stays, ("gateway_away",)),
    "a reservation that is not needed is given back": Lack(
        _one("jobs.store.spending.adjust_known", lambda db, order, changes: {}), ("connection_refused", "task_failed")
    ),
    "no order is called not made while a step holds its job": Lack(
        _settled_under_a_lease, (*WORDS, "worker_sleeps", "callback_lost")
    ),
    "a callback wakes an ended job for an order without a video": Lack(
        _ended_jobs_sleep,
        (*WORDS, "callback_late", "client_cancels"),
    ),
    "a person's word about the money yields to a new word of the gateway's": Lack(
        _one("jobs.machine.settlement._says_nothing_new", lambda *_: True), (*WORDS, "callback_late", "callback_lost")
    ),
    "a person's word about the money yields to nothing else": Lack(
        _one("jobs.machine.settlement.weigh", lambda case, facts: facts),
        ("person_settles", "task_failed", "callback_twice", "callback_late"),
    ),
    "a task that a person named is asked about until it is answered": Lack(
        _one("jobs.machine.alarms._named_at", _nothing), (*WORDS, "connection_refused", "callback_lost")
    ),
    "a task's life is counted from its acceptance": Lack(_life_that_slides, ("task_stuck",)),
    "a task's end needs an answer after it, or an hour of tries": Lack(
        _one("jobs.machine.schedule.is_asked_after", lambda *_: True), ENDS
    ),
    "that hour begins with the first try after the end": Lack(
        _one("jobs.machine.schedule.unanswered_since", lambda attempt, end, now: attempt.unanswered_since or now),
        ("task_stuck", "key_replaced", "key_gone"),
    ),
    "a finished task without a link is paid for": Lack(
        _one("jobs.machine.lives.is_finished_without_link", lambda attempt: False), ("link_missing",)
    ),
    "an order from the future is not sent again under its key": Lack(
        _one("jobs.machine.schedule.is_of_unknown_age", lambda attempt, now: False),
        ("clock_jumps", "submit_unanswered", "callback_lost", "answer_lost"),
    ),
    "a job is set aside after three deaths alone": Lack(
        _one("jobs.store.setting_aside.MOST_DEATHS", 1), ("worker_dies", "worker_sleeps")
    ),
    "a job is set aside for an hour at most": Lack(
        _one("jobs.store.setting_aside.ASIDE", timedelta(days=1)), (*DEATH, *TROUBLE, "callback_lost")
    ),
    "a job that is held by news says so": Lack(
        _one("jobs.machine.decisions.held_by", _nothing),
        ("person_settles", "submit_unanswered", "callback_late", "refused_key", "answer_lost"),
    ),
    "a link that is forbidden is asked for anew": Lack(
        _one("jobs.steps.spooling.LinkForbidden", type("NeverRaised", (Exception,), {})), ("link_forbidden",)
    ),
    "a video is put after its poster and sidecar": Lack(_video_first, ("worker_dies", "bucket_refuses")),
}


@contextmanager
def without(protection: str) -> Iterator[Lack]:
    """The service without one protection; gives what it lacks, and so what it should be tried with."""
    lack = PROTECTIONS[protection]
    with ExitStack() as patched:
        for name, instead in lack.patches().items():
            patched.enter_context(patch(name, instead))
        yield lack
