"""One action for all jobs that a filter matches."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Orders
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from jobs.store.tables import events
from rushes.console import bulk
from rushes.console.service import Refused, Reply, Service

PAGE, DAY = "/console/jobs/bulk", "2026-03-03"
ID = re.compile(r'name="id" value="(job_\w+)"')


@pytest.fixture
def key(database: Database) -> tuple[str, str]:
    return api_keys.create(database, "maria", Scope.WRITE)


@pytest.fixture
def visitor(api: FlaskClient, key: tuple[str, str]) -> Visitor:
    return Visitor(api.application, key[1])


def queued(api: FlaskClient, **more: Any) -> str:
    return str(api.post("/v1/jobs", json={**PLAIN, **more}).get_json()["id"])


def state(api: FlaskClient, job_id: str) -> str:
    return str(api.get(f"/v1/jobs/{job_id}").get_json()["state"])


def test_what_matches_is_counted_and_what_can_be_done_with_how_many(
    api: FlaskClient, database: Database, visitor: Visitor
) -> None:
    ids = [queued(api, batch="monday") for _ in range(3)]
    other = queued(api, batch="tuesday")
    Orders(api, database).add(DAY, "charged", state="archived")
    page = visitor.text(f"{PAGE}?batch=monday")
    assert "3 jobs that match" in page
    assert "Cancel (3)" in page
    assert set(ID.findall(page)) == set(ids)
    assert "Retry or copy again" not in page
    everything = visitor.text(PAGE)
    assert "5 jobs that match" in everything
    assert set(ID.findall(everything)) == {*ids, other}
    assert "The other 1 are" in everything


def test_exactly_those_that_were_counted_are_cancelled_under_the_key_that_confirmed(
    api: FlaskClient, database: Database, visitor: Visitor, key: tuple[str, str]
) -> None:
    ids = [queued(api, batch="monday") for _ in range(3)]
    counted = ID.findall(visitor.text(f"{PAGE}?batch=monday"))
    later = queued(api, batch="monday")
    answer = visitor.post(f"{PAGE}/cancel", id=counted, sure="on", back="/console/jobs?batch=monday")
    assert answer.location == "/console/jobs?batch=monday"
    assert visitor.told(answer).startswith("3 jobs are cancelled")
    assert [state(api, job_id) for job_id in (*ids, later)] == ["cancelled"] * 3 + ["queued"]
    with database.read() as db:
        said = db.execute(sa.select(events.c.detail).where(events.c.event == "cancel")).scalars()
        assert {detail["api_key"] for detail in said} == {key[0]}


def test_what_is_refused_is_told_by_its_reason_and_hinders_no_other(
    api: FlaskClient, database: Database, visitor: Visitor
) -> None:
    orders = Orders(api, database)
    done = [orders.add(DAY, "charged", state="archived", outcome="delivered") for _ in range(2)]
    one = queued(api)
    told = visitor.told(visitor.post(f"{PAGE}/cancel", id=[*done, one, "job_0"], sure="on"))
    assert told.startswith("1 job is cancelled")
    assert "2 × " in told
    assert "1 × No such job." in told
    assert state(api, one) == "cancelled"


def test_failed_jobs_are_tried_again_and_paid_for_twice_by_choice_alone(
    api: FlaskClient, database: Database, visitor: Visitor
) -> None:
    orders = Orders(api, database)
    refused = {"outcome": "refused", "error_code": "bad_request", "error_retryable": True}
    safe = orders.add(DAY, "none", state="failed", **refused)
    charged = orders.add(DAY, "charged", state="failed", outcome="expired")
    page = visitor.text(f"{PAGE}?state=failed")
    assert set(ID.findall(page)) == {safe, charged}
    assert visitor.told(visitor.post(f"{PAGE}/retry", id=[safe, charged], sure="on")).startswith("1 job is worked on")
    assert (state(api, safe), state(api, charged)) == ("queued", "failed")
    visitor.post(f"{PAGE}/retry", id=[charged], sure="on", accept_double_charge="true")
    assert state(api, charged) == "queued"


def test_who_is_not_sure_does_nothing(api: FlaskClient, visitor: Visitor) -> None:
    job_id = queued(api)
    assert "Nothing was done" in visitor.told(visitor.post(f"{PAGE}/cancel", id=[job_id]))
    assert state(api, job_id) == "queued"


def test_a_key_that_may_only_look_is_shown_no_way_and_refused(api: FlaskClient, database: Database) -> None:
    job_id = queued(api)
    _, key = api_keys.create(database, "wall", Scope.READ)
    reader = Visitor(api.application, key)
    assert PAGE not in reader.text("/console/jobs")
    assert "0 jobs are" in reader.told(reader.post(f"{PAGE}/cancel", id=[job_id], sure="on"))
    assert state(api, job_id) == "queued"


def test_more_than_are_done_at_once_are_told(
    api: FlaskClient, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    monkeypatch.setattr(bulk, "PAGE", 1)
    ids = [queued(api) for _ in range(3)]
    page = visitor.text(PAGE)
    assert "There are more." in page
    assert set(ID.findall(page)) == set(ids[1:])
    visitor.post(f"{PAGE}/cancel", id=ids, sure="on")
    assert sorted(state(api, job_id) for job_id in ids) == ["cancelled", "cancelled", "queued"]


def test_once_the_key_has_asked_too_often_the_others_are_left_and_counted(
    api: FlaskClient, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(service: Service, path: str, *more: Any, **named: Any) -> Reply:
        asked.append(path)
        if len(asked) > 2:
            raise Refused(429, {"title": "Too many requests."})
        return really(service, path, *more, **named)

    ids = [queued(api) for _ in range(5)]
    asked: list[str] = []
    really = Service.post
    monkeypatch.setattr(Service, "post", post)
    told = visitor.told(visitor.post(f"{PAGE}/cancel", id=ids, sure="on"))
    assert told.startswith("2 jobs are cancelled")
    assert told.endswith("Not: 3 × Too many requests.")
    assert len(asked) == 3


def test_a_wrong_filter_and_an_unknown_action_are_refused(visitor: Visitor) -> None:
    assert visitor.get(f"{PAGE}?state=gone").status_code == 422
    assert visitor.post(f"{PAGE}/delete", sure="on").status_code == 404
