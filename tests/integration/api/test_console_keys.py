"""The console's page of keys: whose is signed in, and what it may."""

from __future__ import annotations

import re

import pytest
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from rushes.console.keys import SCOPES


@pytest.mark.parametrize("scope", list(Scope))
def test_it_tells_whose_key_it_is_and_what_it_may(api: FlaskClient, database: Database, scope: Scope) -> None:
    key_id, key = api_keys.create(database, "<b>maria</b>", scope)
    page = Visitor(api.application, key).text("/console/keys")
    assert f"<code>{key_id}</code>" in page
    assert "&lt;b&gt;maria" in page
    assert key not in page
    may = [each for each in Scope if scope.covers(each)]
    assert {each for each, said in SCOPES.items() if said in page} == {each.value for each in may}


def test_every_scope_has_its_words() -> None:
    assert set(SCOPES) == {scope.value for scope in Scope}


@pytest.fixture
def operator(api: FlaskClient, database: Database) -> Visitor:
    _, key = api_keys.create(database, "operator", Scope.ADMIN)
    return Visitor(api.application, key)


def test_a_key_that_is_made_is_shown_once_and_may_what_was_chosen(api: FlaskClient, operator: Visitor) -> None:
    answer = operator.post("/console/keys", name="<i>maria</i>", scope="read")
    page = answer.get_data(as_text=True)
    (key,) = set(re.findall(r"rk_[0-9a-f]{40}", page))
    assert (answer.status_code, "&lt;i&gt;maria" in page) == (201, True)
    assert answer.headers["Cache-Control"] == "no-store"
    later = operator.text("/console/keys")
    assert key not in later
    assert "&lt;i&gt;maria" in later
    headers = {"Authorization": f"Bearer {key}"}
    assert api.application.test_client().get("/v1/key", headers=headers).get_json()["scope"] == "read"


def test_a_wrong_wish_says_so_and_is_kept_in_the_form(operator: Visitor) -> None:
    answer = operator.post("/console/keys", name="maria", scope="admin", notify_url="http://10.0.0.1/")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "notify_url" in page
    assert 'value="http://10.0.0.1/"' in page
    assert re.search(r'value="admin" checked', page)


def test_a_revoked_key_ends_its_session_and_stays_in_the_list(
    api: FlaskClient, operator: Visitor, database: Database
) -> None:
    key_id, key = api_keys.create(database, "maria", Scope.WRITE)
    maria = Visitor(api.application, key)
    assert operator.told(operator.post(f"/console/keys/{key_id}/revoke")) == "maria's key is revoked."
    assert maria.get("/console/").status_code == 303
    page = operator.text("/console/keys")
    assert f"<code>{key_id}</code>" in page
    assert f"/console/keys/{key_id}/revoke" not in page
    assert "No live key" in operator.told(operator.post(f"/console/keys/{key_id}/revoke"))


def test_who_does_not_administer_sees_no_other_key_and_makes_none(
    api: FlaskClient, operator: Visitor, database: Database
) -> None:
    _, key = api_keys.create(database, "maria", Scope.WRITE)
    other_id, _ = api_keys.create(database, "other", Scope.WRITE)
    maria = Visitor(api.application, key)
    assert other_id not in maria.text("/console/keys")
    answer = maria.post("/console/keys", name="mine", scope="admin")
    assert (answer.status_code, "scope admin" in answer.get_data(as_text=True)) == (422, True)
    assert "scope admin" in maria.told(maria.post(f"/console/keys/{other_id}/revoke"))
