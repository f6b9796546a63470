"""The console's page of keys: whose is signed in, and what it may."""

from __future__ import annotations

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
