"""The console's pages of callbacks and of notices: lists, figures, and letting it count, or be told, again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Orders
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from jobs.store.notices import MEANINGS, NoticeState
from jobs.store.tables import attempts, inbox, jobs, notice_tries, notices
from rushes.console.notices import STATES, TYPES

CALLBACKS, NOTICES = "/console/callbacks", "/console/notices"
NOW = datetime.now(UTC)
TODAY = f"{NOW:%Y-%m-%d}"


class Desk:
    """Puts callbacks and notices there."""

    def __init__(self, api: FlaskClient, database: Database):
        self.api, self.database = api, database
        self.orders = Orders(api, database)

    def callback(self, job_id: str, **columns: Any) -> str:
        """A callback about this job's order; its id."""
        values = {"job_id": job_id, "attempt": 1, "provider": "evolink", "headers": {}, "body": b"{}"}
        more = {"readable": True, "status": 200, "task_id": "task-1", "received_at": NOW}
        with self.database.write() as db:
            more["digest"] = str(db.execute(sa.select(sa.func.count()).select_from(inbox)).scalar_one())
            row = db.execute(sa.insert(inbox).values(**{**values, **more, **columns}).returning(inbox.c.id))
            return f"cbk_{row.scalar_one()}"

    def notice(self, number: int, **columns: Any) -> str:
        """A notice of a job of its own, given up unless said otherwise; its id."""
        job_id = self.api.post("/v1/jobs", json=PLAIN).get_json()["id"]
        values = {"id": f"ntc_01K8Z3V0QWERTYUIOPASDFGHJ{number}", "job_id": job_id, "sequence": 1, "version": 0}
        more = {"type": "job.overdue", "url": "https://hook.example/?t=secret", "body": {"id": "<b>"}}
        told = {"created_at": NOW + timedelta(seconds=number), "last_error": "answered 500", "last_status": 500}
        with self.database.write() as db:
            db.execute(sa.insert(notices).values(**{**values, **more, **told, **columns}))
        return values["id"]

    def visitor(self, scope: Scope = Scope.WRITE) -> Visitor:
        return Visitor(self.api.application, api_keys.create(self.database, "a person", scope)[1])


@pytest.fixture
def desk(api: FlaskClient, database: Database) -> Desk:
    return Desk(api, database)


def listed(page: str) -> list[str]:
    return re.findall(r'<details id="((?:cbk|ntc)_\w+)"', page)


def actions(page: str) -> list[str]:
    return re.findall(r'<form[^>]* method="post" action="([^"]+)"', page)


# Callbacks


def test_callbacks_are_listed_with_how_they_were_judged_the_newest_first(desk: Desk) -> None:
    job_id = desk.orders.add(TODAY, "held", task_id="task-1")
    well = desk.callback(job_id, read_at=NOW, signature="good", received_at=NOW - timedelta(minutes=5))
    odd = desk.callback(job_id, readable=False, task_id=None, body=b"\xff<b>", status=400)
    page = desk.visitor(Scope.READ).text(CALLBACKS)
    assert listed(page) == [odd, well]
    for said in ("could not be read", "not acted on yet", "answered with 400", "its signature is genuine"):
        assert said in page
    assert re.search(r"\d+ (min|h) ago", page)
    assert f'<a href="/console/jobs/{job_id}">' in page
    assert actions(page) == ["/console/sign-out"], "of a key that may only look"


def test_callbacks_are_filtered_by_the_address(desk: Desk) -> None:
    job_id, other = (desk.orders.add(TODAY, "held") for _ in range(2))
    read = desk.callback(job_id, read_at=NOW)
    unread = desk.callback(other, readable=False)
    visitor = desk.visitor()
    for address, found in {
        "": [unread, read],
        "unread=true": [unread],
        "unread=false&readable=": [read],
        "readable=false": [unread],
        f"job_id={job_id}": [read],
        "provider=apiframe": [],
    }.items():
        page = visitor.text(f"{CALLBACKS}?{address}")
        assert listed(page) == found, address
        assert found or "No callback is like that." in page
    refused = visitor.get(f"{CALLBACKS}?job_id=x")
    assert (refused.status_code, "No id of a job" in refused.get_data(as_text=True)) == (422, True)


@pytest.mark.parametrize(("path", "what"), [(CALLBACKS, "callbacks"), (NOTICES, "notices")])
def test_a_long_list_is_read_a_page_at_a_time_with_its_filter(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, path: str, what: str
) -> None:
    monkeypatch.setattr("rushes.console.lists.PAGE", "2")
    job_id = desk.orders.add(TODAY, "held")
    made = [desk.callback(job_id) if what == "callbacks" else desk.notice(number) for number in range(3)]
    chosen = "provider=evolink" if what == "callbacks" else "state=failed"
    visitor = desk.visitor()
    first = visitor.text(f"{path}?{chosen}")
    (older,) = re.findall(r'href="([^"]+)" rel="next">Older ' + what, first)
    second = visitor.text(path + unescape(older))
    assert [*listed(first), *listed(second)] == made[::-1]
    assert f'<a href="?{chosen}">The newest</a>' in second


def test_a_callback_counts_again_and_the_list_with_its_filter_says_so(desk: Desk) -> None:
    job_id = desk.orders.add(TODAY, "held", task_id="task-1")
    with desk.database.write() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(alarm_at=NOW + timedelta(days=1)))
    callback = desk.callback(job_id, read_at=NOW)
    visitor, address = desk.visitor(), f"{CALLBACKS}?job_id={job_id}"
    page = visitor.text(address)
    (back,) = re.findall(r'name="back" value="([^"]+)"', page)
    (action,) = [path for path in actions(page) if path.endswith("/replay")]
    answer = visitor.post(action, back=unescape(back))
    assert answer.location == address
    assert visitor.told(answer).startswith("The callback counts as one that has just come")
    assert desk.api.get(f"/v1/callbacks/{callback}").get_json()["read_at"] is None


def test_a_form_leads_back_to_pages_of_the_console_alone(desk: Desk) -> None:
    job_id = desk.orders.add(TODAY, "held", task_id="task-1")
    callback = desk.callback(job_id, read_at=NOW)
    visitor = desk.visitor()
    for place in ("https://evil.example/", "//evil.example", "/console/\\evil", "/v1/jobs", ""):
        answer = visitor.post(f"/console/jobs/{job_id}/callbacks/{callback}/replay", back=place)
        assert answer.location == f"/console/jobs/{job_id}"


def test_how_ends_were_heard_of_is_told_by_gateway(desk: Desk) -> None:
    visitor = desk.visitor()
    assert "No order has ended in these days." in visitor.text(CALLBACKS)
    for by in ("callback", "poll"):
        job_id = desk.orders.add(TODAY, "charged", state="archived", outcome="delivered", with_callback=True)
        with desk.database.write() as db:
            db.execute(sa.update(attempts).where(attempts.c.job_id == job_id).values(news_by=by, news_at=NOW))
    figures = desk.api.get("/v1/callbacks/figures").get_json()["data"][0]
    page = visitor.text(CALLBACKS)
    (row,) = re.findall(r'<tr><th scope="row">evolink</th>(.*?)</tr>', page, re.DOTALL)
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
    names = ("ended", "told", "asked", "late")
    assert cells[:4] == [str(figures[name]) for name in names] == ["2", "1", "1", "0"]
    assert cells[4] == f"{figures['lost']} 50%"


def test_figures_are_of_two_days_of_a_week_or_of_as_many_as_callbacks_are_kept(
    desk: Desk, make_api: Callable[..., FlaskClient]
) -> None:
    visitor, yesterday = desk.visitor(), f"{NOW - timedelta(days=1):%Y-%m-%d}"
    assert f"{yesterday} to {TODAY}" in visitor.text(CALLBACKS)
    assert f"{NOW - timedelta(days=6):%Y-%m-%d} to {TODAY}" in visitor.text(f"{CALLBACKS}?span=week")
    soon_gone = Desk(make_api(KEEP_CALLBACKS_D="0.5"), desk.database).visitor()
    assert f"{TODAY} to {TODAY}" in soon_gone.text(CALLBACKS)


def test_lists_without_anything_say_what_makes_them(desk: Desk) -> None:
    visitor = desk.visitor()
    assert "RUSHES_PUBLIC_URL" in visitor.text(CALLBACKS)
    page = visitor.text(NOTICES)
    assert "notify_url" in page
    assert "rushes notices test URL" in page


# Notices


def test_notices_are_listed_with_what_became_of_them(desk: Desk) -> None:
    given_up = desk.notice(1)
    waiting = desk.notice(2, alarm_at=NOW + timedelta(minutes=5), last_status=None, last_error=None)
    delivered = desk.notice(3, delivered_at=NOW, last_status=204, last_error=None)
    page = desk.visitor(Scope.READ).text(NOTICES)
    assert listed(page) == [delivered, waiting, given_up]
    for said in ("answered 500", "tried next", "answered 204; delivered"):
        assert said in page
    assert "secret" not in page
    assert actions(page) == ["/console/sign-out"], "of a key that may only look"


def test_notices_are_filtered_by_the_address(desk: Desk) -> None:
    given_up, done = desk.notice(1), desk.notice(2, delivered_at=NOW, type="job.archived")
    visitor = desk.visitor()
    for address, found in {"state=failed": [given_up], "type=job.archived": [done], "state=waiting": []}.items():
        page = visitor.text(f"{NOTICES}?{address}")
        assert listed(page) == found, address
        assert found or "No notice is like that." in page
    assert visitor.get(f"{NOTICES}?state=lost").status_code == 422


def test_what_can_be_chosen_is_what_the_api_knows() -> None:
    assert (set(TYPES), set(STATES)) == (set(MEANINGS), {state.value for state in NoticeState})


def test_a_notice_unfolds_to_what_it_says_and_its_tries(desk: Desk) -> None:
    notice = desk.notice(1)
    with desk.database.write() as db:
        for number, status in ((1, 500), (2, None)):
            tried = {"number": number, "at": NOW, "status": status, "error": None if status else "no route"}
            db.execute(sa.insert(notice_tries).values(notice_id=notice, took_s=0.25, **tried))
    visitor = desk.visitor()
    (place,) = re.findall(r'hx-get="(/console/notices/[^"]+)"', visitor.text(NOTICES))
    shown = visitor.text(place)
    assert "<b>" not in shown
    assert '"id": "<b>"' in unescape(shown)
    assert "answered 500, in 0.2 s" in shown
    assert "no answer, no route" in shown


def test_a_pruned_notice_says_that_it_is_gone(desk: Desk) -> None:
    assert "It is gone" in desk.visitor().text(f"{NOTICES}/ntc_01K8Z3V0QWERTYUIOPASDFGHJK")


def test_one_notice_or_all_that_were_given_up_are_sent_again(desk: Desk) -> None:
    notice, others = desk.notice(1, delivered_at=NOW), [desk.notice(number) for number in (2, 3)]
    visitor = desk.visitor()
    (action,) = [
        path for path in actions(visitor.text(f"{NOTICES}?state=delivered")) if path.startswith("/console/jobs/")
    ]
    answer = visitor.post(action, back=f"{NOTICES}?state=delivered")
    assert (answer.location, visitor.told(answer)) == (f"{NOTICES}?state=delivered", "The notice goes out once more.")
    assert visitor.told(visitor.post(f"{NOTICES}/resend")) == "2 notices go out once more."
    told = {each["id"]: each["state"] for each in desk.api.get("/v1/notices").get_json()["data"]}
    assert told == dict.fromkeys([notice, *others], "waiting")
    assert visitor.told(visitor.post(f"{NOTICES}/resend")) == "0 notices go out once more."
