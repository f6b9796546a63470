"""The console's page of gateways: how each key stands, resting, resuming, and what a gateway says is left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from api_orders import Orders
from console_visitor import Visitor
from flask.testing import FlaskClient
from served import Served

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.providers.client import Account
from jobs.settings import load
from jobs.store import lanes
from jobs.store.database import Database
from jobs.store.tables import unknown_words
from rushes.api import balances
from rushes.app import create_app
from rushes.console.gateways import length

PAGE = "/console/gateways"
EVOLINK = Account("evolink", "https://api.evolink.ai", "sk-test")


@pytest.fixture
def operator(api: FlaskClient, database: Database) -> Visitor:
    return of_scope(api, database, Scope.ADMIN)


def of_scope(api: FlaskClient, database: Database, scope: Scope) -> Visitor:
    return Visitor(api.application, api_keys.create(database, f"of {scope}", scope)[1])


def actions(page: str) -> set[str]:
    return set(re.findall(r'<form[^>]*action="/console/gateways/([^"]+)"', page))


def facts(page: str, name: str = "evolink") -> dict[str, str]:
    """What a gateway's card says."""
    (card,) = re.findall(rf'<section class="card" aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    pairs = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", card, re.DOTALL)
    return {name: " ".join(re.sub("<[^>]+>", " ", said).split()) for name, said in pairs}


def test_an_idle_gateway_is_well_and_those_without_a_key_are_named(operator: Visitor) -> None:
    page = operator.text(PAGE)
    told = facts(page)
    assert told["orders"] == "takes orders"
    assert told["questions"] == "are asked at most 5 a second"
    assert (told["holds up"], told["in flight"], told["budget"]) == ("0 queued jobs", "0 of at most 50", "none set")
    assert told["unanswered"] == "0 with 5, no more are risked"
    assert "Without an API key here, and not used: aivideoapi, apiframe, easyrouter, gravitex." in page


def test_an_installation_without_any_key_says_what_to_set(environment: dict[str, str], database: Database) -> None:
    # Its own app, as the usual one has a key for EvoLink.
    del environment["RUSHES_EVOLINK_API_KEY"]
    app = create_app(load(environment))
    try:
        page = Visitor(app, api_keys.create(database, "a", Scope.READ)[1]).text(PAGE)
    finally:
        app.extensions["rushes.close"]()
    assert "No gateway has an API key here" in page


def test_a_rest_says_which_use_of_the_key_why_and_until_when(operator: Visitor, database: Database) -> None:
    with database.write() as db:
        now = database.clock(db)
        lanes.rest(db, EVOLINK, "submit", "insufficient_credits", 600, now=now)
        lanes.rest(db, EVOLINK, "query", "rate_limited", 60, now=now)
        db.execute(sa.insert(unknown_words).values(provider="evolink", word="dreaming", times=2, last_at=now))
    told = facts(operator.text(PAGE))
    assert re.fullmatch(r"rest insufficient credits, since .*, until [\d: -]+ UTC", told["orders"])
    assert re.fullmatch(r"rest rate limited, since .*, until [\d: -]+ UTC at most 5 a second", told["questions"])
    assert told["unknown word"] == "dreaming met 2 times"


def test_todays_money_and_the_budget_stand_side_by_side(
    make_api: Callable[..., FlaskClient], database: Database
) -> None:
    api = make_api(EVOLINK_DAILY_USD="10")
    with database.read() as db:
        today = database.clock(db).date().isoformat()
    Orders(api, database).add(today, "charged", reported_usd=0.5)
    told = facts(of_scope(api, database, Scope.READ).text(PAGE))
    assert (told["spent today"], told["in flight"]) == ("$0.500", "1 of at most 50")
    assert told["budget"].endswith("of $10.000")


def test_an_operator_lets_a_gateway_rest_and_resumes_it(api: FlaskClient, operator: Visitor) -> None:
    assert actions(operator.text(PAGE)) == {"evolink/rest", "evolink/balance"}
    said = operator.told(operator.post(f"{PAGE}/evolink/rest", minutes="90"))
    rest = api.get("/v1/providers/evolink").get_json()["status"]["paused"]["submit"]
    assert (rest["reason"], 89 * 60 < rest["seconds"] <= 90 * 60) == ("by_hand", True)
    assert re.fullmatch(r"evolink gets no orders until [\d: -]+ UTC\.", said)
    assert actions(operator.text(PAGE)) == {"evolink/rest", "evolink/resume", "evolink/balance"}
    assert operator.told(operator.post(f"{PAGE}/evolink/resume")) == "evolink rests no more: one order tries it first."
    assert api.get("/v1/providers/evolink").get_json()["status"]["paused"]["submit"] is None


@pytest.mark.parametrize(
    ("minutes", "words"), [("soon", "seconds: "), ("0", "Choose from 1 to"), ("999999", "Choose from 1 to")]
)
def test_a_length_that_means_nothing_is_refused_in_words(
    api: FlaskClient, operator: Visitor, minutes: str, words: str
) -> None:
    assert words in operator.told(operator.post(f"{PAGE}/evolink/rest", minutes=minutes))
    assert api.get("/v1/providers/evolink").get_json()["status"]["paused"]["submit"] is None


def test_a_rest_without_a_length_has_the_usual_one() -> None:
    assert (length(" "), length("2")) == ({}, {"seconds": 120})


def test_a_key_that_only_orders_rests_nobody_and_one_that_only_looks_asks_nobody(
    api: FlaskClient, database: Database
) -> None:
    writer, reader = (of_scope(api, database, scope) for scope in (Scope.WRITE, Scope.READ))
    assert actions(writer.text(PAGE)) == {"evolink/balance"}
    assert actions(reader.text(PAGE)) == set()
    assert "needs a key of scope admin" in writer.told(writer.post(f"{PAGE}/evolink/rest"))
    assert "needs a key of scope write" in reader.told(reader.post(f"{PAGE}/evolink/balance"))
    assert api.get("/v1/providers/evolink").get_json()["status"]["paused"]["submit"] is None


def test_a_gateway_that_is_none_is_refused_in_words(operator: Visitor) -> None:
    assert "there are aivideoapi" in operator.told(operator.post(f"{PAGE}/evlink/rest"))


@pytest.fixture
def counting(
    environment: dict[str, str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Visitor, dict[str, int]]]:
    """A visitor of an installation whose EvoLink tells what it has been told to have used."""
    monkeypatch.setattr(balances, "ASK_EVERY_S", 0)
    account = {"remaining_credits": 900, "used_credits": 100}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = {"user": account, "token": {**account, "unlimited_credits": True}}
            body = json.dumps({"success": True, "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    there = {"RUSHES_EVOLINK_BASE_URL": server.url, "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1"}
    app = create_app(load({**environment, **there}))
    yield Visitor(app, api_keys.create(database, "a person", Scope.WRITE)[1]), account
    app.extensions["rushes.close"]()
    server.close()


def test_a_balance_is_held_against_our_account_in_words(counting: tuple[Visitor, dict[str, int]]) -> None:
    visitor, account = counting

    def ask() -> dict[str, str]:
        answer = visitor.post(f"{PAGE}/evolink/balance")
        page = visitor.text(answer.location)
        assert "data-said" not in visitor.text(answer.location), "it is told once"
        told = facts(page, "balance")
        told["words"] = " ".join(re.findall(r'<p class="sub">([^<]*)</p>', page))
        return told

    first = ask()
    assert (first["left"].split()[0], first["used"].split()[0]) == ("900", "100")
    assert "Asked for the first time" in first["words"]
    account.update(remaining_credits=850, used_credits=150)
    second = ask()
    assert [second[name].split()[0] for name in ("it took", "we booked", "difference")] == ["50", "0", "50"]
    assert "The gateway took more than our account has." in second["words"]
    assert "Others may use the key" in second["words"]


def test_a_gateway_that_does_not_tell_is_said_to_be_silent(
    make_api: Callable[..., FlaskClient], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api(EVOLINK_BASE_URL="http://127.0.0.1:1", ALLOW_PRIVATE_ADDRESSES="1", EVOLINK_API_KEY="sk-other")
    visitor = of_scope(api, database, Scope.WRITE)
    answer = visitor.post(f"{PAGE}/evolink/balance")
    assert "evolink" in visitor.told(answer)
    assert 'id="balance"' not in visitor.text(PAGE)
