"""Notices: signed, at least once, in order, and read by the official library on the other side."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from served import Served
from standardwebhooks import Webhook, WebhookVerificationError
from workshop import Ahead, Workshop

from jobs.intake import changes
from jobs.machine.states import State
from jobs.store import tables
from jobs.worker import dispatch
from webhooks import delivery

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


class Pipeline:
    """The receiving side; answers with `statuses` in turn, then with 200, and with what `headers` says of the time."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response_only(outer.statuses.pop(0) if outer.statuses else 200)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.url, self.close = f"{served.url}/hook", served.close


class Died(BaseException):
    """As SIGKILL does it: nothing of ours runs after it."""


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    one = Pipeline()
    yield one
    one.close()


@pytest.fixture
def notifying(make_workshop: Any) -> Workshop:
    workshop: Workshop = make_workshop(notice_secrets=f"{SECRET},{OTHER}", notice_unit_s=0.01)
    return workshop


def row_of(workshop: Workshop) -> Any:
    with workshop.database.read() as db:
        return db.execute(sa.select(tables.notices)).mappings().one()


def verified(secret: str, headers: dict[str, str], body: bytes) -> Any:
    """What a pipeline reads that believes signed notices alone."""
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError as e:
        pytest.fail(f"nobody believes this notice: {e}")


def archived(workshop: Workshop, pipeline: Pipeline) -> str:
    job_id = workshop.create(provider="gravitex", notify_url=pipeline.url)
    workshop.until(job_id, State.ARCHIVED)
    assert ("webhooks.notify", job_id) in workshop.bells.rung
    return job_id


def test_an_archived_job_is_told_with_the_whole_job_under_both_secrets(
    notifying: Workshop, pipeline: Pipeline, sandbox: Any
) -> None:
    job_id = archived(notifying, pipeline)
    delivery.notify(job_id, notifying.resources)
    [(headers, body)] = pipeline.seen
    told = verified(SECRET, headers, body)
    assert verified(OTHER, headers, body) == told == json.loads(body)
    assert (told["type"], told["sequence"], told["data"]["id"]) == ("job.archived", 1, job_id)
    assert told["data"]["state"] == "archived"
    assert told["data"]["video"]["sha256"] == notifying.case(job_id).job.sha256
    row = row_of(notifying)
    assert (row["alarm_at"], row["last_status"], row["tries"]) == (None, 200, 1)
    delivery.notify(job_id, notifying.resources)
    assert len(pipeline.seen) == 1


def test_a_refused_notice_is_sent_again_under_the_same_id(
    notifying: Workshop, pipeline: Pipeline, sandbox: Any
) -> None:
    pipeline.statuses = [500, 503]
    job_id = archived(notifying, pipeline)

    def delivered() -> bool:
        delivery.notify(job_id, notifying.resources)
        return row_of(notifying)["delivered_at"] is not None

    notifying.await_(delivered, "the delivery", job_id=job_id)
    assert len(pipeline.seen) == 3
    assert len({headers["webhook-id"] for headers, _ in pipeline.seen}) == 1


def test_a_notice_whose_sender_died_after_the_answer_is_sent_again_under_the_same_id(
    notifying: Workshop, pipeline: Pipeline, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Died

    job_id = archived(notifying, pipeline)
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_delivered", die)
        with pytest.raises(Died):
            delivery.notify(job_id, notifying.resources)
    assert len(pipeline.seen) == 1
    delivery.notify(job_id, notifying.resources)
    assert len(pipeline.seen) == 1  # it may be on its way yet
    Ahead(notifying).leap(notifying.settings.notice_lease_s + 1)
    delivery.notify(job_id, notifying.resources)
    assert [headers["webhook-id"] for headers, _ in pipeline.seen] == [row_of(notifying)["id"]] * 2
    assert row_of(notifying)["delivered_at"] is not None


def test_two_notices_of_one_job_are_numbered_sent_in_that_order_and_signed(
    make_workshop: Any, pipeline: Pipeline, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(notice_secrets=SECRET, resend_unit_s=0.1)
    sandbox.fault("apiframe", "lose_answer", how="reset")
    job_id = workshop.create(provider="apiframe", notify_url=pipeline.url)
    workshop.until(job_id, State.UNCONFIRMED)
    workshop.until(job_id, State.ARCHIVED)
    delivery.notify(job_id, workshop.resources)
    told = [verified(SECRET, headers, body) for headers, body in pipeline.seen]
    assert [(notice["sequence"], notice["type"]) for notice in told] == [(1, "job.unconfirmed"), (2, "job.archived")]
    assert len({headers["webhook-id"] for headers, _ in pipeline.seen}) == 2


def test_410_stops_and_a_redirect_is_a_refusal(notifying: Workshop, pipeline: Pipeline, sandbox: Any) -> None:
    pipeline.statuses = [302, 410]
    job_id = archived(notifying, pipeline)

    def at_rest() -> bool:
        delivery.notify(job_id, notifying.resources)
        return row_of(notifying)["alarm_at"] is None

    notifying.await_(at_rest, "the end", job_id=job_id)
    row = row_of(notifying)
    assert (row["last_status"], row["delivered_at"], row["tries"]) == (410, None, 2)
    assert len(pipeline.seen) == 2


def in_(seconds: float, *, clock_off_s: float = 0) -> Callable[[], dict[str, str]]:
    """Headers that ask for a pause by a date, from a receiver whose clock is off, where it tells its time at all."""

    def headers() -> dict[str, str]:
        theirs = datetime.now(UTC) + timedelta(seconds=clock_off_s)
        asked = {"Retry-After": format_datetime(theirs + timedelta(seconds=seconds), usegmt=True)}
        return asked | ({"Date": format_datetime(theirs, usegmt=True)} if clock_off_s else {})

    return headers


def saying(**headers: str) -> Callable[[], dict[str, str]]:
    return lambda: {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        (saying(Retry_After="120"), 120, 125),
        (saying(retry_after="120"), 120, 125),
        (in_(600, clock_off_s=-18_000), 600, 605),
        (in_(7_200), 7_200, 7_205),
        (saying(Retry_After="99999999"), 86_400, 86_405),
        (in_(-86_400), 0, 1),
        (saying(Retry_After="soon"), 0, 1),
        (saying(Retry_After="-7"), 0, 1),
        (saying(), 0, 1),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_a_pause_gets_it_up_to_a_day(
    workshop_with_a_notice: Workshop,
    pipeline: Pipeline,
    headers: dict[str, str],
    least_s: int,
    most_s: int,
    status: int,
) -> None:
    workshop = workshop_with_a_notice
    pipeline.statuses, pipeline.headers = [status], headers()
    delivery.notify(row_of(workshop)["job_id"], workshop.resources)
    with workshop.database.read() as db:
        now = workshop.database.clock(db)
    row = row_of(workshop)
    assert row["last_status"] == status
    assert least_s - 2 <= (row["alarm_at"] - now).total_seconds() <= most_s


@pytest.fixture
def workshop_with_a_notice(make_workshop: Any, pipeline: Pipeline) -> Workshop:
    """A job that was cancelled before it was ordered, and whose notice is due."""
    workshop: Workshop = make_workshop(notice_secrets=SECRET, notice_unit_s=0.01)
    job_id = workshop.create(provider="gravitex", notify_url=pipeline.url)
    changes.cancel(job_id, workshop.core, api_key_id="test")
    return workshop


def test_why_a_receiver_is_closed_is_told_to_the_operator_alone(workshop_with_a_notice: Workshop) -> None:
    workshop = workshop_with_a_notice
    with workshop.database.write() as db:
        db.execute(sa.update(tables.notices).values(url="http://me@127.0.0.1:1/hook"))
    with structlog.testing.capture_logs() as logged:
        delivery.notify(row_of(workshop)["job_id"], workshop.resources)
    [line] = [each for each in logged if each["event"] == "notice_undelivered"]
    assert "holds a user name" in line["reason"]
    assert row_of(workshop)["last_error"] == "LinkForbidden"


def test_a_receiver_that_is_away_gets_its_notice_later(notifying: Workshop, pipeline: Pipeline, sandbox: Any) -> None:
    job_id = archived(notifying, pipeline)
    with notifying.database.write() as db:
        db.execute(sa.update(tables.notices).values(url="http://127.0.0.1:1/hook"))
    delivery.notify(job_id, notifying.resources)
    row = row_of(notifying)
    assert row["alarm_at"] is not None
    assert row["last_error"]
    with notifying.database.write() as db:
        db.execute(sa.update(tables.notices).values(url=pipeline.url))

    def delivered() -> bool:
        delivery.notify(job_id, notifying.resources)
        return row_of(notifying)["delivered_at"] is not None

    notifying.await_(delivered, "the delivery", job_id=job_id)


def test_without_a_thread_to_keep_the_time_a_notice_is_not_sent_and_waits(
    notifying: Workshop, pipeline: Pipeline, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    job_id = archived(notifying, pipeline)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", refuse)
        delivery.notify(job_id, notifying.resources)
    row = row_of(notifying)
    assert (row["delivered_at"], row["last_error"]) == (None, "no thread to keep the time")
    assert row["alarm_at"] is not None
    assert pipeline.seen == []


def test_a_failed_job_is_told_too(make_workshop: Any, pipeline: Pipeline, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(notice_secrets=SECRET)
    sandbox.fault("gravitex", "fail", retryable=False)
    job_id = workshop.create(provider="gravitex", notify_url=pipeline.url)
    workshop.until(job_id, State.FAILED)
    delivery.notify(job_id, workshop.resources)
    [(headers, body)] = pipeline.seen
    told = Webhook(SECRET).verify(body, headers)
    assert told["type"] == "job.failed"
    assert told["data"]["error"]["code"]


def test_the_sweep_finds_a_due_notice(notifying: Workshop, pipeline: Pipeline, sandbox: Any) -> None:
    archived(notifying, pipeline)
    assert dispatch.run_in_place(notifying.resources) == 1
    assert len(pipeline.seen) == 1
    assert dispatch.run_in_place(notifying.resources) == 0
