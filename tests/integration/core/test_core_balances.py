"""Gateways' accounts held against ours, as the command and the API tell them: agreed, others' use, refusals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from api_client import served
from click.testing import Result
from flask.testing import FlaskClient
from served import Served
from workshop import RUN, Workshop

from jobs.intake.api_keys import Scope
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.store.tables import attempts, jobs, lanes, spending
from rushes.api import balances

Rushes = Callable[..., Result]
TELLING = {"aivideoapi": (48, 1), "evolink": (172, 0.001)}  # what 2 s at 720p cost there, in its unit, and its worth
OTHERS = {
    "aivideoapi": {
        "model": "wan-2.7-text-to-video",
        "input": {"prompt": "A bear", "resolution": "720p", "duration": 4},
    },
    "evolink": {"model": "wan2.7-text-to-video", "prompt": "A bear", "quality": "720p", "duration": 4},
}


@pytest.fixture(autouse=True)
def _at_any_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balances, "ASK_EVERY_S", 0)


@pytest.fixture
def api(workshop: Workshop) -> Iterator[FlaskClient]:
    with served(workshop, Scope.WRITE) as client:
        yield client


def ask(api: FlaskClient, name: str) -> dict[str, Any]:
    answer = api.post(f"/v1/providers/{name}/balance")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.get_json()
    return told


def refusal(api: FlaskClient, name: str) -> tuple[int, str, str]:
    answer = api.post(f"/v1/providers/{name}/balance")
    problem = answer.get_json(force=True)
    assert "sk-sandbox" not in answer.text
    return answer.status_code, problem["code"], problem["detail"]


def ordered(workshop: Workshop, provider: str, **request: Any) -> str:
    job_id = workshop.create(provider=provider, **request)
    RUN["jobs.submit"](job_id, workshop.resources)
    return job_id


def others_spend(workshop: Workshop, name: str) -> None:
    headers = {"Authorization": f"Bearer {workshop.settings.accounts[name].api_key}"}
    url = f"{workshop.settings.accounts[name].base_url}/v1/videos/generations"
    assert requests.post(url, json=OTHERS[name], headers=headers, timeout=5).ok


@pytest.mark.both_databases
@pytest.mark.parametrize("name", TELLING)
def test_what_was_ordered_between_two_askings_is_what_the_gateway_took(
    workshop: Workshop, api: FlaskClient, name: str
) -> None:
    price, worth = TELLING[name]
    ordered(workshop, name)
    first = ask(api, name)
    assert first["since"] is None
    assert "first time" in first["explained"][0]
    job_id = ordered(workshop, name)
    workshop.until(job_id, State.ARCHIVED)
    ordered(workshop, name)
    second = ask(api, name)
    amount = {"amount": 2 * price, "usd": pytest.approx(2 * price * worth * (0.005 if name == "aivideoapi" else 1))}
    assert second["since"] == {
        "asked_at": first["asked_at"],
        "took": amount,
        "booked": amount,
        "difference": {"amount": 0, "usd": 0},
    }
    assert second["explained"] == ["The gateway took what our account has."]
    assert first["left"]["amount"] - second["left"]["amount"] == 2 * price
    assert second["under_way"]["orders"] >= 1


@pytest.mark.parametrize("name", TELLING)
def test_what_others_spend_on_the_key_is_the_difference_and_no_row_is_moved_by_it(
    workshop: Workshop, api: FlaskClient, name: str
) -> None:
    job_id = ordered(workshop, name)
    workshop.until(job_id, State.ARCHIVED)
    ask(api, name)
    before = everything(workshop)
    others_spend(workshop, name)
    told = ask(api, name)
    assert told["since"]["booked"]["amount"] == 0
    assert told["since"]["took"]["amount"] == told["since"]["difference"]["amount"] == 2 * TELLING[name][0]
    assert told["explained"][0] == "The gateway took more than our account has."
    assert told["explained"][1].startswith(f"Others may use the {told['counts']}; ")
    assert everything(workshop) == before
    assert ask(api, name)["since"]["difference"]["amount"] == 0, "told once; the next asking is held against this one"


def everything(workshop: Workshop) -> list[Any]:
    """What an asking must never move: jobs, money, budgets, lanes."""
    with workshop.database.read() as db:
        return [db.execute(sa.select(table)).all() for table in (jobs, attempts, spending, lanes)]


def test_what_a_failed_task_gives_back_is_used_on_neither_side(
    workshop: Workshop, api: FlaskClient, sandbox: Any
) -> None:
    ask(api, "evolink")
    sandbox.set(generation_s=4)
    sandbox.fault("evolink", "fail")
    job_id = ordered(workshop, "evolink")
    assert ask(api, "evolink")["since"]["took"]["amount"] == 172
    workshop.until(job_id, State.FAILED)
    since = ask(api, "evolink")["since"]
    assert (since["took"]["amount"], since["booked"]["amount"], since["difference"]["amount"]) == (-172, -172, 0)


def test_an_order_that_was_lost_may_explain_what_was_taken(workshop: Workshop, api: FlaskClient, sandbox: Any) -> None:
    ask(api, "evolink")
    sandbox.fault("evolink", "lose_answer", how="reset")
    ordered(workshop, "evolink")
    told = ask(api, "evolink")
    assert told["since"]["difference"]["amount"] == 172
    assert (told["uncertain"]["orders"], told["uncertain"]["amount"]) == (1, 172)
    assert "1 order of uncertain standing may have been charged" in told["explained"][1]


def test_a_gateway_that_took_less_may_charge_less_than_the_most(
    workshop: Workshop, api: FlaskClient, sandbox: Any
) -> None:
    ask(api, "evolink")
    clip = {"type": "video", "url": "https://example.com/a.mp4"}
    ordered(workshop, "evolink", mode="video-edit", media=[clip], duration=None)
    told = ask(api, "evolink")
    assert told["since"]["difference"]["amount"] < 0
    assert told["since"]["difference"]["usd"] < 0
    assert told["explained"][0] == "The gateway took less than our account has."
    assert "of 1 order since then only the most is known" in told["explained"][1]


@pytest.mark.parametrize("name", ["easyrouter", "apiframe", "gravitex"])
def test_a_gateway_that_documents_no_such_call_is_not_asked(api: FlaskClient, name: str) -> None:
    status, code, said = refusal(api, name)
    assert (status, code) == (409, "no_balance")
    assert said == (
        f"{name} documents no call that tells its balance; look in its console. aivideoapi and evolink tell theirs."
    )


def test_a_gateway_without_a_key_or_that_there_is_not_is_not_asked(workshop: Workshop) -> None:
    with served(workshop, Scope.WRITE, accounts={}) as api:
        assert refusal(api, "evolink")[:2] == (409, "no_api_key")
        assert refusal(api, "evlink")[:2] == (404, "unknown_provider")


def test_a_key_that_may_only_look_asks_nobody(workshop: Workshop) -> None:
    with served(workshop, Scope.READ) as api:
        assert refusal(api, "evolink")[:2] == (403, "forbidden")


@contextmanager
def odd(workshop: Workshop, answers: Callable[[Any], None], **numbers: Any) -> Iterator[FlaskClient]:
    """An installation whose EvoLink is another server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers(self)

        def log_message(self, *_: object) -> None: ...

    server = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    account = Account("evolink", server.url, workshop.settings.accounts["evolink"].api_key)
    with served(workshop, Scope.WRITE, accounts={"evolink": account}, **numbers) as api:
        yield api
    server.close()


def say(status: int, body: bytes) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            401,
            b'{"error": {"message": "bad key sk-sandbox"}}',
            "it refuses the key; make a new one there, and set RUSHES_EVOLINK_API_KEY",
        ),
        (503, b"<html>", "it has no time for us; ask again in a while"),
        (429, b"{}", "it has no time for us; ask again in a while"),
        (404, b'{"error": "no such path"}', "tells no balance (its page documents 200)"),
        (200, b"<html>Sign in</html>", "tells no balance"),
        (200, b'{"success": true, "data": {"user": {"remaining_credits": "many"}}}', "is no amount"),
        (200, b'{"success": false, "message": "try sk-sandbox-0123456789"}', "tells no balance (no success)"),
    ],
)
def test_what_a_gateway_does_not_tell_is_a_problem_that_says_what_to_do(
    workshop: Workshop, status: int, body: bytes, words: str
) -> None:
    with odd(workshop, say(status, body)) as api:
        before = everything(workshop)
        http, code, said = refusal(api, "evolink")
        assert (http, code) == (502, "balance_unknown")
        assert said.startswith(f"evolink answers GET /v1/credits with {status}")
        assert words in said
        assert everything(workshop) == before


def test_a_gateway_that_never_answers_is_waited_for_no_longer_than_for_a_question(workshop: Workshop) -> None:
    def never(handler: Any) -> None:
        handler.rfile.read(1)  # until whoever asks goes away

    with odd(workshop, never, query_deadline_s=0.3) as api:
        begun = time.monotonic()
        http, code, said = refusal(api, "evolink")
        assert time.monotonic() - begun < 5
        assert (http, code) == (502, "balance_unknown")
        assert said.startswith("evolink did not tell its balance within 0.3 s (")
        assert "`rushes doctor`" in said


def test_a_gateway_is_not_asked_again_at_once(
    workshop: Workshop, api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balances, "ASK_EVERY_S", 60)
    ask(api, "evolink")
    answer = api.post("/v1/providers/evolink/balance")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (429, "asked_lately")
    assert 55 <= int(answer.headers["Retry-After"]) <= 60
    ask(api, "aivideoapi")


def test_the_command_asks_all_that_tell_and_shows_the_difference(workshop: Workshop, rushes: Rushes) -> None:
    done = rushes("providers", "balance")
    assert done.exit_code == 0, done.output
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()] == [["aivideoapi", "left"], ["evolink", "left"]]
    others_spend(workshop, "evolink")
    done = rushes("providers", "balance", "evolink")
    lines = {line.split("\t")[1]: line.split("\t")[2] for line in done.stdout.splitlines()}
    assert lines["difference"] == "344 credits ($0.344)"
    assert lines["our account has"] == "0 credits ($0.00)"
    assert "Others may use the key" in done.stderr
    told = json.loads(rushes("providers", "balance", "evolink", "--json").stdout)
    assert told["since"]["difference"]["amount"] == 0

    refused = rushes("providers", "balance", "easyrouter")
    assert refused.exit_code == 1
    assert "documents no call that tells its balance" in refused.stderr
    assert "rushes costs" in refused.stderr
