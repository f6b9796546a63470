"""Notices as rows: which facts are told, in what order they go out, what is kept of each try, and replays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from benches import Bells, Gateway, rung, worker
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.errors import UnknownNotice
from jobs.intake.api_keys import create as create_key
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Move, Outcome
from jobs.machine.states import Event, State
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.resources import Resources
from jobs.store import due, leases, notices
from jobs.store.step_table import NOTIFY
from jobs.store.tables import notice_tries
from jobs.store.tables import notices as table
from webhooks import delivery

pytestmark = pytest.mark.both_databases

HOOK = "https://pipeline.example/hook?token=t"


class Receiver:
    """A pipeline's end, as a session: answers with `answers` in turn, then with 204. An exception is raised."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[tuple[str, str]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def post(self, url: str, *, headers: dict[str, str], **_: Any) -> Iterator[SimpleNamespace]:
        self.heard.append((url, headers["webhook-id"]))
        self.meanwhile()
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        yield SimpleNamespace(status_code=answer, headers={})


def sender(rows: Rows, receiver: Receiver, **changes: Any) -> Resources:
    return worker(rows, Gateway(), session=cast(Any, receiver), **changes)


def told_job(rows: Rows, *moves: Event, url: str = HOOK, **columns: Any) -> str:
    """A job with a notice for each of these moves, all due."""
    job_id = rows.job(State.GENERATING, notify_url=url, **columns)
    rows.attempt(job_id)
    for event in moves or (Event.FAIL,):
        finish(rows, job_id, Outcome(alarm_at=rows.now + DAY, moves=(Move(event, 1),)))
    return job_id


def finish(rows: Rows, job_id: str, outcome: Outcome) -> None:
    lease = rows.lease(job_id)
    assert rows.write(lambda db: leases.finish_step(db, lease, outcome, now=rows.now))


def rows_of(rows: Rows, job_id: str) -> list[Any]:
    with rows.database.read() as db:
        found = sa.select(table).where(table.c.job_id == job_id).order_by(table.c.sequence)
        return list(db.execute(found).mappings())


def tries_of(rows: Rows, job_id: str) -> list[tuple[int, datetime, int | None, str | None]]:
    columns = (notice_tries.c.number, notice_tries.c.at, notice_tries.c.status, notice_tries.c.error)
    of_job = sa.select(*columns).join(table, table.c.id == notice_tries.c.notice_id).where(table.c.job_id == job_id)
    with rows.database.read() as db:
        return [tuple(row) for row in db.execute(of_job.order_by(table.c.sequence, notice_tries.c.number))]  # type: ignore[misc]


class TestWhatIsTold:
    @pytest.fixture
    def job_id(self, rows: Rows) -> str:
        job_id = rows.job(State.GENERATING, notify_url=HOOK)
        rows.attempt(job_id, task_id="task-1", accepted_at=NOW)
        return job_id

    def look(self, rows: Rows, job_id: str) -> None:
        """A step that has learnt nothing."""
        finish(rows, job_id, decide(rows.case(job_id), Facts(), now=rows.now, rules=rows.rules))

    def test_a_job_that_becomes_overdue_is_told_in_the_write_that_says_so(self, rows: Rows, job_id: str) -> None:
        self.look(rows, job_id)
        assert rows.told(job_id) == []
        rows.now += HOUR
        self.look(rows, job_id)
        assert rows.told(job_id) == [(1, "job.overdue")]
        [row] = rows_of(rows, job_id)
        assert (row["body"]["data"]["overdue"], row["body"]["data"]["state"]) == (True, "generating")
        assert rows.case(job_id).job.notices == 1

    def test_it_is_told_once_however_often_it_is_looked_at(self, rows: Rows, job_id: str) -> None:
        rows.now += HOUR
        for _ in range(3):
            self.look(rows, job_id)
        assert rows.told(job_id) == [(1, "job.overdue")]

    def test_one_that_becomes_overdue_again_after_a_retry_is_told_again(self, rows: Rows, job_id: str) -> None:
        for overdue in (True, False, True):
            finish(rows, job_id, Outcome(alarm_at=NOW, job={"overdue": overdue}))
        assert rows.told(job_id) == [(1, "job.overdue"), (2, "job.overdue")]

    def test_two_facts_of_one_write_are_two_notices_without_a_gap(self, rows: Rows, job_id: str) -> None:
        both = Outcome(alarm_at=None, moves=(Move(Event.FAIL, 1),), job={"overdue": True})
        finish(rows, job_id, both)
        assert rows.told(job_id) == [(1, "job.overdue"), (2, "job.failed")]
        assert rows.case(job_id).job.notices == 2
        finish(rows, job_id, Outcome(alarm_at=None, moves=(Move(Event.RETRY, 1), Move(Event.CANCEL, 1))))
        assert rows.told(job_id)[2:] == [(3, "job.cancelled")]

    def test_a_write_that_loses_tells_nothing(self, rows: Rows, job_id: str) -> None:
        lease = rows.lease(job_id)
        rows.write(lambda db: leases.bring_news(db, job_id, now=NOW))
        late = Outcome(alarm_at=NOW, job={"overdue": True})
        assert not rows.write(lambda db: leases.finish_step(db, lease, late, now=NOW))
        assert (rows.told(job_id), rows.case(job_id).job.notices) == ([], 0)

    def test_a_job_without_a_notify_url_tells_nobody(self, rows: Rows) -> None:
        job_id = rows.job(State.GENERATING)
        rows.attempt(job_id)
        finish(rows, job_id, Outcome(alarm_at=NOW, moves=(Move(Event.FAIL, 1),), job={"overdue": True}))
        assert rows.told(job_id) == []

    def test_every_event_has_its_meaning(self) -> None:
        assert set(notices.MEANINGS) == {*notices.TOLD.values(), notices.OVERDUE}

    def test_times_are_written_as_the_api_writes_them(self, rows: Rows, job_id: str) -> None:
        finish(rows, job_id, Outcome(alarm_at=NOW, job={"overdue": True}))
        assert rows_of(rows, job_id)[0]["body"]["timestamp"] == "2026-03-04T12:00:00.000Z"


class TestAKeysOwnUrl:
    def key(self, rows: Rows, notify_url: str | None) -> str:
        return create_key(rows.database, "render farm", notify_url=notify_url)[0]

    def url_of(self, rows: Rows, api_key: str, **request: Any) -> str | None:
        return rows.create(api_key=api_key, **request)[0].job.notify_url

    def test_it_is_where_notices_of_its_jobs_go_that_name_no_other(self, rows: Rows) -> None:
        key_id = self.key(rows, HOOK)
        assert self.url_of(rows, key_id) == HOOK
        assert self.url_of(rows, key_id, notify_url="https://other.example/") == "https://other.example/"

    def test_null_says_that_nobody_is_to_be_told(self, rows: Rows) -> None:
        assert self.url_of(rows, self.key(rows, HOOK), notify_url=None) is None

    def test_another_key_and_the_celery_producer_have_none(self, rows: Rows) -> None:
        self.key(rows, HOOK)
        assert self.url_of(rows, self.key(rows, None)) is None
        assert self.url_of(rows, "celery") is None

    def test_where_notices_are_off_nothing_is_told_and_the_job_is_taken(self, rows: Rows) -> None:
        key_id = self.key(rows, HOOK)
        rows.core = replace(rows.core, settings=replace(rows.core.settings, notice_secrets=()))
        assert self.url_of(rows, key_id) is None


class TestOrder:
    def test_a_job_s_notices_go_out_in_the_order_of_their_numbers(self, rows: Rows) -> None:
        receiver = Receiver()
        job_id = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE)
        delivery.notify(job_id, sender(rows, receiver))
        assert [notice_id for _, notice_id in receiver.heard] == [row["id"] for row in rows_of(rows, job_id)]

    def test_a_failed_one_lets_those_after_it_pass(self, rows: Rows) -> None:
        receiver = Receiver(500)
        job_id = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE)
        resources = sender(rows, receiver)
        delivery.notify(job_id, resources)
        assert len(receiver.heard) == 1, "the others wait behind what other jobs wait for"
        assert rung(resources) == [("webhooks.notify", job_id)]
        delivery.notify(job_id, resources)
        first, second = rows_of(rows, job_id)
        assert (notices.state_of(first), notices.state_of(second)) == ("waiting", "delivered")
        rows.now += MINUTE
        delivery.notify(job_id, resources)
        assert [row["delivered_at"] for row in rows_of(rows, job_id)] == [rows.now, NOW]

    def test_a_second_sender_does_not_overtake_the_one_that_sends(self, rows: Rows) -> None:
        receiver, second = Receiver(), Receiver()
        job_id = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE)
        receiver.meanwhile = lambda: delivery.notify(job_id, sender(rows, second, process="B"))
        delivery.notify(job_id, sender(rows, receiver))
        assert (len(receiver.heard), second.heard) == (2, [])

    def test_many_senders_of_one_job_send_each_notice_once_and_in_order(self, rows: Rows) -> None:
        receiver, bulkheads = Receiver(), Bulkheads(64)
        job_id = rows.job(State.GENERATING, notify_url=HOOK)
        for overdue in (True, False) * 6:
            finish(rows, job_id, Outcome(alarm_at=NOW, job={"overdue": overdue}))

        def send(name: str) -> None:
            resources = sender(rows, receiver, process=name, bulkheads=bulkheads)
            while len(receiver.heard) < 6:
                delivery.notify(job_id, resources)

        with ThreadPoolExecutor(6) as threads:
            for each in [threads.submit(send, name) for name in "ABCDEF"]:
                each.result(timeout=60)
        assert [notice_id for _, notice_id in receiver.heard] == [row["id"] for row in rows_of(rows, job_id)]
        assert [number for number, *_ in tries_of(rows, job_id)] == [1] * 6

    def test_a_sender_that_died_keeps_the_others_back_only_as_long_as_its_lease(self, rows: Rows) -> None:
        job_id = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE)
        resources = sender(rows, Receiver())
        assert delivery._claim_next(job_id, resources) is not None
        assert self.due(rows) == []
        rows.now += timedelta(seconds=resources.settings.notice_lease_s)
        assert self.due(rows) == [job_id]
        delivery.notify(job_id, resources)
        assert [row["delivered_at"] for row in rows_of(rows, job_id)] == [rows.now] * 2

    def due(self, rows: Rows, limit: int = 10) -> list[str]:
        with rows.database.read() as db:
            return [row.id for row in due.due_rows(db, NOTIFY, limit=limit, now=rows.now)]

    def test_the_sweep_names_each_job_once_the_oldest_alarm_first(self, rows: Rows) -> None:
        late = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE)
        rows.now -= SECOND
        early = told_job(rows)
        rows.now += SECOND
        assert self.due(rows) == [early, late]

    def test_the_many_of_one_key_leave_room_for_the_few_of_another(self, rows: Rows) -> None:
        for _ in range(5):
            told_job(rows, api_key_id="key_many")
        rows.now += SECOND
        few = [told_job(rows, api_key_id="key_few") for _ in range(2)]
        found = self.due(rows, limit=4)
        assert set(few) <= set(found)

    def test_at_most_eight_of_a_job_take_a_thread_at_once(self, rows: Rows) -> None:
        receiver = Receiver()
        job_id = rows.job(State.GENERATING, notify_url=HOOK)
        for overdue in (True, False) * 10:
            finish(rows, job_id, Outcome(alarm_at=NOW, job={"overdue": overdue}))
        resources = sender(rows, receiver)
        delivery.notify(job_id, resources)
        assert len(receiver.heard) == 8
        assert rung(resources) == [("webhooks.notify", job_id)]
        delivery.notify(job_id, resources)
        assert len(receiver.heard) == 10


class TestAReceiverWithoutRoom:
    def test_its_notices_are_put_off_together_and_nothing_is_tried(self, rows: Rows) -> None:
        receiver = Receiver()
        job_id = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE)
        resources = sender(rows, receiver)
        with resources.bulkheads.enter("pipeline.example", "notice"):
            delivery.notify(job_id, resources)
        assert receiver.heard == []
        assert [(row["alarm_at"], row["tries"]) for row in rows_of(rows, job_id)] == [(NOW + SECOND, 0)] * 2
        rows.now += SECOND
        delivery.notify(job_id, resources)
        assert len(receiver.heard) == 2

    def test_another_host_and_another_port_have_shares_of_their_own(self, rows: Rows) -> None:
        receiver = Receiver()
        resources = sender(rows, receiver)
        others = ["https://other.example/hook", "https://pipeline.example:8443/hook"]
        with resources.bulkheads.enter("pipeline.example", "notice"):
            for url in others:
                delivery.notify(told_job(rows, url=url), resources)
        assert [url for url, _ in receiver.heard] == others

    def test_the_spelling_of_a_host_makes_no_other_share(self, rows: Rows) -> None:
        receiver = Receiver()
        resources = sender(rows, receiver)
        with resources.bulkheads.enter("pipeline.example", "notice"):
            delivery.notify(told_job(rows, url="https://PIPELINE.example/hook"), resources)
        assert receiver.heard == []


class TestTries:
    def test_each_is_kept_with_its_time_its_status_or_why_there_was_none(self, rows: Rows) -> None:
        receiver = Receiver(503, ConnectionResetError())
        job_id = told_job(rows)
        resources = sender(rows, receiver)
        for pause in (SECOND * 5, MINUTE, MINUTE):
            delivery.notify(job_id, resources)
            rows.now += pause
        assert tries_of(rows, job_id) == [
            (1, NOW, 503, None),
            (2, NOW + SECOND * 5, None, "ConnectionResetError"),
            (3, NOW + SECOND * 65, 204, None),
        ]

    def test_how_long_one_took_is_kept(self, rows: Rows) -> None:
        seconds = iter([10.0, 12.5])
        job_id = told_job(rows)
        delivery.notify(job_id, sender(rows, Receiver(), monotonic=lambda: next(seconds)))
        with rows.database.read() as db:
            assert db.execute(sa.select(notice_tries.c.took_s)).scalar_one() == 2.5

    def test_a_try_is_written_with_what_became_of_it_or_not_at_all(
        self, rows: Rows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = told_job(rows)

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError

        monkeypatch.setattr(delivery, "_keep_try", fail)
        with pytest.raises(RuntimeError):
            delivery.notify(job_id, sender(rows, Receiver()))
        [row] = rows_of(rows, job_id)
        assert (row["delivered_at"], row["tries"]) == (None, 0)
        assert tries_of(rows, job_id) == []

    def test_the_timetable_is_kept_to_and_then_the_notice_rests(self, rows: Rows) -> None:
        hours = [HOUR * h for h in (2, 6, 12, 24)]
        pauses = [SECOND * 5, MINUTE, MINUTE * 5, MINUTE * 30, *hours]
        receiver = Receiver(*[500] * 20)
        job_id = told_job(rows)
        resources = sender(rows, receiver)
        for pause in pauses:
            delivery.notify(job_id, resources)
            [row] = rows_of(rows, job_id)
            assert row["alarm_at"] - rows.now == pause
            rows.now = row["alarm_at"]
        delivery.notify(job_id, resources)
        [row] = rows_of(rows, job_id)
        assert (notices.state_of(row), row["tries"], len(receiver.heard)) == ("failed", 9, 9)
        assert len({notice_id for _, notice_id in receiver.heard}) == 1

    def test_a_pause_varies_by_chance(self, rows: Rows) -> None:
        job_id = told_job(rows)
        delivery.notify(job_id, sender(rows, Receiver(500), jitter=lambda s: s * 1.1))
        assert rows_of(rows, job_id)[0]["alarm_at"] - NOW == SECOND * 5.5

    @pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
    def test_any_answer_but_2xx_and_410_is_tried_again(self, rows: Rows, status: int) -> None:
        job_id = told_job(rows)
        delivery.notify(job_id, sender(rows, Receiver(status)))
        assert notices.state_of(rows_of(rows, job_id)[0]) == "waiting"

    def test_410_gives_it_up_at_once(self, rows: Rows) -> None:
        job_id = told_job(rows)
        delivery.notify(job_id, sender(rows, Receiver(410)))
        assert notices.state_of(rows_of(rows, job_id)[0]) == "failed"

    def test_without_a_secret_nothing_is_sent_unsigned(self, rows: Rows) -> None:
        receiver = Receiver()
        job_id = told_job(rows)
        resources = sender(rows, receiver)
        resources.settings = replace(resources.settings, notice_secrets=())
        delivery.notify(job_id, resources)
        assert receiver.heard == []
        assert "RUSHES_NOTICE_SECRETS" in rows_of(rows, job_id)[0]["last_error"]

    def test_one_whose_lease_was_lost_meanwhile_is_kept_too(self, rows: Rows) -> None:
        """A sender that slept for too long: another one has sent the notice since."""
        slow, quick = Receiver(500), Receiver()
        job_id = told_job(rows)

        def sleep() -> None:
            rows.now += DAY
            delivery.notify(job_id, sender(rows, quick, process="B"))

        slow.meanwhile = sleep
        delivery.notify(job_id, sender(rows, slow))
        assert tries_of(rows, job_id) == [(1, NOW + DAY, 204, None), (2, NOW, 500, None)]
        [row] = rows_of(rows, job_id)
        assert (notices.state_of(row), row["last_status"]) == ("delivered", 204)


class TestAClockThatWasSetBack:
    """A row from the future is due at once, as a job's is; else it would sleep until the clock has caught up."""

    def due(self, rows: Rows) -> list[str]:
        with rows.database.read() as db:
            return [row.id for row in due.due_rows(db, NOTIFY, limit=10, now=rows.now)]

    def test_a_notice_that_was_written_while_it_was_ahead_goes_out_at_once(self, rows: Rows) -> None:
        rows.now = NOW + DAY
        job_id, receiver = told_job(rows), Receiver()
        rows.now = NOW
        assert self.due(rows) == [job_id]
        delivery.notify(job_id, sender(rows, receiver))
        assert len(receiver.heard) == 1

    def test_one_that_failed_while_it_was_ahead_is_tried_at_once_and_then_on_its_timetable(self, rows: Rows) -> None:
        job_id, receiver = told_job(rows), Receiver(500, 500)
        rows.now = NOW + DAY
        delivery.notify(job_id, sender(rows, receiver))
        rows.now = NOW
        assert self.due(rows) == [job_id]
        delivery.notify(job_id, sender(rows, receiver))
        assert self.due(rows) == []
        assert rows_of(rows, job_id)[0]["alarm_at"] == NOW + MINUTE

    def test_one_that_was_written_and_failed_since_waits_for_its_time(self, rows: Rows) -> None:
        rows.now = NOW + DAY
        job_id = told_job(rows)
        rows.now = NOW
        delivery.notify(job_id, sender(rows, Receiver(500)))
        assert self.due(rows) == []

    def test_the_lease_of_a_sender_that_died_while_it_was_ahead_keeps_nobody_back(self, rows: Rows) -> None:
        job_id, receiver = told_job(rows, Event.FAIL, Event.PROVE, Event.STORE), Receiver()
        rows.now = NOW + DAY
        assert delivery._claim_next(job_id, sender(rows, receiver)) is not None
        rows.now = NOW
        assert self.due(rows) == [job_id]
        delivery.notify(job_id, sender(rows, receiver))
        assert len(receiver.heard) == 2


class TestReplay:
    def given_up(self, rows: Rows, **columns: Any) -> str:
        job_id = told_job(rows, **columns)
        delivery.notify(job_id, sender(rows, Receiver(410)))
        return job_id

    def replay(self, rows: Rows, notice_id: str) -> None:
        rows.write(lambda db: notices.replay(db, notice_id, now=rows.now))

    def test_it_goes_out_under_its_id_its_timetable_starts_anew_and_its_tries_count_on(self, rows: Rows) -> None:
        receiver = Receiver(500)
        job_id = self.given_up(rows)
        [row] = rows_of(rows, job_id)
        rows.now += DAY
        self.replay(rows, row["id"])
        delivery.notify(job_id, sender(rows, receiver))
        assert receiver.heard == [(HOOK, row["id"])]
        [again] = rows_of(rows, job_id)
        assert again["alarm_at"] - rows.now == SECOND * 5
        assert [number for number, *_ in tries_of(rows, job_id)] == [1, 2]

    def test_a_delivered_one_stays_delivered_whatever_becomes_of_its_replay(self, rows: Rows) -> None:
        job_id = told_job(rows)
        delivery.notify(job_id, sender(rows, Receiver()))
        [row] = rows_of(rows, job_id)
        self.replay(rows, row["id"])
        assert notices.state_of(rows_of(rows, job_id)[0]) == "waiting"
        delivery.notify(job_id, sender(rows, Receiver(410)))
        assert notices.state_of(rows_of(rows, job_id)[0]) == "delivered"

    def test_one_that_is_being_sent_goes_out_once_more(self, rows: Rows) -> None:
        receiver = Receiver()
        job_id = told_job(rows)
        [row] = rows_of(rows, job_id)
        receiver.meanwhile = lambda: self.replay(rows, row["id"]) if len(receiver.heard) == 1 else None
        delivery.notify(job_id, sender(rows, receiver))
        assert receiver.heard == [(HOOK, row["id"])] * 2
        assert notices.state_of(rows_of(rows, job_id)[0]) == "delivered"

    def test_an_unknown_one_is_an_error(self, rows: Rows) -> None:
        for notice_id in ("ntc_01K8Z3V0QWERTYUIOPASDFGHJK", "ntc_1", "", "x\0"):
            with pytest.raises(UnknownNotice):
                self.replay(rows, notice_id)

    def test_all_that_were_given_up_go_out_once_more_in_bounded_batches(
        self, rows: Rows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notices, "REPLAYED_AT_ONCE", 2)
        failed = [self.given_up(rows) for _ in range(5)]
        waiting, delivered = told_job(rows), told_job(rows)
        delivery.notify(waiting, sender(rows, Receiver(500)))
        delivery.notify(delivered, sender(rows, Receiver()))
        others = rows_of(rows, waiting) + rows_of(rows, delivered)
        assert notices.replay_failed(rows.database) == 5
        assert all(rows_of(rows, job_id)[0]["alarm_at"] == NOW for job_id in failed)
        assert rows_of(rows, waiting) + rows_of(rows, delivered) == others
        assert notices.replay_failed(rows.database) == 0

    def test_those_of_a_job_or_since_a_time_can_be_chosen(self, rows: Rows) -> None:
        one, _ = self.given_up(rows), self.given_up(rows)
        rows.now += HOUR
        late = self.given_up(rows)
        assert notices.replay_failed(rows.database, job_id=one) == 1
        assert notices.replay_failed(rows.database, since=NOW + MINUTE) == 1
        assert rows_of(rows, late)[0]["alarm_at"] == rows.now
        assert notices.replay_failed(rows.database) == 1


def test_the_ring_for_an_overdue_job_is_for_its_notice_too(rows: Rows) -> None:
    job_id = rows.job(State.GENERATING, notify_url=HOOK, alarm_at=NOW)
    resources = worker(rows, Gateway(), ringer=Bells())
    lease = rows.lease(job_id)
    late = Outcome(alarm_at=NOW + DAY, job={"overdue": True})
    assert rows.write(lambda db: leases.finish_step(db, lease, late, now=NOW))
    resources.ring_for(rows.case(job_id), notices=lease.job.notices)
    assert rung(resources) == [("webhooks.notify", job_id)]
