"""What an adversary found. Each of these stood open once."""

from __future__ import annotations

import base64
import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from served import Served
from workshop import RUN, Workshop

from jobs import callback_urls, logs
from jobs.intake import api_keys, new_jobs
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Origin, Standing
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.steps import archiving, learning, reconciliation, replies
from jobs.store import contests, heartbeats, late_facts, tables
from jobs.store.database import Database, DatabaseUnavailable
from rushes.app import create_app
from webhooks import delivery

NOTICE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
THREE_HITS = 3


def change(workshop: Workshop, table: Any, job_id: str, **values: Any) -> None:
    column = table.c.id if table is tables.jobs else table.c.job_id
    with workshop.database.write() as db:
        db.execute(sa.update(table).where(column == job_id).values(**values))


def now_of(workshop: Workshop) -> Any:
    with workshop.database.read() as db:
        return workshop.database.clock(db)


def lost(workshop: Workshop, sandbox: Any, provider: str, **request: Any) -> str:
    sandbox.fault(provider, "lose_answer", how="reset")
    job_id = workshop.create(provider=provider, **request)
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.UNCONFIRMED
    return job_id


@pytest.mark.parametrize("hourly", [False, True], ids=["workers_were_down", "hourly_resends"])
def test_no_resend_once_the_idempotency_key_has_died(
    workshop: Workshop, receiver: Served, sandbox: Any, hourly: bool
) -> None:
    sandbox.fault("apiframe", "lose_callback")
    job_id = lost(workshop, sandbox, "apiframe")
    now, hour = now_of(workshop), timedelta(hours=1)
    # First POST 30 h ago; the gateway honours the key for 24 h, and the window (with a callback URL) is 48 h.
    values: dict[str, Any] = {"created_at": now - 30 * hour, "lost_at": now - 30 * hour}
    values |= {"sends": 31, "sending_at": now - hour} if hourly else {"sends": 1, "sending_at": now - 30 * hour}
    change(workshop, tables.attempts, job_id, **values)
    change(workshop, tables.jobs, job_id, alarm_at=now - hour)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    assert workshop.case(job_id).attempts[1].sends == values["sends"], "a second POST under a dead key: paid twice"


def test_a_removed_key_makes_no_hot_loop(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(resend_unit_s=0.01)
    job_id = lost(workshop, sandbox, "apiframe")
    left = {k: v for k, v in workshop.settings.accounts.items() if k != "apiframe"}
    workshop.resources.settings = replace(workshop.settings, accounts=left)
    due = workshop.case(job_id).job.alarm_at
    workshop.await_(lambda: now_of(workshop) > due, "the time of the re-send")
    rounds = 0
    workshop.bells.rung.append(("jobs.reconcile", job_id))
    while rounds < 50 and (bells := workshop.bells.take()):
        for step, job in bells:
            RUN[step](job, workshop.resources)
            rounds += 1
    assert rounds < THREE_HITS, "each round rings for the next one at once"


def test_a_late_refusal_does_not_close_an_attempt_that_a_resend_got_accepted(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="apiframe")
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.GENERATING
    change(workshop, tables.attempts, job_id, sends=2)
    refused = {"outcome": AttemptOutcome.REFUSED, "standing": Standing.NONE, "error_code": "rate_limited"}
    with workshop.database.write() as db:  # what the first sender, thawed after its lease ran out, brings
        late_facts.bring_facts(db, job_id, Facts({1: refused}), now=workshop.database.clock(db))
    workshop.until(job_id, State.ARCHIVED, within_s=4)


@pytest.mark.databases("postgresql")
def test_a_read_only_postgresql_counts_as_unavailable(spare_database: Database) -> None:
    with spare_database.write() as db:
        db.execute(sa.text(f"ALTER DATABASE {spare_database.url.database} SET default_transaction_read_only = on"))
    spare_database.engine.dispose()
    with pytest.raises(DatabaseUnavailable):  # else: watchdog threads die, POST answers are dropped, receiver says 500
        heartbeats.beat(spare_database, "worker@x:1", "worker")


def test_foreign_exceptions_are_masked_in_the_log() -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    out = io.StringIO()
    try:
        logs.configure()
        root.handlers[0].stream = out  # type: ignore[attr-defined]
        try:
            raise ValueError(
                "https://cdn.example/v.mp4?X-Amz-Signature=SECRET https://h/webhooks/evolink/job_1/1/k1.TOKEN"
            )
        except ValueError:
            logging.getLogger("flask.app").exception("Exception on /webhooks")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert "SECRET" not in out.getvalue()
    assert "TOKEN" not in out.getvalue()


def test_the_same_idempotency_key_gives_the_job_even_after_its_gateway_was_removed(workshop: Workshop) -> None:
    body = {"prompt": "A fox", "provider": "evolink"}
    made = workshop.core
    case, _ = new_jobs.create(body, made, api_key_id="celery", idempotency_key="t-1")
    without = replace(workshop.settings, accounts={"gravitex": workshop.settings.accounts["gravitex"]})
    again, replayed = new_jobs.create(
        body, replace(workshop.core, settings=without), api_key_id="celery", idempotency_key="t-1"
    )
    assert replayed
    assert again.job.id == case.job.id


@contextmanager
def dripping() -> Iterator[str]:
    """A pipeline that sends its answer's head one byte at a time."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not over.wait(0.2):
                        peer.sendall(b"a")
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
    over.set()
    server.shutdown(socket.SHUT_RDWR)  # closing alone wakes nobody who waits for a caller
    thread.join()
    server.close()


def test_a_dripping_pipeline_does_not_hold_a_notice_beyond_its_deadline(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(notice_secrets=NOTICE_SECRET, notice_deadline_s=1, notice_lease_s=2)
    with dripping() as url:
        job_id = workshop.create(provider="evolink", notify_url=url)
        workshop.until(job_id, State.ARCHIVED)
        sender = threading.Thread(target=delivery.notify, args=(job_id, workshop.resources), daemon=True)
        sender.start()
        sender.join(6)
        alive = sender.is_alive()
    sender.join(10)
    assert not alive, "no total deadline: the thread is held for as long as the peer likes"
    with workshop.database.read() as db:
        row = db.execute(sa.select(tables.notices)).mappings().one()
    assert (row["delivered_at"], row["last_status"], row["last_error"]) == (None, None, "no answer in time")


def test_six_candidates_are_still_asked_about(
    make_workshop: Any, receiver: Served, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop: Workshop = make_workshop(overdue_poll_s=0.2, retry_first_s=0.2)
    workshop.receive_callbacks_at(receiver.url)
    sandbox.fault("evolink", "lose_callback")
    job_id = lost(workshop, sandbox, "evolink")
    with workshop.database.write() as db:  # a second lost attempt, after `resubmit`
        row = dict(db.execute(sa.select(tables.attempts).where(tables.attempts.c.job_id == job_id)).mappings().one())
        db.execute(sa.insert(tables.attempts).values(**{**row, "number": 2}))
    change(workshop, tables.jobs, job_id, attempt=2)
    for n in (1, 2):
        keys, public_url = workshop.settings.callback_keys, str(workshop.settings.public_url)
        url = callback_urls.mint(public_url, keys, "evolink", job_id, n)
        for i in range(3):
            assert requests.post(url, json={"id": f"t-{n}-{i}", "status": "completed"}, timeout=5).ok
    asked: set[str] = set()
    real = reconciliation._inquire

    def inquire(inquiry: Any, *more: Any) -> Any:
        asked.add(inquiry.task_id)
        return real(inquiry, *more)

    monkeypatch.setattr(reconciliation, "_inquire", inquire)
    # Six inquiries never fit into a budget of five a second at once; each must get its turn all the same.
    workshop.await_(lambda: workshop.sweep() is not None and len(asked) == 6, "six inquiries", job_id=job_id)


def test_a_second_attempt_keeps_the_clients_start_within(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop()
    sandbox.fault("evolink", "fail", retryable=True, times=1)
    job_id = workshop.create(provider="evolink", start_within_s=60)
    RUN["jobs.submit"](job_id, workshop.resources)

    def failed_once() -> bool:
        RUN["jobs.reconcile"](job_id, workshop.resources)
        return workshop.state(job_id) is State.QUEUED

    workshop.await_(failed_once, "the first attempt's failure", job_id=job_id)
    case = workshop.case(job_id)
    assert case.job.start_by <= now_of(workshop) + timedelta(seconds=61)


def test_a_task_taken_back_during_the_copy_is_not_archived_in_silence(
    workshop: Workshop, sandbox: Any, monkeypatch: Any
) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    change(workshop, tables.attempts, job_id, adopted=True)
    real, given_back = archiving._put, []

    def put(case: Any, *args: Any) -> Any:
        bearer, task_id = case.attempts[1], str(case.attempts[1].task_id)
        with workshop.database.write() as db:  # the true owner's own POST answers now
            contests.give_back(db, bearer, task_id, "it is another order's", now=workshop.database.clock(db))
        given_back.append(task_id)
        return real(case, *args)

    monkeypatch.setattr(archiving, "_put", put)
    RUN["jobs.transfer"](job_id, workshop.resources)
    job = workshop.case(job_id).job
    assert given_back
    assert not (job.state is State.ARCHIVED and job.flagged is None), "another job's video, and nobody is told"


@pytest.mark.parametrize("said", [{"id": "t-made-up", "status": "completed"}, {"nothing": "that can be read"}])
def test_a_callback_under_a_key_that_leaked_moves_nothing_by_itself(
    workshop: Workshop, receiver: Served, sandbox: Any, said: dict[str, str]
) -> None:
    """Whoever has a callback key can mint a URL for an order that was never made: it costs one question."""
    job_id = workshop.create(provider="evolink")
    url = callback_urls.mint(str(workshop.settings.public_url), workshop.settings.callback_keys, "evolink", job_id, 1)
    requests.post(url, json=said, timeout=5)
    case = workshop.until(job_id, State.ARCHIVED)
    assert [attempt.origin for attempt in case.attempts.values()] == [Origin.ORDERED]
    assert len(sandbox.tasks("evolink")) == 1
    history = workshop.history(job_id)
    assert history.index("unknown_order") < history.index("claim")
    assert "lose" not in history


def test_an_old_finish_time_does_not_kill_a_fresh_link(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    case = workshop.case(job_id)
    made = case.attempts[1]
    report = reconciliation._inquire(
        replies.Inquiry(made, str(made.task_id), False), "A", made.created_at, workshop.resources
    )
    assert report.report is not None
    long_ago = replace(report.report, finished_at=case.job.created_at - timedelta(days=3))
    running = replace(case.attempts[1], outcome=AttemptOutcome.OPEN)
    said = learning._verdict(running, report, long_ago, PROVIDERS["evolink"], {"news_by": "poll"}, now_of(workshop))
    assert said["finished_at"] is None or said["finished_at"] >= case.attempts[1].created_at


def test_odd_paths_and_cursors_are_no_internal_errors(workshop: Workshop) -> None:
    _, key = api_keys.create(workshop.database, "test")
    app = create_app(workshop.settings, ringer=workshop.bells)
    odd = ["2026-01-01T00:00:00+00:00 a\0b", "0001-01-01T00:00:00+14:00 a"]
    cursors = [base64.urlsafe_b64encode(c.encode()).decode() for c in odd]
    paths = ["/v1/jobs/a%00b", "/v1/jobs/a%00b/events", *(f"/v1/jobs?cursor={c}" for c in cursors)]
    headers = {"Authorization": f"Bearer {key}"}
    answers = {path: app.test_client().get(path, headers=headers).status_code for path in paths}
    app.extensions["rushes.close"]()
    assert all(status < 500 for status in answers.values()), answers
