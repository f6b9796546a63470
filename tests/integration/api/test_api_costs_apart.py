"""GET /v1/costs?by=…: the same account, summed apart by day, gateway, key, batch and entries of metadata."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import Orders
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.reports.costs import LINES
from jobs.settings import Settings
from jobs.store.database import Database
from jobs.store.tables import jobs
from jobs.upkeep.prune import Pruning
from rushes.api import costs

pytestmark = pytest.mark.both_databases

ODD = 'it\'s "odd" $.[0]'
APART = ("day", "provider", "key", "batch", "metadata.project", f"metadata.{ODD}")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ENDS = (
    ("held", "open", "generating"),
    ("charged", "delivered", "archived"),
    ("charged", "undelivered", "failed"),
    ("refunded", "failed", "failed"),
    ("uncertain", "expired", "failed"),
    ("none", "refused", "failed"),
)


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


@pytest.fixture
def teams(database: Database) -> list[str]:
    """The ids of two keys that have one name, and what stands for the broker's."""
    return [*(api_keys.create(database, "team snow")[0] for _ in range(2)), "celery"]


def ask(api: FlaskClient, *by: str, **more: str) -> Any:
    days = {"from": "2026-03-01", "to": "2026-03-31"}
    answer = api.get("/v1/costs", query_string={**days, **({"by": ",".join(by)} if by else {}), **more})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def refused(api: FlaskClient, **query: str) -> dict[str, list[str]]:
    days = {"from": "2026-03-01", "to": "2026-03-31"}
    answer = api.get("/v1/costs", query_string={**days, **query})
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (422, "invalid_request")
    errors: dict[str, list[str]] = answer.get_json(force=True)["errors"]
    return errors


def book(orders: Orders, keys: list[str], seed: int, size: int = 40) -> None:
    """Orders of March, of whatever becomes of jobs and money, at prices of any number of digits."""
    draw = random.Random(seed)
    for _ in range(size):
        standing, outcome, state = draw.choice(ENDS)
        entries = {"project": draw.choice(["snow", "=1+1", "é"]), "scene": str(draw.random()), ODD: draw.choice("xy")}
        usd = draw.choice([None, draw.random() * 3])
        reported = draw.choice([None, 0.5, 1, 20])
        orders.add(
            f"2026-03-{draw.choice(['01', '02', '31'])}",
            standing,
            outcome=outcome,
            state=state,
            provider=draw.choice(["evolink", "apiframe"]),
            estimated_usd=usd,
            reported_usd=usd and reported and usd * reported,
            estimated_credits=draw.randrange(50),
            of_job={
                "batch": draw.choice([None, "monday", "-2"]),
                "api_key_id": draw.choice(keys),
                "metadata": {name: entries[name] for name in draw.sample(sorted(entries), draw.randrange(4))},
            },
        )


def group(row: dict[str, Any], name: str) -> str | None:
    kind, _, key = name.partition(".")
    found: str | None = row[kind][key] if key else row[kind]
    return found


def by_line(data: list[dict[str, Any]], what: str) -> dict[str, Decimal]:
    """What the rows of each line come to, to the digit."""
    found = dict.fromkeys(LINES, Decimal(0))
    for row in data:
        found[row["line"]] += Decimal(str(row[what]))
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_however_orders_are_summed_apart_they_come_to_the_same(
    api: FlaskClient, orders: Orders, teams: list[str], seed: int
) -> None:
    book(orders, teams, seed)
    whole = ask(api)
    assert whole["by"] == ["day", "provider"]
    groupings = [by for size in (1, 2, 3, 5) for by in itertools.permutations(APART, size)]
    for by in [*APART, *random.Random(seed).sample(groupings, 20)]:
        by = (by,) if isinstance(by, str) else by
        told = ask(api, *by)
        assert (told["by"], told["totals"]) == (list(by), whole["totals"])
        for what in ("attempts", "usd", "unpriced"):
            assert by_line(told["data"], what) == by_line(whole["data"], what), by
        if "provider" in by:
            assert by_line(told["data"], "credits") == by_line(whole["data"], "credits")
        else:
            assert {row["credits"] for row in told["data"]} == {None}
        keys = [(*(group(row, name) for name in by), row["line"]) for row in told["data"]]
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("seed", [4, 5])
@pytest.mark.parametrize("name", ["provider", "batch", "key"])
def test_what_is_asked_for_alone_is_what_its_group_has(
    api: FlaskClient, orders: Orders, teams: list[str], name: str, seed: int
) -> None:
    book(orders, teams, seed)
    by = (name, "provider", "day") if name != "provider" else (name, "day")
    whole = ask(api, *by)["data"]
    values = {row[name] for row in whole} - {None}
    assert len(values) >= 2
    for value in values:
        assert ask(api, *by, **{name: value})["data"] == [row for row in whole if row[name] == value]


def test_a_month_by_project_and_day_is_sorted_as_it_was_asked_for(api: FlaskClient, orders: Orders) -> None:
    for day, project in (("01", "b"), ("02", "b"), ("02", "a"), ("03", None)):
        metadata = {} if project is None else {"project": project, "other": "x"}
        orders.add(f"2026-03-{day}", "charged", estimated_usd=0.1, of_job={"metadata": metadata})
    told = ask(api, "metadata.project", "day")["data"]
    assert [(row["metadata"], row["day"][-2:]) for row in told] == [
        ({"project": "a"}, "02"),
        ({"project": "b"}, "02"),
        ({"project": "b"}, "01"),
        ({"project": None}, "03"),
    ]
    assert told[0] == {
        "metadata": {"project": "a"},
        "day": "2026-03-02",
        "line": "charged",
        "attempts": 1,
        "usd": 0.1,
        "unpriced": 0,
        "credits": None,
    }


def test_keys_are_told_by_id_and_name_and_found_by_both(api: FlaskClient, orders: Orders, teams: list[str]) -> None:
    for key_id, usd in zip([*teams, "key_gone"], (1.0, 2.0, 4.0, 8.0), strict=True):
        orders.add("2026-03-02", "charged", estimated_usd=usd, of_job={"api_key_id": key_id})
    told = {row["key"]: (row["key_name"], row["usd"]) for row in ask(api, "key")["data"]}
    first, second, broker = teams
    assert told == {
        first: ("team snow", 1.0),
        second: ("team snow", 2.0),
        broker: (None, 4.0),
        "key_gone": (None, 8.0),
    }
    for said, usd in ((first, 1.0), ("team snow", 3.0), ("celery", 4.0)):
        assert ask(api, key=said)["totals"][0]["usd"] == usd


def test_credits_of_one_gateway_have_a_sum_however_they_are_grouped(api: FlaskClient, orders: Orders) -> None:
    orders.add("2026-03-02", "charged", provider="apiframe", estimated_credits=17)
    orders.add("2026-03-03", "charged", provider="apiframe", estimated_credits=26)
    orders.add("2026-03-03", "charged", provider="evolink", estimated_credits=5)
    assert [row["credits"] for row in ask(api, "batch")["data"]] == [None]
    assert [row["credits"] for row in ask(api, "batch", provider="apiframe")["data"]] == [43.0]


def test_a_batch_that_no_job_has_came_to_nothing(api: FlaskClient, orders: Orders) -> None:
    orders.add("2026-03-02", "charged", estimated_usd=1.0, of_job={"batch": "monday"})
    told = ask(api, "batch", batch="tuesday")
    assert (told["data"], told["totals"][0]["attempts"]) == ([], 0)


def test_an_entry_that_no_job_has_is_refused_with_those_that_there_are(api: FlaskClient, orders: Orders) -> None:
    assert ask(api, "metadata.projcet")["data"] == []  # no orders at all: there is nothing to be mistaken about
    orders.add("2026-03-02", "charged", estimated_usd=1.0)
    assert "their jobs have no metadata" in refused(api, by="metadata.project")["by"][0]
    orders.add("2026-03-02", "charged", estimated_usd=1.0, of_job={"metadata": {"scene": "1", "project": "snow"}})
    orders.add("2026-02-02", "charged", estimated_usd=1.0, of_job={"metadata": {"projcet": "of another month"}})
    (said,) = refused(api, by="day,metadata.projcet")["by"]
    assert said.startswith("No order of 2026-03-01 to 2026-03-31 has metadata.projcet; there are")
    assert said.endswith("there are metadata.project, metadata.scene.")


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ({"by": "project"}, "by", "Knows no project; choose from day, provider, key, batch and metadata.<key>."),
        ({"by": ""}, "by", "Knows no ; choose from"),
        ({"by": "day,"}, "by", "Knows no ; choose from"),
        ({"by": "metadata."}, "by", "Knows no metadata.; choose from"),
        ({"by": "metadata.a\0"}, "by", "NUL"),
        ({"by": f"metadata.{'x' * 65}"}, "by", "choose from"),
        ({"by": "day,provider,key,batch,metadata.a,metadata.b"}, "by", "Choose from 1 to 5"),
        ({"key": "team rain"}, "key", "No API key has this id or name"),
        ({"key": "\0"}, "key", "NUL"),
        ({"batch": "\0"}, "batch", "NUL"),
        ({"format": "xlsx"}, "format", "Knows no xlsx; choose from json, csv."),
        ({"from": "2024-03-01", "by": "batch", "format": "csv"}, "from", "at most 366 at once"),
    ],
)
def test_a_wrong_grouping_is_refused_with_what_is_right(
    api: FlaskClient, query: dict[str, str], field: str, words: str
) -> None:
    assert words in " ".join(refused(api, **query)[field])


def test_a_secret_in_the_place_of_a_keys_name_is_not_repeated(api: FlaskClient) -> None:
    secret = api.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    assert secret not in str(refused(api, key=secret))


def test_more_sums_than_anybody_reads_are_refused_with_what_to_do(
    api: FlaskClient, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "MOST_SUMS", 2)
    for scene in ("1", "2", "3"):
        orders.add("2026-03-02", "charged", estimated_usd=1.0, of_job={"metadata": {"scene": scene}})
    assert "more than 2 sums; ask for fewer days, or sum less apart" in refused(api, by="metadata.scene")["by"][0]
    assert ask(api, "day")["totals"][0]["attempts"] == 3


def test_pruning_takes_nothing_from_any_sum(
    api: FlaskClient, orders: Orders, database: Database, settings: Settings, teams: list[str]
) -> None:
    book(orders, teams, seed=6)
    before = [ask(api, name) for name in APART]
    with database.write() as db:
        db.execute(sa.update(jobs).values(created_at=LONG_AGO))
        db.execute(sa.update(jobs).where(jobs.c.state.in_(["archived", "failed"])).values(ended_at=LONG_AGO))
    pruned = Pruning(database, settings, pause=lambda seconds: None).run()
    assert pruned.histories > 20
    assert [ask(api, name) for name in APART] == before
