"""What the console's pages show, and what its buttons come to."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Bells, Orders
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from jobs.store.tables import events, inbox, jobs, notices

TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
MARKUP = "<script>alert(1)</script> \"><img src=x onerror=alert(2)> & 'so on'"
UNPROVEN = {
    "task_id": "task-1",
    "sha256": "a" * 64,
    "bytes": 9,
    "reason": "no frame decodes",
    "kept_at": f"{TODAY}T00:00:00Z",
}


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


@pytest.fixture
def visitor(api: FlaskClient, database: Database) -> Visitor:
    return Visitor(api.application, api_keys.create(database, "a person", Scope.WRITE)[1])


def job_of(api: FlaskClient, job_id: str) -> Any:
    return api.get(f"/v1/jobs/{job_id}").get_json()


def ids(page: str) -> list[str]:
    return re.findall(r'<tr id="(job_\w+)"', page)


def told_events(database: Database, job_id: str) -> list[tuple[str, Any]]:
    with database.read() as db:
        rows = db.execute(
            sa.select(events.c.event, events.c.detail).where(events.c.job_id == job_id).order_by(events.c.id)
        )
        return [(row.event, row.detail) for row in rows]


# The overview


def test_an_overview_without_jobs_says_what_to_do(visitor: Visitor) -> None:
    page = visitor.text("/console/")
    assert "No job ended in the last hour." in page
    assert "rushes submit" in page
    assert "Nothing does." in page


def test_the_overview_counts_times_and_money(visitor: Visitor, orders: Orders) -> None:
    orders.add(TODAY, "held", estimated_usd=0.25)
    orders.add(
        TODAY,
        "charged",
        state="archived",
        reported_usd=0.5,
        outcome="delivered",
        of_job={"provider": "evolink", "ended_at": datetime.now(UTC)},
    )
    page = visitor.text("/console/?span=day")
    figures = dict(re.findall(r'state=(\w+)">\s*<span class="figure">(\d+)</span>', page))
    assert (figures["generating"], figures["archived"], figures["failed"]) == ("1", "1", "0")
    assert "$0.750" in page
    assert re.search(r'data-chart="[^"]*archived', page)


def test_what_needs_a_person_stands_on_the_overview_with_a_way_to_its_job(visitor: Visitor, orders: Orders) -> None:
    job_id = orders.add(TODAY, "uncertain", state="unconfirmed", lost_at=datetime.now(UTC))
    page = visitor.text("/console/")
    (listed,) = re.findall(r'aria-labelledby="attention">(.*?)</section>', page, re.DOTALL)
    assert "unconfirmed" in listed
    assert f'href="/console/jobs/{job_id}"' in listed


def test_a_span_that_there_is_not_is_refused_in_words(visitor: Visitor) -> None:
    answer = visitor.get("/console/?span=year")
    assert (answer.status_code, "The request is not valid." in answer.get_data(as_text=True)) == (422, True)


# The list


def test_filters_stand_in_the_address_and_mean_what_the_api_means_by_them(
    api: FlaskClient, visitor: Visitor, orders: Orders
) -> None:
    fox = api.post("/v1/jobs", json={**PLAIN, "metadata": {"scene": "12", "take": "3"}, "batch": "monday"}).get_json()[
        "id"
    ]
    owl = api.post("/v1/jobs", json={**PLAIN, "prompt": "An owl"}).get_json()["id"]
    failed = orders.add(TODAY, "none", state="failed", of_job={"provider": "evolink"})
    assert ids(visitor.text("/console/jobs")) == [failed, owl, fox]
    for address, found in {
        "state=failed": [failed],
        "state=failed&state=queued": [failed, owl, fox],
        "prompt=owl": [owl],
        "metadata=scene%3D12+take%3D3": [fox],
        "metadata=scene%3D12+take%3D4": [],
        "batch=monday": [fox],
        "provider=evolink": [failed],
        "mode=video-edit": [],
        f"created_after={TODAY}T00:00&prompt=&batch=": [failed, owl, fox],
        f"created_before={TODAY}T00:00": [],
        "needs_person=true": [],
    }.items():
        page = visitor.text(f"/console/jobs?{address}")
        assert ids(page) == found, address
        assert found or "No job is like that." in page


def test_a_filter_that_means_nothing_is_refused_in_words(visitor: Visitor) -> None:
    answer = visitor.get("/console/jobs?provider=nobody")
    assert answer.status_code == 422
    assert "Knows no nobody" in unescape(answer.get_data(as_text=True))


def test_a_long_list_is_read_a_page_at_a_time_with_its_filters(
    api: FlaskClient, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rushes.console.jobs.PAGE", "2")
    made = [api.post("/v1/jobs", json={**PLAIN, "batch": "b"}).get_json()["id"] for _ in range(3)]
    first = visitor.text("/console/jobs?batch=b")
    (older,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = visitor.text("/console/jobs" + unescape(older))
    assert [*ids(first), *ids(second)] == made[::-1]
    assert 'rel="next"' not in second
    assert '<a href="?batch=b">The newest</a>' in second


# A job


def test_nothing_that_people_or_gateways_write_is_markup(
    api: FlaskClient, visitor: Visitor, database: Database
) -> None:
    body = {**PLAIN, "prompt": MARKUP, "batch": "<b>", "metadata": {"<i>": "<u>"}}
    link = {
        "mode": "image-to-video",
        "media": [{"type": "first_frame", "url": "https://example.com/a?x=javascript:alert(1)"}],
    }
    job_id = api.post("/v1/jobs", json={**body, **link}).get_json()["id"]
    with database.write() as db:
        row = {"error_code": "bad_request", "error_message": MARKUP, "error_retryable": False, "error_said": MARKUP}
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(state="failed", **row))
        detail = {"word": MARKUP, MARKUP: MARKUP}
        at = {"at": datetime.now(UTC), "attempt": 0, "job_id": job_id}
        db.execute(sa.insert(events).values(event="gateway_said", detail=detail, **at))
    for page in (visitor.text("/console/jobs"), visitor.text(f"/console/jobs/{job_id}"), visitor.text("/console/")):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert not re.search(r"<[biu]>", page)
        assert not re.search(r'href="javascript:', page)
    assert unescape(visitor.text(f"/console/jobs/{job_id}")).count(MARKUP) >= 4


def test_an_unknown_job_is_said_to_be_unknown(visitor: Visitor) -> None:
    answer = visitor.get("/console/jobs/job_01K8Z3V0QWERTYUIOPASDFGHJK")
    assert (answer.status_code, "No such job." in answer.get_data(as_text=True)) == (404, True)


def test_a_job_tells_its_history_callbacks_and_notices_in_one_line(
    api: FlaskClient, visitor: Visitor, orders: Orders, database: Database
) -> None:
    job_id = orders.add(
        TODAY,
        "held",
        request={
            "method": "POST",
            "path": "/v1/videos",
            "headers": {},
            "body": {
                "callback_url": "https://us.example/webhooks/evolink/job_1/1/k1.secret",
                "image": "https://x.example/a?sig=1",
            },
        },
    )
    with database.write() as db:
        told = {"job_id": job_id, "attempt": 1, "provider": "evolink", "digest": "d", "headers": {"User-Agent": "gw"}}
        db.execute(
            sa.insert(inbox).values(
                **told,
                body=b'{"task": "<b>1</b>"}',
                readable=True,
                status=200,
                task_id="task-1",
                received_at=datetime.now(UTC),
            )
        )
        db.execute(
            sa.insert(notices).values(
                id="ntc_01K8Z3V0QWERTYUIOPASDFGHJK",
                job_id=job_id,
                sequence=1,
                type="job.overdue",
                url="https://hook.example/?t=secret",
                body={},
                version=0,
                created_at=datetime.now(UTC),
            )
        )
    page = visitor.text(f"/console/jobs/{job_id}")
    for said in ("Asked for", "A callback came from evolink, about order 1", "Notice 1 was written: job.overdue"):
        assert said in page
    assert "secret" not in page
    callback = visitor.text(re.findall(r'hx-get="(/console/callbacks/[^"]+)"', page)[0])
    assert unescape(callback).count('{"task": "<b>1</b>"}') == 1
    sent = unescape(visitor.text(f"/console/jobs/{job_id}/attempts/1"))
    assert '"callback_url": "https://us.example/webhooks/…"' in sent
    assert '"image": "https://x.example/a?…"' in sent


def test_what_was_pruned_says_that_it_is_gone(visitor: Visitor, orders: Orders, database: Database) -> None:
    job_id = orders.add(TODAY, "charged", state="archived", outcome="delivered")
    with database.write() as db:
        db.execute(sa.delete(events).where(events.c.job_id == job_id))
    assert "Its history is gone" in visitor.text(f"/console/jobs/{job_id}")
    assert "What was sent is gone" in visitor.text(f"/console/jobs/{job_id}/attempts/1")
    assert "It is gone" in visitor.text("/console/callbacks/cbk_1/body")


Made = Callable[[Orders], str]
FAILED = {"state": "failed", "error_code": "gateway_failed", "error_message": "no", "error_retryable": True}


def offered(visitor: Visitor, job_id: str) -> list[str]:
    return re.findall(r'<summary role="button"[^>]*>([^<]+)…</summary>', visitor.text(f"/console/jobs/{job_id}"))


@pytest.mark.parametrize(
    ("state", "standing", "columns", "labels"),
    [
        ("queued", "none", {"outcome": "refused"}, ["Cancel"]),
        ("generating", "held", {"task_id": "t"}, []),
        ("unconfirmed", "held", {}, ["Cancel", "Settle order 1"]),
        ("failed", "refunded", {"outcome": "failed"}, ["Retry"]),
        ("failed", "charged", {"outcome": "undelivered", "task_id": "t"},
            ["Copy again", "Settle order 1"]),
        ("failed", "uncertain", {"outcome": "expired"}, ["Retry", "Settle order 1"]),
        ("failed", "charged", {"outcome": "undelivered", "task_id": "task-1", "unproven": [UNPROVEN]},
            ["Copy again", "Accept the film", "Settle order 1"]),
        ("archived", "charged", {"outcome": "delivered", "task_id": "t"}, []),
        ("archived", "charged",
            {"outcome": "delivered", "reported_usd": 99.0, "estimated_usd": 0.5, "of_job": {"flagged": "absurd_cost"}},
            ["Settle order 1"]),
        ("generating", "held", {"task_id": "t", "adopted": True, "of_job": {"flagged": "contested_task"}},
            ["Settle order 1"]),
    ],
)  # fmt: skip
def test_a_job_offers_what_can_be_done_about_it(
    visitor: Visitor, orders: Orders, state: str, standing: str, columns: dict[str, Any], labels: list[str]
) -> None:
    assert offered(visitor, orders.add(TODAY, standing, state=state, **columns)) == labels


def test_cancel_cancels_and_the_history_names_the_key(api: FlaskClient, database: Database, visitor: Visitor) -> None:
    job_id = api.post("/v1/jobs", json=PLAIN).get_json()["id"]
    assert visitor.told(visitor.post(f"/console/jobs/{job_id}/cancel")) == "Cancelled: nothing was bought."
    assert job_of(api, job_id)["state"] == "cancelled"
    (own,) = [row for row in _keys(database) if row["name"] == "a person"]
    assert told_events(database, job_id)[-1][1]["api_key"] == own["id"]
    refused = visitor.told(visitor.post(f"/console/jobs/{job_id}/retry"))
    assert (
        refused == "Only a failed job can be tried again. The job is cancelled; only a failed one can be tried again."
    )


def _keys(database: Database) -> list[Any]:
    with database.read() as db:
        return list(api_keys.every(db))


def test_retry_orders_anew_and_asks_before_it_may_pay_twice(
    api: FlaskClient, visitor: Visitor, orders: Orders, bells: Bells
) -> None:
    job_id = orders.add(
        TODAY,
        "uncertain",
        state="failed",
        outcome="expired",
        of_job={"error_code": "expired", "error_message": "no answer", "error_retryable": False},
    )
    assert visitor.told(visitor.post(f"/console/jobs/{job_id}/retry")).startswith("Another order may pay twice.")
    assert job_of(api, job_id)["state"] == "failed"
    said = visitor.told(visitor.post(f"/console/jobs/{job_id}/retry", accept_double_charge="true"))
    assert (said, job_of(api, job_id)["state"]) == ("It is worked on again.", "queued")
    assert ("jobs.submit", job_id) in bells.rung


def test_settle_takes_each_word_for_an_order(api: FlaskClient, visitor: Visitor, orders: Orders) -> None:
    spoken = {}
    for found in ("charged", "not_charged"):
        job_id = orders.add(TODAY, "uncertain", state="failed", outcome="expired", task_id=None)
        assert (
            visitor.told(visitor.post(f"/console/jobs/{job_id}/attempts/1/settle", found=found)) == "It is taken down."
        )
        spoken[found] = job_of(api, job_id)["attempts"][0]["settled"]
    assert spoken == {"charged": "charged", "not_charged": "not_charged"}
    job_id = orders.add(TODAY, "held", state="unconfirmed", lost_at=datetime(2026, 1, 1, tzinfo=UTC))
    empty = visitor.told(visitor.post(f"/console/jobs/{job_id}/attempts/1/settle", found="task_id", task_id=" "))
    assert "task_id: Send 1 to" in empty
    named = visitor.told(visitor.post(f"/console/jobs/{job_id}/attempts/1/settle", found="task_id", task_id="task-9"))
    assert (named, job_of(api, job_id)["attempts"][0]["named"]["task_id"]) == (
        "The gateway is asked about the task; the order tells what it answers.",
        "task-9",
    )


def test_a_film_is_accepted_under_the_visitors_key(api: FlaskClient, visitor: Visitor, orders: Orders) -> None:
    job_id = orders.add(TODAY, "charged", state="failed", outcome="undelivered", task_id="task-1", unproven=[UNPROVEN])
    said = visitor.told(visitor.post(f"/console/jobs/{job_id}/accept"))
    assert said == "The film is copied as it is, under your key's name."
    assert job_of(api, job_id)["state"] == "archiving"


def test_a_callback_counts_again_and_a_notice_is_sent_again(
    api: FlaskClient, visitor: Visitor, orders: Orders, database: Database
) -> None:
    job_id = orders.add(TODAY, "held", task_id="task-1")
    now = datetime.now(UTC)
    with database.write() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(alarm_at=now.replace(year=2100)))
        told = {"job_id": job_id, "attempt": 1, "provider": "evolink", "digest": "d", "headers": {}}
        db.execute(
            sa.insert(inbox).values(
                **told, body=b"{}", readable=True, status=200, task_id="task-1", received_at=now, read_at=now
            )
        )
        db.execute(
            sa.insert(notices).values(
                id="ntc_01K8Z3V0QWERTYUIOPASDFGHJK",
                job_id=job_id,
                sequence=1,
                type="job.overdue",
                url="https://hook.example/",
                body={},
                version=0,
                created_at=now,
            )
        )
    page = visitor.text(f"/console/jobs/{job_id}")
    replay, resend = (re.findall(rf'action="([^"]+/{what})"', page)[0] for what in ("replay", "resend"))
    assert visitor.told(visitor.post(replay)).startswith("The callback counts as one that has just come")
    assert visitor.told(visitor.post(resend)) == "The notice goes out once more."
    assert api.get("/v1/callbacks").get_json()["data"][0]["read_at"] is None
    assert api.get("/v1/notices").get_json()["data"][0]["state"] == "waiting"


def test_the_video_and_its_poster_are_behind_fresh_links(visitor: Visitor, orders: Orders) -> None:
    job_id = orders.add(
        TODAY, "charged", state="archived", outcome="delivered", of_job={"width": 2, "bytes": 1, "bucket": "b"}
    )
    page = visitor.text(f"/console/jobs/{job_id}")
    for name, kind in (("video", ".mp4"), ("poster", ".jpg")):
        address = f"/console/jobs/{job_id}/{name}"
        assert f'="{address}"' in page
        answer = visitor.get(address)
        assert (answer.status_code, f"{job_id}{kind}?" in answer.location, "Signature=" in answer.location) == (
            302,
            True,
            True,
        )


def test_an_outcome_is_told_once(api: FlaskClient, visitor: Visitor) -> None:
    job_id = api.post("/v1/jobs", json=PLAIN).get_json()["id"]
    answer = visitor.post(f"/console/jobs/{job_id}/cancel")
    assert "data-said" in visitor.text(answer.location)
    assert "data-said" not in visitor.text(answer.location)
