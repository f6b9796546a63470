"""The form for a new job: what it shows of a mode, what it says of an order, and what it orders."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from api_orders import PLAIN, Bells
from console_visitor import Visitor
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.providers.client import Account
from jobs.store import lanes
from jobs.store.database import Database

MARKUP = "</textarea><script>alert(1)</script> \"'&\nsecond line"
LINK = "https://example.com/a.png"
SIGNED = f"{LINK}?Expires=4102444800&Signature=abc%2B1"


class Form(HTMLParser):
    """What a browser would send of a page's form for jobs, if no button were pressed."""

    def __init__(self, page: str):
        super().__init__()
        self.sent: MultiDict[str, str] = MultiDict()
        self._select = self._textarea = None
        self._is_ours = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_ours = told.get("action") == "/console/new"
        if not self._is_ours:
            return
        is_box = told.get("type") in ("radio", "checkbox")
        if tag == "input" and (not is_box or "checked" in told):
            self.sent.add(told["name"], told.get("value", ""))
        elif tag == "select":
            self._select, self._options = told["name"], []
        elif tag == "option":
            self._options.append(told["value"])
            if "selected" in told:
                self._options.insert(0, told["value"])
        elif tag == "textarea":
            self._textarea, self._text = told["name"], ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select:
            self.sent.add(self._select, self._options[0])
            self._select = None
        elif tag == "textarea" and self._textarea:
            self.sent.add(self._textarea, self._text.removeprefix("\n"))  # as browsers leave it out
            self._textarea = None


@pytest.fixture
def two(make_api: Callable[..., FlaskClient]) -> FlaskClient:
    """EvoLink, and EasyRouter, which is dearer."""
    return make_api(EASYROUTER_API_KEY="sk-2")


@pytest.fixture
def visitor(two: FlaskClient, database: Database) -> Visitor:
    return Visitor(two.application, api_keys.create(database, "a person", Scope.WRITE)[1])


def filled(visitor: Visitor, path: str = "/console/new", **typed: Any) -> MultiDict[str, str]:
    """The form of this page, with more typed into it."""
    form = Form(visitor.text(path)).sent
    for name, value in typed.items():
        form.setlist(name, value if isinstance(value, list) else [value])
    return form


def send(visitor: Visitor, form: MultiDict[str, str], **button: str) -> TestResponse:
    return visitor.client.post("/console/new", data=MultiDict([*form.items(multi=True), *button.items()]))


def form_of(answer: TestResponse) -> MultiDict[str, str]:
    return Form(answer.get_data(as_text=True)).sent


def page_of(answer: TestResponse) -> str:
    return unescape(answer.get_data(as_text=True))


def order(visitor: Visitor, form: MultiDict[str, str]) -> TestResponse:
    """Ask for the price, as a person must, and order at it."""
    return send(visitor, form_of(send(visitor, form, do="show")), do="order")


def jobs(api: FlaskClient) -> list[Any]:
    found: list[Any] = api.get("/v1/jobs").get_json()["data"]
    return found


def quote(visitor: Visitor, form: MultiDict[str, str]) -> str:
    answer = visitor.client.post("/console/new/quote", data=form)
    assert answer.status_code == 200
    return page_of(answer)


@pytest.mark.parametrize(
    ("mode", "shown", "hidden"),
    [
        ("text-to-video", {"ratio", "duration"}, {"audio_setting"}),
        ("image-to-video", {"duration"}, {"ratio", "audio_setting"}),
        ("reference-to-video", {"ratio", "duration"}, {"audio_setting"}),
        ("video-edit", {"audio_setting", "prompt"}, {"ratio", "duration"}),
    ],
)
def test_a_mode_shows_what_its_gateways_take(visitor: Visitor, mode: str, shown: set[str], hidden: set[str]) -> None:
    fields = set(filled(visitor, f"/console/new?mode={mode}"))
    assert (shown - fields, hidden & fields) == (set(), set())
    assert visitor.text(f"/console/new?mode={mode}").count('id="able-') == 2


def test_another_mode_keeps_what_was_typed_and_asks_for_its_own_links(visitor: Visitor) -> None:
    form = filled(visitor, prompt=MARKUP, ratio="9:16", mode="image-to-video")
    page = send(visitor, form, do="show").get_data(as_text=True)
    again = Form(page).sent
    assert (again["prompt"], again["mode"], again["ratio"]) == (MARKUP, "image-to-video", "9:16")
    assert again.getlist("type") == ["first_frame", "last_frame", "first_clip", "driving_audio"]
    assert again["idempotency_key"] == form["idempotency_key"]
    assert "<script>alert" not in page
    assert "leave ratio out" in page


def test_limits_name_the_gateways_that_they_hold_for(visitor: Visitor) -> None:
    page = unescape(visitor.text("/console/new"))
    (limits,) = re.findall(r'id="f-seed-about">.*?<span class="limits">(.*?)</span>', page)
    assert sorted(limits.rstrip(".").split("; ")) == ["easyrouter: 0 to 2147483647", "evolink: 1 to 2147483647"]


def test_the_price_and_what_speaks_against_a_gateway_show_while_it_is_typed(visitor: Visitor) -> None:
    form = filled(visitor, prompt="A red fox", resolution="720p", duration="2")
    said = quote(visitor, form)
    assert "evolink makes it for $0.172." in said
    assert "fits; comes after it" in said
    form["seed"] = "0"
    said = quote(visitor, form)
    assert "easyrouter makes it for $0.200." in said
    assert "seed 0: it allows 1 to 2147483647" in said
    form.setlist("provider", ["evolink", ""])
    said = quote(visitor, form)
    assert "evolink does not serve 0; it allows 1 to 2147483647." in said
    assert 'value="order"' not in said


def test_what_would_be_waited_for_is_told_with_the_price_there_and_can_be_ordered(
    visitor: Visitor, database: Database
) -> None:
    account = Account("evolink", "https://api.evolink.ai", "sk-test")
    with database.write() as db:
        lanes.rest(db, account, "submit", "insufficient_credits", 900, now=database.clock(db))
    form = filled(visitor, prompt="A red fox", resolution="720p", duration="2", provider=["evolink", ""])
    said = quote(visitor, form)
    assert "It would wait for evolink, there at $0.172: " in said
    assert "not now: " in said
    assert visitor.told(order(visitor, form)).startswith("Ordered: It would wait for evolink")


def test_a_price_that_nobody_knows_is_said_to_be_unknown(
    make_api: Callable[..., FlaskClient], database: Database
) -> None:
    api = make_api(EVOLINK_API_KEY="", GRAVITEX_API_KEY="sk-3")
    visitor = Visitor(api.application, api_keys.create(database, "a person", Scope.WRITE)[1])
    form = filled(visitor, prompt="A red fox")
    assert "gravitex makes it for a price that is not known." in quote(visitor, form)
    assert visitor.told(order(visitor, form)) == "Ordered: gravitex makes it for a price that is not known."


def test_an_order_is_what_was_typed(two: FlaskClient, visitor: Visitor, bells: Bells) -> None:
    form = filled(
        visitor,
        "/console/new?mode=image-to-video",
        prompt="It turns\r\nits head",
        negative_prompt="blur",
        resolution="720p",
        duration="2",
        seed="7",
        prompt_extend="false",
        type=["first_frame", "last_frame"],
        url=[SIGNED, " "],
        voice=["", ""],
        provider=["evolink", ""],
        batch="monday",
        entry=["scene", "", "take"],
        value=["12", "", ""],
        on_unconfirmed="resubmit",
        start_within_s="3600",
        notify_nobody="true",
    )
    answer = order(visitor, form)
    assert visitor.told(answer) == "Ordered: evolink makes it for $0.172."
    (job,) = jobs(two)
    assert answer.location == f"/console/jobs/{job['id']}"
    assert two.get(f"/v1/jobs/{job['id']}").get_json()["request"] == {
        **job["request"],
        "mode": "image-to-video",
        "prompt": "It turns\nits head",
        "negative_prompt": "blur",
        "resolution": "720p",
        "duration": 2,
        "seed": 7,
        "prompt_extend": False,
        "media": [{"type": "first_frame", "url": SIGNED}],
        "provider": "evolink",
        "batch": "monday",
        "metadata": {"scene": "12", "take": ""},
        "on_unconfirmed": "resubmit",
        "start_within_s": 3600,
        "notify_url": None,
    }
    assert ("jobs.submit", job["id"]) in bells.rung


def test_one_form_buys_once_however_often_it_is_sent(two: FlaskClient, visitor: Visitor) -> None:
    form = filled(visitor, prompt="A red fox", resolution="720p", duration="2")
    form = form_of(send(visitor, form, do="show"))
    first, second = send(visitor, form, do="order"), send(visitor, form, do="order")
    assert first.location == second.location
    assert visitor.told(second) == "Ordered already: this is the job."
    assert len(jobs(two)) == 1
    form["prompt"] = "An owl"
    answer = send(visitor, form, do="order")
    assert (answer.status_code, len(jobs(two))) == (409, 1)
    assert "This form has made a job already." in page_of(answer)
    assert visitor.told(send(visitor, form_of(answer), do="order")).startswith("Ordered: evolink")
    assert len(jobs(two)) == 2


def test_nothing_is_ordered_at_a_price_that_nobody_agreed_to(two: FlaskClient, visitor: Visitor) -> None:
    form = filled(visitor, prompt="A red fox", resolution="720p", duration="2")
    form = form_of(send(visitor, form, do="show"))
    assert form["agreed"] == "$0.172"
    form["duration"] = "4"
    answer = send(visitor, form, do="order")
    assert (answer.status_code, jobs(two)) == (200, [])
    assert "evolink makes it for $0.344. Look at the price, and order again." in page_of(answer)
    assert visitor.told(send(visitor, form_of(answer), do="order")) == "Ordered: evolink makes it for $0.344."


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_is_kept(two: FlaskClient, visitor: Visitor) -> None:
    form = filled(
        visitor,
        "/console/new?mode=image-to-video",
        prompt=MARKUP,
        duration="a while",
        url=["", "ftp://example.com/a", "", ""],
        batch="a/b",
        start_within_s="5",
        entry=["", "scene"],
        value=["12", "1"],
    )
    answer = send(visitor, form, do="order")
    assert (answer.status_code, jobs(two)) == (422, [])
    raw = answer.get_data(as_text=True)
    again = Form(raw).sent
    kept = ("prompt", "duration", "batch", "start_within_s", "mode")
    assert [again[name] for name in kept] == [form[name] for name in kept]
    assert (again.getlist("type")[0], again.getlist("url")[0]) == ("last_frame", "ftp://example.com/a")
    assert again.getlist("entry")[:2] == ["", "scene"]
    for field, words in {"f-duration": "Not a valid integer.", "f-batch": "leave / out", "f-start": "60"}.items():
        (said,) = re.findall(rf'id="{field}-fault">.*?</svg>(.*?)</p>', raw)
        assert words in unescape(said), field
        assert re.search(rf'id="{field}" aria-describedby="{field}-about {field}-fault" aria-invalid="true"', raw)
    assert "Not a URL that can be used" in raw
    assert "<script>alert" not in raw
    assert "Nothing was ordered." in raw


@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        {"prompt": MARKUP, "provider": ["easyrouter", "evolink"], "metadata": {"a b": "=", "<i>": "&"}},
        {"mode": "video-edit", "media": [{"type": "video", "url": SIGNED}, {"type": "reference_image", "url": LINK}]},
        {
            "mode": "reference-to-video",
            "prompt": "Both walk",
            "provider": "evolink",
            "media": [
                {"type": "reference_image", "url": SIGNED, "reference_voice": f"{LINK}?voice"},
                {"type": "reference_image", "url": f"{LINK}?2"},
                {"type": "first_frame", "url": LINK},
            ],
        },
        {**PLAIN, "start_within_s": 600, "on_unconfirmed": "resubmit", "seed": 5, "ratio": "9:16"},
    ],
)  # fmt: skip
def test_order_again_opens_the_form_with_the_request_of_the_job(
    two: FlaskClient, visitor: Visitor, body: dict[str, Any]
) -> None:
    made = two.post("/v1/jobs", json={**body, "batch": "monday"})
    assert made.status_code == 202, made.get_json()
    job_id = made.get_json()["id"]
    (again,) = re.findall(r'href="([^"]+)">Order again', visitor.text(f"/console/jobs/{job_id}"))
    answer = send(visitor, filled(visitor, again), do="order")
    assert visitor.told(answer).startswith("Ordered: ")
    new = answer.location.rpartition("/")[2]
    assert new != job_id
    taken = made.get_json()["request"]
    assert two.get(f"/v1/jobs/{new}").get_json()["request"] == {**taken, "batch": None}


def test_a_job_that_there_is_not_cannot_be_ordered_again(visitor: Visitor) -> None:
    answer = visitor.get("/console/jobs/job_01K8Z3V0QWERTYUIOPASDFGHJK/again")
    assert (answer.status_code, "No such job." in page_of(answer)) == (404, True)


def test_a_mode_without_a_gateway_says_so(make_api: Callable[..., FlaskClient], database: Database) -> None:
    api = make_api(EVOLINK_API_KEY="", GRAVITEX_API_KEY="sk-3")
    visitor = Visitor(api.application, api_keys.create(database, "a person", Scope.WRITE)[1])
    page = visitor.text("/console/new?mode=video-edit")
    assert "No gateway that has a key here makes it." in page
    form = filled(visitor, "/console/new?mode=video-edit", url=[LINK, ""])
    assert "gravitex does not serve 'video-edit'" in quote(visitor, form)


def test_a_key_that_may_only_look_sees_what_gateways_can_do_and_nothing_to_order(
    two: FlaskClient, database: Database
) -> None:
    job_id = two.post("/v1/jobs", json=PLAIN).get_json()["id"]
    reader = Visitor(two.application, api_keys.create(database, "reader", Scope.READ)[1])
    for path in ("/console/new?mode=video-edit", f"/console/jobs/{job_id}/again"):
        page = reader.text(path)
        assert re.findall(r'<form[^>]*action="([^"]+)"', page) == ["/console/sign-out"]
        assert 'id="able-evolink"' in page
        assert "may only look" in page
    assert "Order again" not in reader.text(f"/console/jobs/{job_id}")
    for path in ("/console/new", "/console/new/quote"):
        answer = reader.post(path, prompt="A red fox", do="order", idempotency_key="k")
        assert (answer.status_code, "scope write" in page_of(answer)) == (403, True)
    assert len(jobs(two)) == 1
