"""GET /v1/key."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from rushes.api.edge.auth import ASKED_FOR
from rushes.api.keys import OwnKeySchema


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_learns_who_it_is_and_what_it_may(api: FlaskClient, database: Database, scope: Scope) -> None:
    key_id, key = api_keys.create(database, "a pipeline", scope)
    told = api.get("/v1/key", headers={"Authorization": f"Bearer {key}"}).get_json()
    assert told == {"id": key_id, "name": "a pipeline", "scope": scope.value}
    assert told.keys() == OwnKeySchema().fields.keys()


def test_no_header_names_a_key_by_its_id(api: FlaskClient, database: Database) -> None:
    key_id, _ = api_keys.create(database, "operator", Scope.ADMIN)
    stranger = api.application.test_client()
    for name in (ASKED_FOR, "Rushes-Asked-For", "rushes_asked_for", "HTTP_RUSHES_ASKED_FOR"):
        assert stranger.get("/v1/key", headers={name: key_id}).status_code == 401
