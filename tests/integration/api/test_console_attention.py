"""The console's page of what needs a person: each line with what is needed for looking, and its button."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import ACCOUNT, PLAIN, Bells, Orders
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.machine.error_codes import REASONS
from jobs.providers.client import Account
from jobs.reports import attention_items
from jobs.store import lanes
from jobs.store.database import Database
from jobs.store.tables import attempts, events, inbox, jobs, notices
from rushes.console import answers

PAGE = "/console/attention"
NOW = datetime.now(UTC)
TODAY = f"{NOW:%Y-%m-%d}"
EVOLINK = Account("evolink", "https://api.evolink.ai", "sk-test")
FILM = {"task_id": "task-1", "sha256": "a" * 64, "bytes": 9, "reason": "no frame decodes", "kept_at": NOW.isoformat()}


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


@pytest.fixture
def visitor(api: FlaskClient, database: Database) -> Visitor:
    return of_scope(api, database, Scope.WRITE)


def of_scope(api: FlaskClient, database: Database, scope: Scope) -> Visitor:
    return Visitor(api.application, api_keys.create(database, f"of {scope}", scope)[1])


def lost(orders: Orders, **columns: Any) -> str:
    return orders.add(
        TODAY, "uncertain", **{"state": "unconfirmed", "lost_at": NOW, "accepted_at": None, "task_id": None, **columns}
    )


def choices(page: str) -> list[str]:
    """What can be said in the page's forms."""
    return re.findall(r'name="found" value="(\w+)"', page)


def actions(page: str) -> list[str]:
    return [path for path in re.findall(r'<form[^>]*action="([^"]+)"', page) if path != "/console/sign-out"]


def press(visitor: Visitor, address: str = PAGE, **form: str) -> str:
    """Send the page's only form, as it stands there; what the page then says, which must be the same one."""
    page = visitor.text(address)
    (action,) = actions(page)
    (back,) = re.findall(r'name="back" value="([^"]+)"', page)
    answer = visitor.post(action, back=unescape(back), **form)
    assert answer.location == address
    return visitor.told(answer)


def test_nothing_needs_a_person_while_all_goes_well(visitor: Visitor, orders: Orders) -> None:
    orders.add(TODAY, "held")
    assert "Nothing needs a person." in visitor.text(PAGE)


def test_a_line_tells_what_is_needed_for_looking(visitor: Visitor, orders: Orders) -> None:
    job_id = orders.add(
        TODAY, "charged", state="failed", outcome="undelivered", task_id="task-7", link="https://host/v.mp4?sig=1",
        finished_at=NOW,
    )  # fmt: skip
    page = visitor.text(PAGE)
    assert f'<a href="/console/jobs/{job_id}">{PLAIN["prompt"]}</a>' in page
    shown = unescape(page)
    for told in (REASONS["paid_not_delivered"].said, REASONS["paid_not_delivered"].then, ACCOUNT, "task-7", "evolink"):
        assert told in shown
    assert 'data-copy="https://host/v.mp4?sig=1"' in page


def test_lines_stand_below_their_reason_the_oldest_first(visitor: Visitor, orders: Orders, database: Database) -> None:
    made = {hours: lost(orders, lost_at=NOW - timedelta(hours=hours)) for hours in (1, 3, 2)}
    film = orders.add(TODAY, "charged", state="failed", outcome="undelivered", task_id="task-1", unproven=[FILM])
    sections = re.findall(r'<h2 id="(\w+)">.*?</section>', page := visitor.text(PAGE), re.DOTALL)
    assert sorted(sections) == ["unconfirmed", "unproven_film"]
    listed = re.findall(r'<strong><a href="/console/jobs/(\w+)"', page)
    assert [job_id for job_id in listed if job_id != film] == [made[3], made[2], made[1]]


def test_a_reason_can_be_chosen(visitor: Visitor, orders: Orders) -> None:
    lost(orders)
    film = orders.add(TODAY, "charged", state="failed", outcome="undelivered", task_id="task-1", unproven=[FILM])
    page = visitor.text(f"{PAGE}?reason=unproven_film")
    assert re.findall(r'<strong><a href="/console/jobs/(\w+)"', page) == [film]
    assert "unconfirmed 1</a>" in page
    assert "No line has this reason any more." in visitor.text(f"{PAGE}?reason=no_link")
    assert visitor.get(f"{PAGE}?reason=boredom").status_code == 422


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"task_id": None}, ["task_id", "not_made", "charged", "not_charged"]),
        ({"task_id": "t-1"}, ["charged", "not_charged"]),
    ],
)
def test_money_is_settled_where_the_line_stands_and_the_line_goes(
    api: FlaskClient, visitor: Visitor, orders: Orders, database: Database, columns: dict[str, Any], found: list[str]
) -> None:
    job_id = orders.add(TODAY, "uncertain", state="failed", outcome="expired", **columns)
    assert choices(visitor.text(PAGE)) == found
    assert press(visitor, found="not_charged") == "It is taken down."
    assert api.get(f"/v1/jobs/{job_id}").get_json()["attempts"][0]["settled"] == "not_charged"
    assert "Nothing needs a person." in visitor.text(PAGE)
    with database.read() as db:
        detail = db.execute(sa.select(events.c.detail).where(events.c.event.in_(["settle", "settled"]))).scalar_one()
        (own,) = [row["id"] for row in api_keys.every(db) if row["name"] == "of write"]
    assert detail["api_key"] == own, "history names who did it"


def test_a_lost_order_takes_its_task_or_that_it_was_not_made(
    api: FlaskClient, visitor: Visitor, orders: Orders
) -> None:
    job_id = lost(orders)
    assert choices(visitor.text(PAGE)) == ["task_id", "not_made"]
    assert "task_id: Send 1 to" in press(visitor, found="task_id", task_id="")
    assert "Nothing needs" not in visitor.text(PAGE), "what was refused still stands there"
    press(visitor, f"{PAGE}?reason=unconfirmed", found="not_made")
    assert api.get(f"/v1/jobs/{job_id}").get_json()["attempts"][0]["settled"] == "not_made"


def test_a_cost_that_cannot_be_true_is_settled_though_its_video_came(
    api: FlaskClient, visitor: Visitor, orders: Orders
) -> None:
    job_id = orders.add(
        TODAY, "charged", state="archived", outcome="delivered", task_id="t", reported_usd=99.0, estimated_usd=0.5,
        of_job={"flagged": "absurd_cost"},
    )  # fmt: skip
    assert press(visitor, found="charged") == "It is taken down."
    assert api.get(f"/v1/jobs/{job_id}").get_json()["attempts"][0]["settled"] == "charged"


def test_a_film_is_accepted(api: FlaskClient, visitor: Visitor, orders: Orders) -> None:
    job_id = orders.add(TODAY, "charged", state="failed", outcome="undelivered", task_id="task-1", unproven=[FILM])
    assert "The proof refused it: no frame decodes." in visitor.text(PAGE)
    assert press(visitor).startswith("The film is copied as it is")
    assert api.get(f"/v1/jobs/{job_id}").get_json()["state"] == "archiving"


def test_notices_that_reached_nobody_are_sent_again(api: FlaskClient, visitor: Visitor, database: Database) -> None:
    job_id = api.post("/v1/jobs", json=PLAIN).get_json()["id"]
    given_up = {
        "url": "https://hook.example/",
        "body": {},
        "version": 0,
        "created_at": NOW,
        "last_error": "answered 500",
    }
    with database.write() as db:
        for number in (1, 2):
            row = {"id": f"ntc_01K8Z3V0QWERTYUIOPASDFGHJ{number}", "sequence": number, "type": "job.overdue"}
            db.execute(sa.insert(notices).values(job_id=job_id, **row, **given_up))
    assert press(visitor) == "2 notices go out once more."
    assert {each["state"] for each in api.get("/v1/notices").get_json()["data"]} == {"waiting"}


def test_a_gateway_is_resumed_by_who_may_and_shown_with_its_command_to_others(
    api: FlaskClient, visitor: Visitor, database: Database, bells: Bells
) -> None:
    with database.write() as db:
        lanes.rest(db, EVOLINK, "submit", "insufficient_credits", 600, now=database.clock(db))
    page = visitor.text(PAGE)
    assert (actions(page), "rushes providers resume evolink" in page) == ([], True)
    operator = of_scope(api, database, Scope.ADMIN)
    assert press(operator) == "evolink rests no more: one order tries it first."
    assert api.get("/v1/providers/evolink").get_json()["status"]["paused"]["submit"] is None


def test_a_key_that_may_only_look_sees_commands_and_no_button(
    api: FlaskClient, orders: Orders, database: Database
) -> None:
    job_id = lost(orders)
    page = unescape(of_scope(api, database, Scope.READ).text(PAGE))
    assert actions(page) == []
    assert f"rushes jobs settle {job_id} --attempt 1 (--task-id T | --not-made)" in page
    assert "may only look" in page


def test_a_callback_for_an_unknown_job_leads_to_the_callbacks(visitor: Visitor, database: Database) -> None:
    job_id = "job_01K8Z3V0QWERTYUIOPASDFGHJK"
    told = {"job_id": job_id, "attempt": 1, "provider": "evolink", "digest": "d", "body": b"{}", "headers": {}}
    with database.write() as db:
        db.execute(sa.insert(inbox).values(**told, readable=True, status=200, task_id="t", received_at=NOW))
    page = visitor.text(PAGE)
    assert f'href="/console/callbacks?job_id={job_id}"' in page
    assert job_id in visitor.text(f"/console/callbacks?job_id={job_id}")


def test_nothing_that_strangers_wrote_is_markup(visitor: Visitor, orders: Orders, database: Database) -> None:
    markup = "<b>\"'`&</b>"
    job_id = lost(orders)
    with database.write() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(request={"prompt": markup}))
        db.execute(sa.update(attempts).where(attempts.c.job_id == job_id).values(provider="evolink", task_id=markup))
    page = visitor.text(PAGE)
    assert "<b>" not in page
    assert markup in unescape(page)


ANSWERED_BY = {
    **dict.fromkeys(
        ("unconfirmed", "uncertain_money", "absurd_cost", "paid_not_delivered", "contested_task"), "settle"
    ),
    **dict.fromkeys(("gateway_rests", "out_of_credit", "key_refused"), "resume"),
    "unproven_film": "accept",
    "holder_died": "retry",
    "notice_given_up": "resend_failed",
}


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_command_that_the_api_names_is_a_form_or_is_shown(reason: str) -> None:
    known: dict[str, Any] = {"job_id": "job_1", "attempt": 1, "provider": "evolink", "task_id": "t"}
    command = attention_items.Item(reason, "why; and more", **known).command
    item = {"reason": reason, "detail": "why; and more", **known, "command": command}
    offer = answers.answer(item)
    assert (offer.name if offer else None) == ANSWERED_BY.get(reason)
    looks = command.startswith(("rushes jobs show", "rushes videos link"))
    assert answers.command(item) == (None if looks else command)


def test_a_copy_that_failed_is_tried_again_from_its_line(visitor: Visitor, orders: Orders) -> None:
    orders.add(
        TODAY, "charged", state="failed", outcome="undelivered", task_id="t", of_job={"flagged": "no_link"}
    )  # fmt: skip
    (action,) = actions(visitor.text(f"{PAGE}?reason=no_link"))
    assert action.endswith("/retry")
