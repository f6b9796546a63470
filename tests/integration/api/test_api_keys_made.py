"""GET /v1/keys, POST /v1/keys, POST /v1/keys/<id>/revoke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_orders import as_operator
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from rushes.api.keys import KeyListSchema, KeySchema, NewKeySchema

pytestmark = pytest.mark.both_databases


@pytest.fixture
def operator(api: FlaskClient, database: Database) -> FlaskClient:
    return as_operator(api, database)


def made(operator: FlaskClient, **body: Any) -> dict[str, Any]:
    answer = operator.post("/v1/keys", json={"name": "maria", **body})
    found: dict[str, Any] = answer.get_json()
    assert answer.status_code == 201, found
    assert found.keys() == NewKeySchema().fields.keys()
    return found


def asks(api: FlaskClient, key: str, path: str = "/v1/key") -> int:
    client = api.application.test_client()
    return client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_that_was_made_works_at_once_as_far_as_its_scope(operator: FlaskClient, scope: Scope) -> None:
    new = made(operator, name=" maria ", scope=scope.value)
    assert (new["name"], new["scope"], new["notify_url"], new["revoked_at"]) == ("maria", scope.value, None, None)
    assert asks(operator, new["key"]) == 200
    assert asks(operator, new["key"], "/v1/keys") == (200 if scope is Scope.ADMIN else 403)


def test_a_key_may_order_where_nothing_else_is_asked_for(operator: FlaskClient) -> None:
    assert made(operator)["scope"] == "write"


def test_the_list_names_all_and_tells_none(operator: FlaskClient) -> None:
    new = made(operator)
    answer = operator.get("/v1/keys")
    told = answer.get_json()
    assert KeyListSchema().validate(told) == {}
    assert all(each.keys() == KeySchema().fields.keys() for each in told["data"])
    assert new["id"] in [each["id"] for each in told["data"]]
    assert new["key"] not in answer.get_data(as_text=True)


def test_where_notices_go_is_shown_without_what_opens_it(
    make_api: Callable[..., FlaskClient], database: Database
) -> None:
    secret = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
    operator = as_operator(make_api(NOTICE_SECRETS=secret), database)
    new = made(operator, notify_url="https://hooks.example.com/rushes?token=t0psecret")
    assert new["notify_url"].startswith("https://hooks.example.com/rushes")
    assert "t0psecret" not in operator.get("/v1/keys").get_data(as_text=True) + str(new)
    with database.read() as db:
        assert api_keys.notify_url(db, new["id"]) == "https://hooks.example.com/rushes?token=t0psecret"


def test_a_place_for_notices_is_refused_where_none_are_sent(operator: FlaskClient) -> None:
    answer = operator.post("/v1/keys", json={"name": "maria", "notify_url": "https://hooks.example.com/"})
    assert (answer.status_code, "RUSHES_NOTICE_SECRETS" in answer.get_json(force=True)["detail"]) == (422, True)


def test_a_revoked_key_is_refused_at_once_and_revoked_but_once(operator: FlaskClient) -> None:
    new = made(operator)
    answer = operator.post(f"/v1/keys/{new['id']}/revoke")
    assert (answer.status_code, answer.get_json()["id"]) == (200, new["id"])
    assert answer.get_json()["revoked_at"] is not None
    assert asks(operator, new["key"]) == 401
    again = operator.post(f"/v1/keys/{new['id']}/revoke")
    assert (again.status_code, again.get_json(force=True)["code"]) == (404, "unknown_key")


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE])
def test_who_does_not_administer_sees_and_changes_none(
    api: FlaskClient, operator: FlaskClient, database: Database, scope: Scope
) -> None:
    new = made(operator)
    _, key = api_keys.create(database, "a pipeline", scope)
    headers = {"Authorization": f"Bearer {key}"}
    client = api.application.test_client()
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("POST", f"/v1/keys/{new['id']}/revoke")):
        answer = client.open(path, method=method, headers=headers, json={"name": "mine", "scope": "admin"})
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (403, "forbidden"), path
    assert asks(operator, new["key"]) == 200
