"""The reference for people: what it loads, what may run in it, and how a browser gets in."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from rushes.api.docs import ASSETS, POLICY
from webhooks.headers import HEADERS

PAGES = ["/docs", "/docs/", "/docs/start.js", *(f"/docs/{name}" for name in ASSETS), "/openapi.json"]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def stranger(api: FlaskClient) -> FlaskClient:
    return api.application.test_client()


@pytest.fixture
def key(database: Database) -> str:
    return api_keys.create(database, "a person", Scope.READ)[1]


def test_the_services_own_address_leads_a_browser_to_the_reference(stranger: FlaskClient, key: str) -> None:
    assert stranger.get("/").headers["WWW-Authenticate"].startswith("Basic")
    answer = stranger.get("/", headers=basic("", key))
    assert (answer.status_code, answer.location) == (303, "/docs")


def test_the_page_loads_its_own_assets_alone(api: FlaskClient) -> None:
    page = api.get("/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.get_data(as_text=True))
    assert len(loaded) == 4
    for place in loaded:
        assert place.startswith("/docs/")
        answer = api.get(place)
        assert (answer.status_code, len(answer.get_data()) > 50) == (200, True), place
    assert "//" not in api.get("/docs/start.js").get_data(as_text=True)
    assert not re.search("<script>|<style|style=|onload=", page.get_data(as_text=True)), "the policy forbids it"


def test_its_policy_allows_own_assets_and_everything_else_keeps_the_strict_one(api: FlaskClient) -> None:
    for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.css"):
        assert api.get(path).headers["Content-Security-Policy"] == POLICY
    assert not re.search(r"https?:|\*|unsafe-eval|script-src[^;]*unsafe", POLICY)
    for path in ("/openapi.json", "/v1/jobs", "/nothing"):
        assert api.get(path).headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_a_browser_gets_in_with_the_key_as_user_or_password(stranger: FlaskClient, key: str, path: str) -> None:
    for headers in (basic("", key), basic(key, ""), basic("me", key), {"Authorization": f"Bearer {key}"}):
        assert stranger.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "headers",
    [{}, basic("", ""), basic("rk_nobody", "x"), basic("", "rk_nobody"), {"Authorization": "Basic !"}],
    ids=["nothing", "empty", "wrong user", "wrong password", "no base64"],
)
def test_without_a_live_key_a_browser_is_asked_for_one(
    stranger: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = stranger.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/costs", "/metrics", "/nothing", "/docsx"])
def test_no_other_path_takes_what_a_browser_keeps(stranger: FlaskClient, key: str, path: str) -> None:
    for method in ("GET", "POST"):
        answer: Any = stranger.open(path, method=method, headers=basic("", key))
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), method


def test_only_the_assets_that_it_needs_are_served(api: FlaskClient) -> None:
    for name in ("oauth2-redirect.html", "index.css", "..%2f__init__.py", "nothing"):
        assert api.get(f"/docs/{name}").status_code == 404
