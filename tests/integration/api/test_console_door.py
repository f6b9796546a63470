"""The console's door: keys, sessions, forms, and what browsers are told."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from api_orders import PLAIN
from console_visitor import Visitor
from flask import Flask
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from rushes.api.edge import wrong_keys
from rushes.api.edge.wrong_keys import MOST_A_MINUTE
from rushes.console import sessions
from rushes.console.sessions import IDLE_S, LONGEST_S, Sessions

PAGES = ["/console/", "/console/jobs", "/console/jobs/job_01K8Z3V0QWERTYUIOPASDFGHJK", "/console/nothing"]


@pytest.fixture
def app(api: FlaskClient) -> Flask:
    return api.application


@pytest.fixture
def key(database: Database) -> str:
    return api_keys.create(database, "a person", Scope.WRITE)[1]


def test_a_browser_at_the_services_own_address_finds_the_console_and_a_program_the_reference(
    app: Flask, key: str
) -> None:
    found = Visitor(app).get("/")
    assert (found.status_code, found.location, found.headers["Vary"]) == (303, "/console/", "Accept")
    program = app.test_client()
    assert program.get("/").status_code == 401
    answer = program.get("/", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.location) == (303, "/docs")


@pytest.mark.parametrize("path", PAGES)
def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(app: Flask, key: str, path: str) -> None:
    visitor = Visitor(app)
    answer = visitor.get(path)
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/console/sign-in")
    (kept,) = re.findall(r'name="next" value="([^"]*)"', visitor.text(answer.location))
    assert visitor.sign_in(key, next=kept).location == path


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example", "/console/\\evil", "/v1/jobs", "", "x\n"])
def test_a_sign_in_leads_to_no_page_but_the_consoles(app: Flask, key: str, place: str) -> None:
    assert Visitor(app).sign_in(key, next=place).location == "/console/"


def test_the_cookie_holds_no_key_and_is_sent_to_the_console_alone(app: Flask, key: str) -> None:
    visitor = Visitor(app)
    (cookie,) = visitor.sign_in(key).headers.getlist("Set-Cookie")
    assert key not in cookie
    assert key.removeprefix("rk_") not in cookie
    said = {part.strip() for part in cookie.split(";")[1:]}
    assert {"HttpOnly", "Path=/console/", "SameSite=Lax"} <= said
    assert "Secure" not in said, "plain http, as on loopback, would not send it back"
    assert visitor.client.get("/v1/jobs").status_code == 401


def test_over_tls_the_cookie_is_secure(
    app: Flask, standing_app: Callable[..., Flask], key: str, database: Database
) -> None:
    def secure(app: Flask, **sent: str) -> bool:
        answer = app.test_client().post("/console/sign-in", data={"key": key}, **sent)
        return "Secure" in answer.headers["Set-Cookie"]

    assert secure(app, base_url="https://rushes.example.com")
    behind = {"headers": {"X-Forwarded-Proto": "https"}, "environ_base": {"REMOTE_ADDR": "10.0.0.1"}}
    assert not secure(app, **behind), "a proxy that nobody trusts says so"
    assert secure(standing_app(RUSHES_TRUSTED_PROXIES="10.0.0.0/8"), **behind)


@pytest.mark.parametrize("sent", ["", "rk_wrong", "hello", "rk_" + "0" * 40])
def test_no_key_but_a_live_one_signs_in(app: Flask, sent: str) -> None:
    visitor = Visitor(app)
    answer = visitor.sign_in(sent)
    assert (answer.status_code, visitor.cookie()) == (401, None)
    assert 'role="alert"' in answer.get_data(as_text=True)


def test_wrong_keys_are_counted_as_the_api_counts_them(app: Flask, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "WINDOW_S", 10**9)
    visitor = Visitor(app, address="192.0.2.77")
    assert {visitor.sign_in("rk_wrong").status_code for _ in range(MOST_A_MINUTE)} == {401}
    refused = visitor.sign_in("rk_wrong")
    assert (refused.status_code, "too many" in refused.get_data(as_text=True).lower()) == (429, False)
    assert "wrong keys a minute came from your address" in refused.get_data(as_text=True)
    stranger = {"headers": {"Authorization": "Bearer rk_wrong"}, "environ_base": {"REMOTE_ADDR": "192.0.2.77"}}
    assert app.test_client().get("/v1/jobs", **stranger).status_code == 429, "of both doors together"
    assert visitor.sign_in(key).status_code == 303


def test_a_revoked_key_ends_its_sessions_at_once(app: Flask, database: Database) -> None:
    key_id, key = api_keys.create(database, "leaver", Scope.ADMIN)
    visitor = Visitor(app, key)
    assert visitor.get("/console/").status_code == 200
    api_keys.revoke(database, key_id)
    answer = visitor.get("/console/")
    assert (answer.status_code, answer.location) == (303, "/console/sign-in?why=revoked")
    assert "was revoked" in visitor.text(answer.location)


def test_a_page_that_renews_itself_is_led_to_the_sign_in_as_a_whole(app: Flask) -> None:
    answer = Visitor(app).get("/console/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/console/sign-in?why=ended")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_nobody_looks_and_after_a_week_at_the_latest() -> None:
    clock = Clock()
    known = Sessions(["secret"], clock=clock)
    session, began = known.begin("key_1"), clock.now
    clock.now += IDLE_S
    assert known.read(known.write(session)) == session
    clock.now += 1
    assert known.read(known.write(session)) is None
    clock.now = began
    while clock.now + IDLE_S < began + LONGEST_S:
        clock.now += IDLE_S
        renewed = known.renewed(session)
        assert renewed is not None
        session = renewed
    clock.now = began + LONGEST_S + 1
    assert known.read(known.write(session)) is None


def test_no_cookie_of_another_installation_or_by_another_hand_is_a_session() -> None:
    ours, theirs = Sessions(["secret"]), Sessions(["another"])
    session = ours.begin("key_1")
    assert Sessions(["secret"]).read(ours.write(session)) == session
    for forged in (theirs.write(session), ours.write(session)[:-1] + "x", "", "a.b", ours.write_said({"a": 1})):
        assert ours.read(forged) is None
    assert Sessions([]).read(Sessions([]).write(session)) is None, "without any secret each process has its own"
    assert ours.csrf_token(session) != ours.csrf_token(ours.begin("key_1"))


def test_looking_renews_a_session_and_a_page_that_renews_itself_does_not(
    app: Flask, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(app, key)
    monkeypatch.setattr(sessions, "RENEWED_AFTER_S", 0)
    assert "Set-Cookie" not in visitor.get("/console/", headers={"HX-Request": "true"}).headers
    assert "rushes_console=" in visitor.get("/console/").headers["Set-Cookie"]


def test_signing_out_takes_the_cookie_away(app: Flask, key: str) -> None:
    visitor = Visitor(app, key)
    assert visitor.post("/console/sign-out").location == "/console/sign-in"
    assert visitor.cookie() is None
    assert visitor.get("/console/").status_code == 303


def forms(app: Flask) -> list[str]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("console.")]
    adapter = app.url_map.bind("localhost")
    posted = [rule for rule in rules if "POST" in (rule.methods or ()) and rule.endpoint != "console.enter"]
    return [
        adapter.build(rule.endpoint, {name: 1 if name == "number" else "x" for name in rule.arguments})
        for rule in posted
    ]


def test_every_form_needs_its_pages_token_and_an_origin_of_ours(app: Flask, key: str) -> None:
    visitor, other = Visitor(app, key), Visitor(app, key)
    token, foreign = visitor.token(), other.token()
    assert token != foreign
    assert len(forms(app)) >= 8
    for path in forms(app):
        for form in ({}, {"csrf_token": ""}, {"csrf_token": foreign}):
            answer = visitor.client.post(path, data=form)
            assert (answer.status_code, "Nothing was done." in answer.get_data(as_text=True)) == (403, True), path
        for site in ("cross-site", "same-site", "none"):
            headers = {"Sec-Fetch-Site": site}
            assert visitor.client.post(path, data={"csrf_token": token}, headers=headers).status_code == 403, path
    assert visitor.get("/console/").status_code == 200
    foreign_sign_in = app.test_client().post(
        "/console/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert foreign_sign_in.status_code == 403, "nor is anybody signed in by another's page"


def test_the_policy_is_strict_on_every_answer(app: Flask, key: str) -> None:
    visitor = Visitor(app, key)
    answers = [
        visitor.get(path) for path in ("/console/", "/console/jobs", "/console/nothing", "/console/static/console.css")
    ]
    for answer in [*answers, Visitor(app).get("/console/"), Visitor(app).get("/console/sign-in")]:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
        assert policy["img-src"] == "'self' data: http://127.0.0.1:1"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    for page in answers[:3]:
        text = page.get_data(as_text=True)
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", text), (
            "the policy forbids it"
        )
        assert not re.search(r'(?:src|href)="(?!/|#|\?)', text), "nothing is loaded from elsewhere"
        assert page.headers["Cache-Control"] == "no-store"


def test_every_file_that_pages_load_is_there_and_kept_by_browsers(app: Flask, key: str) -> None:
    loaded = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', Visitor(app, key).text("/console/"))
    assert len(loaded) == 8
    for address in loaded:
        answer = app.test_client().get(address)
        assert (answer.status_code, len(answer.get_data()) > 100) == (200, True), address
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for name in ("../pages.py", "%2e%2e/pages.py", "vendor/package-lock.json", "nothing.js"):
        assert app.test_client().get(f"/console/static/{name}").status_code == 404


def test_a_key_that_may_only_look_sees_no_button_and_can_do_nothing(
    api: FlaskClient, app: Flask, database: Database
) -> None:
    job_id = api.post("/v1/jobs", json=PLAIN).get_json()["id"]
    reader = Visitor(app, api_keys.create(database, "reader", Scope.READ)[1])
    page = reader.text(f"/console/jobs/{job_id}")
    assert re.findall(r'<form[^>]*action="([^"]+)"', page) == ["/console/sign-out"]
    assert "may only look" in page
    said = reader.told(reader.post(f"/console/jobs/{job_id}/cancel"))
    assert "This needs a key of scope write; this one has scope read" in said
    assert api.get(f"/v1/jobs/{job_id}").get_json()["state"] == "queued"


def test_an_id_in_an_address_is_no_way_to_another_address(app: Flask, key: str) -> None:
    visitor = Visitor(app, key)
    for strange in ("a%3Fb", "..%2Fkeys", "a.b", "%C3%A4", "a%0Ab"):
        assert visitor.get(f"/console/jobs/{strange}").status_code == 404


def test_what_the_console_asks_for_counts_for_its_key_and_marks_it_used(
    app: Flask, standing_app: Callable[..., Flask], key: str
) -> None:
    visitor = Visitor(standing_app(RUSHES_API_REQUESTS_PER_MIN="3"), key)
    answers = [visitor.get("/console/") for _ in range(2)]
    assert answers[-1].status_code == 429
    assert "At most 3 requests a minute and key" in answers[-1].get_data(as_text=True)


def test_every_page_but_the_sign_in_and_its_files_asks_for_a_session(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("console.")]
    adapter, stranger = app.url_map.bind("localhost"), Visitor(app)
    asked = {rule.endpoint for rule in rules} - {"console.sign_in", "console.enter", "console.static"}
    assert len(asked) > 10
    for rule in rules:
        if rule.endpoint not in asked:
            continue
        values: dict[str, object] = {name: {"number": 1, "what": "video"}.get(name, "x") for name in rule.arguments}
        for method in (rule.methods or set()) - {"OPTIONS"}:
            answer = stranger.client.open(adapter.build(rule.endpoint, values), method=method)
            assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/console/sign-in"), rule
