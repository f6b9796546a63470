"""GET /v1/providers, and the view behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import ACCOUNT, PLAIN, Bells, Orders, as_operator
from flask.testing import FlaskClient

from jobs.providers.client import Account
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import DEFAULT_MODEL, WAN_2_7, Mode
from jobs.store import lanes, spending
from jobs.store.database import Database
from jobs.store.tables import jobs, unknown_words
from rushes.api.schemas.providers import ProviderSchema

EVOLINK = Account("evolink", "https://api.evolink.ai", "sk-test")
WELL = {"submit": None, "query": None, "previous_query": None}
NO_ENDS = {"ended": 0, "told": 0, "asked": 0, "late": 0, "lost": 0, "loss_ratio": None}


def one(api: FlaskClient, name: str = "evolink") -> dict[str, Any]:
    told: dict[str, Any] = api.get(f"/v1/providers/{name}").get_json()
    return told


def test_every_gateway_is_told_and_only_those_with_a_key_have_a_status(api: FlaskClient) -> None:
    told = api.get("/v1/providers").get_json()["data"]
    assert [each["name"] for each in told] == list(PROVIDERS)
    assert {each["name"] for each in told if each["configured"]} == {"evolink"}
    assert {each["name"] for each in told if each["status"]} == {"evolink"}
    assert one(api) == next(each for each in told if each["name"] == "evolink")


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_answer_holds_exactly_what_the_interface_describes(api: FlaskClient, name: str) -> None:
    told = one(api, name)
    schema = ProviderSchema()
    assert set(told) == set(schema.fields)
    assert schema.validate(told) == {}
    ability = schema.fields["modes"].value_field.schema.fields  # type: ignore[attr-defined]
    assert {frozenset(mode) for mode in told["modes"].values()} == {frozenset(ability)}
    assert list(told["modes"]) == [mode.value for mode in Mode if mode in PROVIDERS[name].modes(WAN_2_7)]


@pytest.mark.parametrize("name", ["evolink", "gravitex"])
def test_the_status_stands_under_its_earlier_name_too(api: FlaskClient, name: str) -> None:
    told = one(api, name)
    assert told["standing"] == told["status"]


def test_what_is_told_of_the_default_model_is_told_under_its_name_too(api: FlaskClient) -> None:
    told = one(api)
    assert told["models"] == {DEFAULT_MODEL: told["modes"]}


def test_a_key_is_shown_nowhere(api: FlaskClient) -> None:
    assert "sk-test" not in json.dumps(api.get("/v1/providers").get_json())
    assert ACCOUNT not in json.dumps(api.get("/v1/providers").get_json())


def test_an_idle_gateway_is_ready(api: FlaskClient) -> None:
    assert one(api)["status"] == {
        "obstacle": None,
        "paused": WELL,
        "in_flight": 0,
        "max_in_flight": 50,
        "unanswered": 0,
        "max_unconfirmed": 5,
        "holds_up": 0,
        "budget": None,
        "unknown_words": {},
        "last_day": NO_ENDS,
    }


def test_prices_are_the_tables_and_the_operators_word_is_stronger(make_api: Callable[..., FlaskClient]) -> None:
    plain = make_api()
    assert one(plain, "aivideoapi")["modes"]["text-to-video"]["price_per_s"]["720p"] == {"credits": 24.0, "usd": 0.12}
    assert one(plain, "gravitex")["modes"]["text-to-video"]["price_per_s"]["720p"] == {"credits": None, "usd": None}
    named = make_api(GRAVITEX_USD_PER_S="720p=0.1,image-to-video/720p=0.2", APIFRAME_USD_PER_CREDIT="0.01")
    gravitex = one(named, "gravitex")["modes"]
    assert gravitex["text-to-video"]["price_per_s"]["720p"]["usd"] == 0.1
    assert gravitex["image-to-video"]["price_per_s"]["720p"]["usd"] == 0.2
    assert gravitex["text-to-video"]["price_per_s"]["1080p"]["usd"] is None
    assert one(named, "apiframe")["modes"]["text-to-video"]["price_per_s"]["720p"] == {"credits": 17.0, "usd": 0.17}


def test_a_switch_that_is_on_shows_with_what_it_allows(make_api: Callable[..., FlaskClient]) -> None:
    told = one(make_api(AIVIDEOAPI_UNDOCUMENTED="first_clip"), "aivideoapi")
    assert told["switches"]["first_clip"]["on"] is True
    sets = {each["undocumented"]: each["on"] for each in told["modes"]["image-to-video"]["media"]}
    assert sets == {None: True, "first_clip": True}
    assert one(make_api(), "aivideoapi")["switches"]["first_clip"]["on"] is False


def test_another_address_shows(make_api: Callable[..., FlaskClient]) -> None:
    assert one(make_api(EVOLINK_BASE_URL="https://mirror.example"))["base_url"] == "https://mirror.example"


def test_the_pace_in_force_shows_be_it_the_gateways_or_the_operators(make_api: Callable[..., FlaskClient]) -> None:
    assert one(make_api())["polling"] == {"first_s": 15, "then_s": 15, "budget_per_s": 5}
    api = make_api(EVOLINK_QUERIES_PER_S="0.5")
    assert one(api)["polling"] == {"first_s": 15, "then_s": 15, "budget_per_s": 0.5}
    assert one(api, "apiframe")["polling"]["budget_per_s"] == 5


def test_a_key_that_rests_says_why_and_until_when(api: FlaskClient, database: Database) -> None:
    with database.write() as db:
        now = database.clock(db)
        lanes.rest(db, EVOLINK, "submit", "rate_limited", 600, now=now)
        lanes.rest(db, EVOLINK, "query", "rate_limited", 60, now=now)
    told = one(api)["status"]
    assert told["paused"]["submit"]["reason"] == "rate_limited"
    assert 550 < told["paused"]["submit"]["seconds"] <= 600
    assert told["paused"]["submit"]["until"].endswith("Z")
    assert 30 < told["paused"]["query"]["seconds"] <= 60
    assert told["obstacle"]["code"] == "rate_limited"


def test_a_full_gateway_says_so(make_api: Callable[..., FlaskClient], database: Database) -> None:
    api = make_api(MAX_IN_FLIGHT="2")
    orders = Orders(api, database)
    for _ in range(2):
        orders.add("2026-03-03", "held")
    told = one(api)["status"]
    assert (told["in_flight"], told["max_in_flight"], told["obstacle"]["code"]) == (2, 2, "full")


@pytest.mark.parametrize(("spent", "code"), [(0.8, None), (0.9, "over_budget"), (1.0, "over_budget")])
def test_a_budget_is_spent_once_not_even_the_cheapest_video_fits(
    make_api: Callable[..., FlaskClient], database: Database, spent: float, code: str | None
) -> None:
    with database.write() as db:
        day = spending.day_of(database.clock(db))
        assert spending.reserve(db, "evolink", day, spending.micro(spent), None)
    told = one(make_api(EVOLINK_DAILY_USD="1"))["status"]
    assert told["budget"] == {"daily_usd": 1.0, "spent_usd": spent, "uncertain_usd": 0.0, "day": day}
    assert (told["obstacle"] or {}).get("code") == code


def test_words_that_nobody_knows_are_counted(api: FlaskClient, database: Database) -> None:
    with database.write() as db:
        row = {"provider": "evolink", "word": "dreaming", "times": 3, "last_at": database.clock(db)}
        db.execute(sa.insert(unknown_words).values(**row))
    assert one(api)["status"]["unknown_words"] == {"dreaming": 3}


def test_an_unknown_gateway_is_404_that_names_those_there_are(api: FlaskClient) -> None:
    answer = api.get("/v1/providers/evolinc")
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (404, "unknown_provider")
    assert "No gateway 'evolinc'; there are aivideoapi, apiframe, easyrouter, evolink, gravitex." in problem["detail"]


@pytest.mark.parametrize("path", ["/v1/providers", "/v1/providers/evolink"])
def test_a_parameter_that_nobody_knows_is_refused(api: FlaskClient, path: str) -> None:
    answer = api.get(f"{path}?configured=true")
    assert (answer.status_code, list(answer.get_json()["errors"])) == (422, ["configured"])


class TestRests:
    """A person lets a gateway rest, and ends its rest."""

    @pytest.fixture
    def operator(self, api: FlaskClient, database: Database) -> FlaskClient:
        return as_operator(api, database)

    @pytest.mark.parametrize(("body", "seconds"), [({}, 3600), ({"seconds": 90}, 90), (None, 3600)])
    def test_orders_rest_for_as_long_as_was_said_and_questions_do_not(
        self, operator: FlaskClient, body: Any, seconds: float
    ) -> None:
        told = operator.post("/v1/providers/evolink/rest", json=body).get_json()["status"]
        assert told["obstacle"]["code"] == told["paused"]["submit"]["reason"] == "by_hand"
        assert seconds - 10 < told["paused"]["submit"]["seconds"] <= seconds
        assert told["paused"]["query"] is None

    def test_a_rest_is_ended_and_those_who_waited_look_again_at_once(
        self, operator: FlaskClient, database: Database, bells: Bells
    ) -> None:
        job_id = operator.post("/v1/jobs", json=PLAIN).get_json()["id"]
        operator.post("/v1/providers/evolink/rest")
        with database.write() as db:
            later = database.clock(db) + timedelta(hours=1)
            waiting = {"provider": "evolink", "code": "by_hand", "reason": "evolink was told to rest"}
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(alarm_at=later, waiting=waiting))
        assert one(operator)["status"]["holds_up"] == 1
        told = operator.post("/v1/providers/evolink/resume").get_json()["status"]
        assert (told["obstacle"], told["paused"]) == (None, WELL)
        with database.read() as db:
            alarm_at = db.execute(sa.select(jobs.c.alarm_at).where(jobs.c.id == job_id)).scalar_one()
            assert alarm_at <= database.clock(db)
        assert ("jobs.sweep", "") in bells.rung

    def test_the_rests_of_the_previous_keys_questions_are_told_and_ended_as_well(
        self, make_api: Callable[..., FlaskClient], database: Database
    ) -> None:
        api = as_operator(make_api(EVOLINK_API_KEY_PREVIOUS="sk-old"), database)
        previous = Account("evolink", "https://api.evolink.ai", "sk-old")
        with database.write() as db:
            lanes.rest(db, previous, "query", "no_answer", 600, now=database.clock(db))
            lanes.rest(db, previous, "submit", "no_answer", 600, now=database.clock(db))  # it orders nothing any more
        told = one(api)["status"]
        assert (told["obstacle"], told["paused"]["submit"], told["paused"]["query"]) == (None, None, None)
        assert told["paused"]["previous_query"]["reason"] == "no_answer"
        (line,) = api.get("/v1/attention").get_json()["data"]
        assert (line["reason"], line["account"]) == ("gateway_rests", previous.fingerprint)
        assert "evolink does not answer questions; questions rest since" in line["detail"]
        assert 'lane="previous_query"' in api.get("/metrics").get_data(as_text=True)
        assert api.post("/v1/providers/evolink/resume").get_json()["status"]["paused"] == WELL
        assert api.get("/v1/attention").get_json()["data"] == []
        with database.read() as db:
            assert lanes.read(db, previous, "query").is_well

    @pytest.mark.parametrize("path", ["rest", "resume"])
    def test_a_pipelines_key_may_not(self, api: FlaskClient, path: str) -> None:
        answer = api.post(f"/v1/providers/evolink/{path}")
        assert answer.status_code == 403
        assert "scope admin" in answer.get_json()["detail"]
        assert one(api)["status"]["paused"]["submit"] is None

    @pytest.mark.parametrize("path", ["rest", "resume"])
    def test_a_gateway_without_a_key_has_nothing_to_rest(self, operator: FlaskClient, path: str) -> None:
        answer = operator.post(f"/v1/providers/gravitex/{path}")
        assert (answer.status_code, answer.get_json()["code"]) == (409, "no_api_key")
        assert "RUSHES_GRAVITEX_API_KEY" in answer.get_json()["detail"]


def test_what_is_uncertain_of_a_days_budget_is_told(make_api: Callable[..., FlaskClient], database: Database) -> None:
    api = make_api(EVOLINK_DAILY_USD="10")
    with database.read() as db:
        day = spending.day_of(database.clock(db))
    Orders(api, database).add(day, "uncertain", state="failed", outcome="expired", reserved_micro_usd=430_000)
    assert one(api)["status"]["budget"]["uncertain_usd"] == 0.43
