"""Receivers of notices on real sockets: one that never answers, rotated secrets, and no two senders of one job."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from canaries import canary
from served import Served
from standardwebhooks import Webhook, WebhookVerificationError
from workshop import Workshop

from jobs.intake import changes
from jobs.steps.bulkheads import Bulkheads
from jobs.store import tables
from jobs.store.due import due_rows
from jobs.store.step_table import NOTIFY
from webhooks import delivery

SLOTS = 8
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


class Receiver:
    """Hears notices; while `open` is not set, nobody gets an answer."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.inside = self.most_inside = 0
        self.open = threading.Event()
        lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    receiver.inside += 1
                    receiver.most_inside = max(receiver.most_inside, receiver.inside)
                receiver.open.wait()
                with lock:
                    receiver.inside -= 1
                    receiver.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.url = f"{self._served.url}/hook"

    def close(self) -> None:
        self.open.set()
        self._served.close()


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def good() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.open.set()
    yield receiver
    receiver.close()


def told(workshop: Workshop, url: str, times: int = 1) -> list[str]:
    """Jobs that were cancelled, each with a notice that is due."""
    found = [workshop.create(provider="gravitex", notify_url=url) for _ in range(times)]
    for job_id in found:
        changes.cancel(job_id, workshop.core)
    return found


def undelivered(workshop: Workshop) -> int:
    waiting = sa.select(sa.func.count()).where(tables.notices.c.delivered_at.is_(None))
    with workshop.database.read() as db:
        return int(db.execute(waiting).scalar_one())


def test_a_receiver_that_never_answers_keeps_nobody_elses_notices_waiting(
    make_workshop: Any, hanging: Receiver, good: Receiver
) -> None:
    workshop: Workshop = make_workshop(notice_secrets=SECRET, notice_deadline_s=60, notice_lease_s=120)
    resources = workshop.another_worker(bulkheads=Bulkheads(SLOTS))
    told(workshop, hanging.url, 20)
    told(workshop, good.url, 5)
    with ThreadPoolExecutor(SLOTS) as threads:  # as the notify process has them

        def arrived(receiver: Receiver, wanted: int) -> bool:
            with resources.database.read() as db:
                found = due_rows(db, NOTIFY, limit=1000, now=resources.database.clock(db))
            sent.extend(threads.submit(delivery.notify, row.id, resources) for row in found)
            return len(receiver.heard) == wanted

        sent: list[Future[None]] = []
        try:
            workshop.await_(lambda: arrived(good, 5), "the good receiver's notices")
            workshop.await_(lambda: hanging.inside == SLOTS // 4, "the share of the hanging one")
            assert hanging.heard == []
        finally:
            hanging.open.set()
        workshop.await_(lambda: arrived(hanging, 20), "the others, once their receiver answers")
    assert [each.result() for each in sent] == [None] * len(sent)
    assert hanging.most_inside == SLOTS // 4
    assert undelivered(workshop) == 0


def test_during_a_rotation_each_of_the_two_secrets_verifies_and_before_and_after_it_one(
    make_workshop: Any, good: Receiver
) -> None:
    old, new = (Webhook(secret) for secret in (SECRET, OTHER))
    for secrets, verifies, refuses in (
        (SECRET, [old], [new]),
        (f"{SECRET},{OTHER}", [old, new], []),
        (OTHER, [new], [old]),
    ):
        workshop: Workshop = make_workshop(notice_secrets=secrets)
        [job_id] = told(workshop, good.url)
        delivery.notify(job_id, workshop.resources)
        headers, body = good.heard[-1]
        for verifier in verifies:
            assert verifier.verify(body, headers)["type"] == "job.cancelled"
        for verifier in refuses:
            with pytest.raises(WebhookVerificationError):
                verifier.verify(body, headers)


def test_a_changed_body_id_or_time_does_not_verify(make_workshop: Any, good: Receiver) -> None:
    workshop: Workshop = make_workshop(notice_secrets=SECRET)
    [job_id] = told(workshop, good.url)
    delivery.notify(job_id, workshop.resources)
    headers, body = good.heard[0]
    forged = [
        (headers, body.replace(b"cancelled", b"archived")),
        ({**headers, "webhook-id": "ntc_other"}, body),
        ({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body),
    ]
    for changed_headers, changed_body in forged:
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(changed_body, changed_headers)


def test_a_notice_bears_the_three_headers_and_the_job_as_the_api_shows_it(make_workshop: Any, good: Receiver) -> None:
    token = canary()
    workshop: Workshop = make_workshop(notice_secrets=SECRET)
    [job_id] = told(workshop, f"{good.url}?token={token}")
    delivery.notify(job_id, workshop.resources)
    headers, body = good.heard[0]
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= set(headers)
    assert headers["content-type"] == "application/json"
    notice = json.loads(body)
    assert list(notice) == ["type", "timestamp", "sequence", "data"]
    assert notice["data"]["id"] == job_id
    assert token not in body.decode()
