"""GET /v1/overview."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import Orders
from flask.testing import FlaskClient

from jobs.reports import overview
from jobs.store.database import Database
from rushes.api.overview import DyingSchema, OverviewSchema, PaceSchema, ProviderStandsSchema, StepSchema
from rushes.api.schemas.callback_figures import FigureSchema

pytestmark = pytest.mark.both_databases

DAY = "2026-03-03"


@pytest.fixture
def now(database: Database) -> datetime:
    with database.read() as db:
        return database.clock(db)


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


def told(api: FlaskClient, query: str = "") -> dict[str, Any]:
    answer = api.get(f"/v1/overview{query}")
    found: dict[str, Any] = answer.get_json(force=True)
    assert answer.status_code == 200, found
    assert OverviewSchema().validate(found) == {}
    assert found.keys() == OverviewSchema().fields.keys()
    parts = ((StepSchema, "steps"), (PaceSchema, "paces"), (FigureSchema, "callbacks"), (DyingSchema, "dying"))
    parts = (*parts, (ProviderStandsSchema, "providers"))
    for schema, each in parts:
        assert all(one.keys() == schema().fields.keys() for one in found[each])
    return found


def ended(orders: Orders, state: str, at: datetime, took_s: float, provider: str = "evolink") -> str:
    times = {"created_at": at - timedelta(seconds=took_s), "ended_at": at, "provider": provider}
    return orders.add(DAY, "charged", state=state, of_job=times)


def test_live_jobs_are_counted_by_state_whenever_they_began(api: FlaskClient, orders: Orders, now: datetime) -> None:
    assert told(api)["live"] == {}
    orders.add(DAY, "held", of_job={"created_at": now - timedelta(days=400)})
    orders.add(DAY, "held")
    orders.add(DAY, "held", state="unconfirmed")
    ended(orders, "archived", now, 5)
    assert told(api)["live"] == {"unconfirmed": 1, "generating": 2}


def test_what_ended_is_counted_within_the_span_alone(api: FlaskClient, orders: Orders, now: datetime) -> None:
    for minutes, state in (
        (1, "archived"),
        (59, "failed"),
        (61, "archived"),
        (23 * 60, "cancelled"),
        (25 * 60, "failed"),
    ):
        ended(orders, state, now - timedelta(minutes=minutes), 5)
    assert told(api)["ended"] == told(api, "?span=hour")["ended"] == {"archived": 1, "failed": 1}
    assert told(api, "?span=day")["ended"] == {"archived": 2, "failed": 1, "cancelled": 1}
    week = told(api, "?span=week")
    assert week["ended"] == {"archived": 2, "failed": 2, "cancelled": 1}
    for span, count in (("hour", 30), ("day", 48), ("week", 42)):
        found = told(api, f"?span={span}")
        assert len(found["steps"]) == count
        sums: dict[str, int] = {}
        for step in found["steps"]:
            for state, number in step["ended"].items():
                sums[state] = sums.get(state, 0) + number
        assert sums == found["ended"]
    last = told(api)["steps"][-1]
    assert last["ended"] == {"archived": 1}


def test_times_to_the_archive_are_those_of_jobs_by_gateway(api: FlaskClient, orders: Orders, now: datetime) -> None:
    for seconds in range(1, 21):
        ended(orders, "archived", now - timedelta(seconds=1), seconds)
    ended(orders, "archived", now - timedelta(seconds=1), 7.5, "easyrouter")
    ended(orders, "failed", now - timedelta(seconds=1), 500, "easyrouter")
    assert told(api)["paces"] == [
        {"provider": "easyrouter", "archived": 1, "p50_s": 7.5, "p95_s": 7.5},
        {"provider": "evolink", "archived": 20, "p50_s": 10.0, "p95_s": 19.0},
    ]


def test_the_links_that_die_first_come_first(api: FlaskClient, orders: Orders, now: datetime) -> None:
    hours = [5, 1, 3, 2, 4, 6]
    made = {
        hour: orders.add(
            DAY, "charged", state="archiving", of_job={"link_dies_at": now + timedelta(hours=hour), "troubles": hour}
        )
        for hour in hours
    }
    ended(orders, "archived", now, 5)
    found = told(api)["dying"]
    assert [each["job_id"] for each in found] == [made[hour] for hour in range(1, 6)]
    assert (found[0]["troubles"], datetime.fromisoformat(found[0]["link_dies_at"]) > now) == (1, True)


def test_where_too_many_ended_the_answer_says_how_far_back_it_looked(
    api: FlaskClient, orders: Orders, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "READ", 3)
    ended(orders, "failed", now - timedelta(minutes=50), 5)
    for minutes in (40, 30, 20, 10):
        ended(orders, "archived", now - timedelta(minutes=minutes), 5)
    found = told(api)
    assert found["ended"] == {"archived": 3}
    since = datetime.fromisoformat(found["since"]).astimezone(UTC)
    assert abs(since - (now - timedelta(minutes=30))) < timedelta(seconds=1)


def test_it_tells_of_callbacks_as_far_back_as_the_span_and_as_they_are_kept(
    api: FlaskClient, orders: Orders, now: datetime, make_api: Callable[..., FlaskClient]
) -> None:
    def heard(by: str, ago: timedelta) -> None:
        at = {"finished_at": now - ago - timedelta(seconds=4), "news_at": now - ago}
        orders.add(DAY, "charged", state="archived", outcome="delivered", with_callback=True, news_by=by, **at)

    assert told(api)["callbacks"] == []
    heard("callback", timedelta(minutes=1))
    heard("poll", timedelta(minutes=2))
    heard("poll", timedelta(hours=2))
    (figure,) = told(api)["callbacks"]
    assert (figure["provider"], figure["told"], figure["asked"], figure["lost"]) == ("evolink", 1, 1, 1)
    assert (figure["loss_ratio"], figure["found_after_s"]) == (0.5, {"orders": 1, "p50": 4.0, "p95": 4.0})
    (figure,) = told(api, "?span=day")["callbacks"]
    assert (figure["told"], figure["asked"]) == (1, 2)
    soon_gone = make_api(KEEP_CALLBACKS_D=str(1 / 24))
    (figure,) = told(soon_gone, "?span=day")["callbacks"]
    assert (figure["told"], figure["asked"]) == (1, 1)


def test_it_tells_how_each_gateway_that_has_a_key_stands(make_api: Callable[..., FlaskClient]) -> None:
    api = make_api(EVOLINK_API_KEY="sk-1", GRAVITEX_API_KEY="sk-2")
    listed = {each["name"]: each["status"] for each in api.get("/v1/providers").get_json()["data"]}
    stands = {each.pop("name"): each for each in told(api)["providers"]}
    assert stands.keys() == {name for name, status in listed.items() if status} >= {"evolink", "gravitex"}
    for name, status in stands.items():
        assert status == {key: value for key, value in listed[name].items() if key != "last_day"}


def test_the_ends_of_a_span_are_sought_in_their_index(database: Database, orders: Orders, now: datetime) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    for build in (overview._ends, overview._lasted):
        with database.engine.connect() as db:
            if not database.is_sqlite:
                for way in ("seqscan", "bitmapscan", "sort"):  # which a planner prefers while a table is small
                    db.execute(sa.text(f"SET LOCAL enable_{way} = off"))
            asked = db.execute(build(database.is_sqlite), {"since": now, "read": 5, "width_s": 60}).context
            told = db.exec_driver_sql(f"{explain} {asked.statement}", asked.parameters[0])
            plan = "\n".join(str(row[-1]) for row in told)
            db.rollback()
        assert "ix_jobs_ended_at" in plan, plan
