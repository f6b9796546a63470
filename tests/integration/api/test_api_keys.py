"""Keys: who needs one, what each scope may do, and what is remembered of their use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.intake.key_uses import KeyUses
from jobs.store.database import Database
from jobs.store.tables import api_keys as table
from rushes.api.edge.auth import OPEN

GOOD = {"prompt": "A red fox", "provider": "evolink", "resolution": "720p", "duration": 2}
NO_KEY_NEEDED = {"health.livez", "health.readyz", "webhooks.receive"}
ANY = {"job_id": "job_01K8Z3V0QWERTYUIOPASDFGHJK", "name": "evolink"}


@pytest.fixture
def client_with(api: FlaskClient, database: Database) -> Callable[[Scope], FlaskClient]:
    """A client whose key has this scope."""

    def make(scope: Scope) -> FlaskClient:
        _, key = api_keys.create(database, f"may {scope}", scope)
        client = api.application.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    return make


@pytest.fixture
def uses(database: Database) -> Iterator[KeyUses]:
    one = KeyUses(database)
    yield one
    one.close()


def used_at(database: Database, key_id: str) -> Any:
    with database.read() as db:
        return db.execute(sa.select(table.c.last_used_at).where(table.c.id == key_id)).scalar_one()


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 5
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


FOR_OPERATORS = "/v1/keys"  # test_api_keys_made.py


def closed_routes(api: FlaskClient) -> list[tuple[Rule, str, str]]:
    """Every rule that needs a key, with each of its methods and a path of it."""
    adapter = api.application.url_map.bind("localhost")
    return [
        (rule, method, adapter.build(rule.endpoint, {a: ANY.get(a, "x") for a in rule.arguments}))
        for rule in api.application.url_map.iter_rules()
        if rule.endpoint not in NO_KEY_NEEDED and not rule.endpoint.startswith("console.")  # which asks for a session
        for method in sorted(rule.methods or ())
    ]


def test_only_health_and_the_receiver_answer_without_a_key(api: FlaskClient) -> None:
    stranger = api.application.test_client()
    asked = {
        (rule.rule, method): stranger.open(path, method=method).status_code for rule, method, path in closed_routes(api)
    }
    assert len(asked) > 20
    assert set(asked.values()) == {401}, asked
    opened = {r.endpoint for r in api.application.url_map.iter_rules() if r.endpoint.partition(".")[0] in OPEN}
    assert {endpoint for endpoint in opened if not endpoint.startswith("console.")} == NO_KEY_NEEDED
    assert stranger.get("/livez").status_code == 200


def test_every_unsafe_method_needs_the_scope_write(
    api: FlaskClient, client_with: Callable[[Scope], FlaskClient]
) -> None:
    reader = client_with(Scope.READ)
    unsafe = [(m, path) for _, m, path in closed_routes(api) if m not in ("GET", "HEAD", "OPTIONS")]
    assert ("POST", "/v1/jobs") in unsafe
    for method, path in unsafe:
        answer = reader.open(path, method=method, json={})
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (403, "forbidden"), path
    safe = [path for _, m, path in closed_routes(api) if m == "GET" and path not in ("/", FOR_OPERATORS)]
    assert {reader.get(path).status_code for path in safe} <= {200, 404}


def test_a_key_that_may_not_is_told_what_it_would_need(client_with: Callable[[Scope], FlaskClient]) -> None:
    answer = client_with(Scope.READ).post("/v1/jobs", json=GOOD)
    problem = answer.get_json(force=True)
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")
    assert (problem["code"], problem["retryable"]) == ("forbidden", False)
    assert "needs a key of scope write; this one has scope read" in problem["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="write"'


@pytest.mark.parametrize("scope", [Scope.WRITE, Scope.ADMIN])
def test_write_and_admin_may_order_and_look(client_with: Callable[[Scope], FlaskClient], scope: Scope) -> None:
    client = client_with(scope)
    assert client.post("/v1/jobs", json=GOOD).status_code == 202
    assert len(client.get("/v1/jobs").get_json()["data"]) == 1


def test_a_key_made_without_a_word_may_do_what_keys_could_before_scopes(api: FlaskClient, database: Database) -> None:
    _, key = api_keys.create(database, "an old script")
    client = api.application.test_client()
    assert client.post("/v1/jobs", json=GOOD, headers={"Authorization": f"Bearer {key}"}).status_code == 202


def test_an_unknown_path_needs_a_key_too_and_a_callback_to_a_wrong_one_does_not(api: FlaskClient) -> None:
    stranger = api.application.test_client()
    assert stranger.get("/v1/nothing").status_code == 401
    assert stranger.get("/nothing").status_code == 401
    assert stranger.get("/webhooks/evolink/job_1/1/k1.x").status_code == 405
    assert stranger.post("/webhooks/evolink").status_code == 404


@pytest.mark.parametrize(
    "path", ["//v1/jobs", "/v1//jobs", "/webhooks/../v1/jobs", "/V1/jobs", "/v1/jobs/", "/v1/%6aobs"]
)
def test_no_spelling_of_a_path_walks_around_the_key(api: FlaskClient, path: str) -> None:
    assert api.application.test_client().get(path, follow_redirects=True).status_code in (401, 404)


def test_a_use_is_written_after_the_answer_and_once_a_minute(
    api: FlaskClient, database: Database, uses: KeyUses
) -> None:
    key_id, key = api_keys.create(database, "busy")
    assert used_at(database, key_id) is None
    client = api.application.test_client()
    for _ in range(3):
        assert client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    first = until(lambda: used_at(database, key_id))
    uses.note(key_id)  # another web process, which knows nothing of the first
    uses.close()
    assert used_at(database, key_id) == first
    long_ago = first - timedelta(minutes=2)
    with database.write() as db:
        db.execute(sa.update(table).where(table.c.id == key_id).values(last_used_at=long_ago))
    third = KeyUses(database)
    third.note(key_id)
    third.close()
    assert used_at(database, key_id) >= first


def test_no_read_waits_for_a_writer_because_of_a_use(api: FlaskClient, database: Database) -> None:
    key_id, key = api_keys.create(database, "patient")
    client = api.application.test_client()
    with database.write() as db:
        db.execute(sa.update(table).where(table.c.id == key_id).values(name="being renamed"))
        began = time.monotonic()
        for _ in range(5):
            assert client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert time.monotonic() - began < 1
        assert used_at(database, key_id) is None
    until(lambda: used_at(database, key_id))


def test_a_refused_key_is_not_in_use(own_api: FlaskClient, database: Database) -> None:
    key_id, key = api_keys.create(database, "gone")
    assert api_keys.revoke(database, key_id)
    answer = own_api.application.test_client().get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401
    own_api.application.extensions["rushes.close"]()
    assert used_at(database, key_id) is None


def test_only_a_digest_of_a_key_is_kept(api: FlaskClient, database: Database) -> None:
    _, key = api_keys.create(database, "hashed")
    with database.read() as db:
        kept = [str(value) for row in db.execute(sa.select(table)) for value in row]
    assert not any(key in value or key.removeprefix(api_keys.PREFIX) in value for value in kept)
