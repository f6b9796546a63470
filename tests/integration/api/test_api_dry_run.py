"""POST /v1/jobs?dry_run=true: where a request would go, at what price, without buying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import Bells, Orders
from flask.testing import FlaskClient

from jobs.providers.client import Account
from jobs.providers.prices import LONGEST_INPUT_S
from jobs.store import lanes, spending, tables
from jobs.store.database import Database
from rushes.api.schemas.jobs import QuoteSchema

PLAIN = {"prompt": "A red fox", "resolution": "720p", "duration": 2}
URL = "https://example.com/file"


@pytest.fixture
def two(make_api: Callable[..., FlaskClient]) -> FlaskClient:
    """EvoLink, and EasyRouter, which is dearer."""
    return make_api(EASYROUTER_API_KEY="sk-2")


def asked(api: FlaskClient, body: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    answer = api.post("/v1/jobs?dry_run=true", json=body, headers=headers)
    told: dict[str, Any] = answer.get_json(force=True)
    assert answer.status_code == status, told
    return told


def rows(database: Database) -> dict[str, int]:
    with database.read() as db:
        counted = [table for table in tables.metadata.sorted_tables if table.name not in {"api_keys", "tallies"}]
        return {t.name: db.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in counted}


def test_it_says_where_the_request_would_go_and_what_it_would_cost(two: FlaskClient) -> None:
    told = asked(two, PLAIN)
    assert told == {
        "dry_run": True,
        "made": None,
        "provider": "evolink",
        "price": {"seconds": 2.0, "credits": 0.172, "usd": 0.172, "exact": True},
        "waits": None,
        "considered": [
            {"provider": "evolink", "credits": 0.172, "usd": 0.172, "exact": True, "seconds": 2.0},
            {"provider": "easyrouter", "credits": 100_000.0, "usd": 0.2, "exact": True, "seconds": 2.0},
        ],
    }
    assert QuoteSchema().validate(told) == {}


def test_nothing_is_kept_sent_or_rung(two: FlaskClient, database: Database, bells: Bells) -> None:
    before = rows(database)
    asked(two, PLAIN, **{"Idempotency-Key": "order-1"})
    asked(two, {**PLAIN, "provider": "evolink"})
    assert rows(database) == before
    assert set(before.values()) == {0}
    assert bells.rung == []


def test_no_idempotency_key_is_used_up(two: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order-1"}
    asked(two, PLAIN, **headers)
    answer = two.post("/v1/jobs", json={**PLAIN, "seed": 7}, headers=headers)
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers


def test_why_the_others_cannot_is_told_by_field(two: FlaskClient) -> None:
    told = asked(two, {**PLAIN, "seed": 0})
    assert told["provider"] == "easyrouter"
    (evolink,) = [each for each in told["considered"] if each["provider"] == "evolink"]
    assert evolink["misfits"] == [{"field": "seed", "given": 0, "allowed": "1 to 2147483647", "why": "limit"}]


def test_what_hinders_a_better_one_is_told(two: FlaskClient, database: Database) -> None:
    with database.write() as db:
        account = Account("evolink", "https://api.evolink.ai", "sk-test")
        lanes.rest(db, account, "submit", "insufficient_credits", 900, now=database.clock(db))
    told = asked(two, PLAIN)
    assert (told["provider"], told["waits"]) == ("easyrouter", None)
    assert told["considered"][0]["obstacle"]["code"] == "insufficient_credits"


def test_what_would_be_waited_for_is_told_where_nobody_can_take_it_now(
    make_api: Callable[..., FlaskClient], database: Database
) -> None:
    api = make_api(EVOLINK_DAILY_USD="1")
    with database.write() as db:
        spending.reserve(db, "evolink", spending.day_of(database.clock(db)), 900_000, None)
    told = asked(api, PLAIN)
    assert (told["provider"], told["price"]) == (None, None)
    assert (told["waits"]["provider"], told["waits"]["code"]) == ("evolink", "over_budget")
    assert 0 < told["waits"]["seconds"] <= 900
    assert (told["waits"]["position"], told["waits"]["start_by"][-1]) == (1, "Z")
    assert QuoteSchema().validate(told) == {}


@pytest.mark.parametrize(
    ("uncertain", "told"), [(0, ""), (430_000, "; whether $0.43 of what is spent was charged, nobody knows")]
)
def test_what_is_uncertain_is_told_where_a_budget_is_waited_for(
    make_api: Callable[..., FlaskClient], database: Database, uncertain: int, told: str
) -> None:
    api = make_api(EVOLINK_DAILY_USD="1")
    with database.write() as db:
        day = spending.day_of(database.clock(db))
        spending.reserve(db, "evolink", day, 900_000, None)
    Orders(api, database).add(day, "uncertain", state="failed", outcome="expired", reserved_micro_usd=uncertain)
    reason = f"evolink would pass its $1.00 of the day (UTC){told}"
    answer = asked(api, PLAIN)
    assert answer["waits"]["reason"] == answer["considered"][0]["obstacle"]["reason"] == reason
    assert api.get("/v1/providers/evolink").get_json()["status"]["obstacle"]["reason"] == reason


def test_the_price_of_an_unknown_length_is_not_exact(api: FlaskClient) -> None:
    edit = {"mode": "video-edit", "prompt": "Snow", "media": [{"type": "video", "url": URL}], "resolution": "720p"}
    price = asked(api, edit)["price"]
    assert (price["seconds"], price["exact"]) == (2 * LONGEST_INPUT_S, False)  # input and output
    assert price["usd"] == pytest.approx(2 * LONGEST_INPUT_S * 0.086)


def test_dry_run_false_is_an_order(api: FlaskClient, bells: Bells) -> None:
    assert api.post("/v1/jobs?dry_run=false", json=PLAIN).status_code == 202
    assert len(bells.rung) == 1


@pytest.mark.parametrize("query", ["dry_run=maybe", "dry_run=", "dry_run=True%20"])
def test_what_is_neither_true_nor_false_is_refused_and_orders_nothing(
    api: FlaskClient, bells: Bells, query: str
) -> None:
    answer = api.post(f"/v1/jobs?{query}", json=PLAIN)
    assert answer.status_code == 422
    assert "dry_run=true" in answer.get_json()["errors"]["dry_run"][0]
    assert bells.rung == []


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "prompt", "Missing data"),
        ({**PLAIN, "promt": "x"}, "promt", "did you mean prompt"),
        ({**PLAIN, "seed": 0}, "seed", "evolink does not serve 0; it allows 1 to 2147483647"),
        ({**PLAIN, "provider": "apiframe"}, "provider", "RUSHES_APIFRAME_API_KEY"),
        ({**PLAIN, "notify_url": "https://example.com/x"}, "notify_url", "RUSHES_NOTICE_SECRETS"),
        (
            {
                **PLAIN,
                "mode": "image-to-video",
                "media": [{"type": "first_frame", "url": f"{URL}?Expires=1&Signature=x"}],
            },
            "media.0.url",
            "dies at 1970-01-01",
        ),
    ],
)
def test_a_wrong_request_is_refused_as_it_would_be_when_ordered(
    api: FlaskClient, body: dict[str, Any], field: str, words: str
) -> None:
    told = asked(api, body, 422)
    assert words in " ".join(told["errors"][field])
    ordered = api.post("/v1/jobs", json=body)
    assert ordered.status_code == 422
    assert set(ordered.get_json()["errors"]) == set(told["errors"])


def test_without_a_key_nothing_is_quoted(api: FlaskClient) -> None:
    assert api.application.test_client().post("/v1/jobs?dry_run=true", json=PLAIN).status_code == 401
