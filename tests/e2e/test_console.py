"""The console in a real browser, beside a running service with stand-ins for the gateways."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chromium
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from conftest import House
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from whole_machine import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="`rushes up` runs its stores the Linux way"),
    pytest.mark.timeout(300),
]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SERIOUS = {"serious", "critical"}
VIDEO = {"resolution": "720p", "duration": 2}
MOVING = """[...document.querySelectorAll("a, button, summary")]
    .some((each) => parseFloat(getComputedStyle(each).transitionDuration) > 0)"""
# The pages that are of no single job.
INTERVAL_MS = 6_000  # longer than that of any page which is looked at
PLACES = [f"/console/{name}" for name in ("", "jobs", "attention", "gateways", "money", "callbacks", "notices", "keys")]
PLACES.append("/console/jobs/bulk")
MOST_TABS = 60
TIMES = "[...document.querySelectorAll('video')].map((each) => each.currentTime)"
# What was asked for is shown.
SETTLED = "document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling') === null"
# Nobody looks: as when another tab is in front.
AWAY = "Object.defineProperty(document, 'hidden', { get: () => window.away }); window.away = true"
# Where the pictures of README and docs go: CONSOLE_PICTURES=docs
PICTURES = os.environ.get("CONSOLE_PICTURES")


@dataclass
class Service:
    """The service as a program orders from it, and its stand-ins."""

    house: House
    jobs: dict[str, str] = field(default_factory=dict)  # by what became of them

    @property
    def url(self) -> str:
        return self.house.url

    @property
    def key(self) -> str:
        return str(self.house.kept["api_key"]["key"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def order(self, prompt: str, provider: str, *faults: dict[str, Any], **more: Any) -> str:
        for fault in faults:
            place = f"http://127.0.0.1:{self.house.kept['sandbox']['port']}/control/faults"
            requests.post(place, json={"provider": provider, **fault}, timeout=10).raise_for_status()
        return str(self.ask("POST", "/v1/jobs", {"prompt": prompt, "provider": provider, **VIDEO, **more})["id"])

    def job(self, job_id: str) -> Any:
        return self.ask("GET", f"/v1/jobs/{job_id}")

    def until_state(self, job_id: str, state: str) -> None:
        until(lambda: self.job(job_id)["state"] == state)


@pytest.fixture(scope="module")
def service(running_house: House) -> Service:
    """A service with jobs in the states that a person meets."""
    running_house.empty()
    service, jobs = Service(running_house), {}
    service.ask("POST", "/v1/providers/easyrouter/rest", {"seconds": 3600})
    jobs["archived"] = service.order(
        "A red fox trots through fresh snow at dawn, its breath visible, low camera",
        "apiframe",
        batch="monday",
        metadata={"scene": "12"},
        notify_url="http://127.0.0.1:9/hook",
    )
    jobs["failed"] = service.order("Two old men play chess in a park", "gravitex", {"fault": "fail"})
    unheard = {"fault": "lose_answer"}, {"fault": "lose_callback"}
    jobs["unconfirmed"] = service.order("A lighthouse in a storm", "evolink", *unheard)
    jobs["queued"] = service.order("A paper boat sails down a gutter", "easyrouter")
    service.jobs = jobs
    for state in ("unconfirmed", "failed", "archived"):
        service.until_state(jobs[state], state)
    return service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandboxed = [] if os.geteuid() else ["--no-sandbox"]  # which root has none of
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.program(), args=sandboxed)
        yield browser
        browser.close()


@contextmanager
def signed_in(browser: Browser, service: Service, **looks: Any) -> Iterator[Page]:
    """A page of a person who has signed in. At its end nothing of it may have failed, or have gone elsewhere."""
    context = browser.new_context(**{"viewport": WIDE, "base_url": service.url, **looks})
    page, wrong, origins = context.new_page(), list[str](), set[str]()
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: origins.add("{0.scheme}://{0.netloc}".format(urlsplit(asked.url))))
    page.goto("/")
    page.get_by_label("API key").fill(service.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    yield page
    context.close()
    assert wrong == []
    store = service.house.bucket.config.endpoint_url
    assert origins <= {service.url, str(store)}


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out, with the elements."""
    found = Axe().run(page).response["violations"]
    return [f"{page.url} {v['id']}: {[node['html'] for node in v['nodes']]}" for v in found if v["impact"] in SERIOUS]


@pytest.mark.parametrize(
    ("scheme", "size"),
    [pytest.param("light", WIDE, id="light"), pytest.param("dark", PHONE, id="dark phone", marks=pytest.mark.prove)],
)
def test_every_page_is_for_everybody(browser: Browser, service: Service, scheme: Any, size: Any) -> None:
    """Axe finds nothing serious, nothing is wider than the screen, and nothing moves where that was not wanted."""
    jobs = [f"/console/jobs/{service.jobs[state]}" for state in ("archived", "unconfirmed")]
    film = service.jobs["archived"]
    videos = ["/console/videos", f"/console/videos/{film}", f"/console/videos/compare?ids={film},job_gone"]
    forms = ["/console/new?mode=reference-to-video", f"/console/jobs/{film}/again"]
    found, wide = list[str](), list[str]()
    with signed_in(browser, service, color_scheme=scheme, viewport=size, reduced_motion="reduce") as page:
        for path in (*PLACES, "/console/jobs?batch=none", *jobs, *videos, *forms):
            page.goto(path)
            for unfolds in page.locator("main summary").all():
                unfolds.click()
            found += serious(page)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append(path)
            assert not page.evaluate(MOVING), "although less motion was asked for"
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        found += serious(page)
    assert (found, wide) == ([], [])


def test_the_player_plays(browser: Browser, service: Service) -> None:
    with signed_in(browser, service) as page:
        page.goto(f"/console/jobs/{service.jobs['archived']}")
        page.evaluate("document.querySelector('video').play()")
        until(lambda: page.evaluate("document.querySelector('video').currentTime") > 0.5)
        assert page.evaluate("[document.querySelector('video').videoWidth, document.querySelector('video').error]") == [
            1280,
            None,
        ]


def test_keys_go_through_the_list_open_a_job_and_search(browser: Browser, service: Service) -> None:
    with signed_in(browser, service) as page:
        page.goto("/console/jobs")
        rows = page.locator("[data-rows] tbody th a")
        for key, number in (("j", 0), ("j", 1), ("k", 0), ("k", 0), ("j", 1)):
            page.keyboard.press(key)
            expect(rows.nth(number)).to_be_focused()
        page.keyboard.press("/")
        expect(page.get_by_label("Prompt")).to_be_focused()
        page.keyboard.type("jk fox")
        page.keyboard.press("Enter")
        expect(page.get_by_text("No job is like that.")).to_be_visible()
        assert "prompt=jk+fox" in page.url
        page.goto("/console/jobs?prompt=RED+FOX")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("A red fox trots")


def test_a_page_renews_itself_while_it_is_seen_and_leaves_focus_and_scroll(browser: Browser, service: Service) -> None:
    with signed_in(browser, service, viewport={"width": 1280, "height": 300}) as page:
        page.clock.install()
        page.goto("/console/jobs?batch=live")
        expect(page.get_by_text("No job is like that.")).to_be_visible()
        service.order("The first of the batch", "easyrouter", batch="live")
        first = page.get_by_role("link", name="The first of the batch")
        page.clock.run_for(INTERVAL_MS)
        expect(first).to_be_visible()
        first.focus()
        page.evaluate("scrollTo(0, 120)")
        service.order("The second of the batch", "easyrouter", batch="live")
        page.clock.run_for(INTERVAL_MS)
        expect(page.get_by_role("link", name="The second of the batch")).to_be_visible()
        expect(first).to_be_focused()
        expect(page.locator("[data-live]")).to_have_count(1)  # it is put in its own place, not into itself
        assert page.evaluate("scrollY") >= 120  # more, where what is looked at stays in its place
        page.evaluate(AWAY)
        asked = list[str]()
        page.on("request", lambda request: asked.append(request.url))
        service.order("The third of the batch", "easyrouter", batch="live")
        page.clock.run_for(INTERVAL_MS)
        assert asked == []
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_role("link", name="The third of the batch")).to_be_visible(timeout=3_000)


@pytest.fixture(scope="module")
def takes(service: Service) -> list[str]:
    """Two videos of a batch of their own, as the gallery has them."""
    made = [service.order(f"Take {number} of the fox", "apiframe", batch="takes") for number in (1, 2)]
    for job_id in made:
        service.until_state(job_id, "archived")
    return made[::-1]


@pytest.mark.usefixtures("takes")
def test_the_gallery_plays_under_mouse_and_focus_and_opens_a_player(browser: Browser, service: Service) -> None:
    with signed_in(browser, service) as page:
        page.goto("/console/videos?batch=takes")
        tiles, previews, player = page.locator("[data-film]"), page.locator(".film video"), page.get_by_role("dialog")
        wide = "[...document.querySelectorAll('.poster')].map((each) => each.naturalWidth)"
        until(lambda: min(page.evaluate(wide)) > 0)
        tiles.nth(1).hover()
        until(lambda: max(page.evaluate(TIMES), default=0) > 0.2)
        page.mouse.move(0, 0)
        expect(previews).to_have_count(0)
        page.keyboard.press("j")
        expect(tiles.nth(0)).to_be_focused()
        until(lambda: max(page.evaluate(TIMES), default=0) > 0.2)
        page.keyboard.press("Space")
        assert page.evaluate("document.querySelector('.film video').paused")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(player.get_by_role("heading")).to_have_text("Take 1 of the fox")
        until(lambda: max(page.evaluate(TIMES)) > 0.2)
        expect(player.get_by_role("button", name="Next")).to_be_disabled()
        player.get_by_role("button", name="Copy curl").click()
        expect(player.get_by_role("button", name="Copied")).to_be_visible()
        assert serious(page) == []
        page.keyboard.press("k")
        expect(player.get_by_role("heading")).to_have_text("Take 2 of the fox")
        page.keyboard.press("Escape")
        expect(player).to_be_hidden()
        expect(tiles.nth(0)).to_be_focused()


@pytest.mark.usefixtures("takes")
def test_nothing_plays_by_itself_where_less_motion_was_asked_for(browser: Browser, service: Service) -> None:
    with signed_in(browser, service, reduced_motion="reduce") as page:
        page.goto("/console/videos?batch=takes")
        tiles = page.locator("[data-film]")
        tiles.nth(0).hover()
        tiles.nth(1).focus()
        page.wait_for_timeout(1_000)  # longer than the mouse has to rest
        expect(page.locator("video")).to_have_count(0)
        page.keyboard.press("Space")
        until(lambda: max(page.evaluate(TIMES), default=0) > 0.2)


@pytest.mark.usefixtures("takes")
def test_marked_videos_play_pause_and_move_in_step(browser: Browser, service: Service) -> None:
    with signed_in(browser, service) as page:
        page.goto("/console/videos?batch=takes")
        for key in "jcjc":
            page.keyboard.press(key)
        expect(page.get_by_text("2 marked")).to_be_visible()
        page.get_by_role("button", name="Side by side").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Side by side")
        place = page.get_by_label("Place in the films")
        until(lambda: page.evaluate("[...document.querySelectorAll('video')].every((each) => each.readyState > 2)"))
        place.fill("1")
        until(lambda: page.evaluate(TIMES) == [1, 1])
        place.fill("0")
        page.keyboard.press("Space")
        until(lambda: min(page.evaluate(TIMES)) > 0.3)
        page.evaluate("document.querySelectorAll('video')[1].currentTime = 0")  # it falls behind
        until(lambda: page.evaluate("document.querySelector('video').ended"))
        first, second = page.evaluate(TIMES)
        assert first > 1.5
        assert abs(first - second) < 0.1
        expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_video_that_does_not_play_says_so_and_gives_the_link(browser: Browser, service: Service) -> None:
    job_id = service.jobs["archived"]
    with signed_in(browser, service) as page:
        page.route("**/video", lambda route: route.fulfill(body="no film", content_type="video/mp4"))
        for path in (f"/console/videos/{job_id}", f"/console/jobs/{job_id}"):
            page.goto(path)
            page.evaluate("document.querySelector('video').play().catch(() => null)")
            fetch = page.get_by_role("alert").get_by_role("link", name="Fetch it")
            expect(fetch).to_have_attribute("href", f"/console/videos/{job_id}/download")


def press(page: Page, label: str, **more: str) -> None:
    """Unfold an offer, and press its button."""
    offer = page.locator("details.action").filter(has=page.locator("summary", has_text=label))
    offer.locator("summary").click()
    for name in more.values():
        offer.get_by_label(name).check()
    offer.get_by_role("button", name=re.compile(f"^{label}$")).click()


def test_every_button_does_what_it_says(browser: Browser, service: Service) -> None:
    jobs = service.jobs
    with signed_in(browser, service) as page:
        said = page.locator("[data-said]")
        page.goto(f"/console/jobs/{jobs['queued']}")
        press(page, "Cancel")
        expect(said).to_have_text("Cancelled: nothing was bought.")
        expect(said).to_be_focused()
        assert service.job(jobs["queued"])["state"] == "cancelled"

        page.goto(f"/console/jobs/{jobs['failed']}")
        press(page, "Retry", accept="I accept that it may be paid twice")
        expect(said).to_have_text("It is worked on again.")
        service.until_state(jobs["failed"], "archived")

        page.goto(f"/console/jobs/{jobs['unconfirmed']}")
        press(page, "Settle order 1", found="It was not made")
        expect(said).to_contain_text("It is taken down.")
        assert service.job(jobs["unconfirmed"])["attempts"][0]["settled"] == "not_made"

        serves = {"fault": "serve", "what": "audio_only", "times": 50}  # also when it is fetched again
        unproven = service.order("A night train on a viaduct", "aivideoapi", serves)
        until(lambda: any(order["unproven"] for order in service.job(unproven)["attempts"]))
        page.goto(f"/console/jobs/{unproven}")
        press(page, "Accept the film")
        expect(said).to_contain_text("The film is copied as it is")
        service.until_state(unproven, "archived")
        assert service.job(unproven)["accepted_by"] is not None

        page.goto(f"/console/jobs/{jobs['archived']}")
        page.get_by_role("button", name="Send again").first.click()
        expect(said).to_have_text("The notice goes out once more.")
        page.get_by_role("button", name="Let it count again").first.click()
        expect(said).to_contain_text("nothing of it is open")
        page.get_by_role("link", name="Order again").click()
        page.locator("#do-order summary").click()
        page.get_by_role("button", name="Order for").click()
        expect(said).to_contain_text("Ordered: apiframe makes it for")
        new = page.url.rpartition("/")[2]
        assert new not in jobs.values()
        service.until_state(new, "archived")
        expect(page.locator("video")).to_be_visible(timeout=15_000)


def tab_to(page: Page, there: Locator) -> None:
    """By the Tab key alone, as far as a person would go."""
    expect(there).to_be_visible()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if there.evaluate("(element) => element === document.activeElement"):
            return
    pytest.fail(f"{there} is not reached by {MOST_TABS} tabs")


def test_a_failed_video_is_found_understood_and_made_again_by_the_keyboard_within_a_minute(
    browser: Browser, service: Service
) -> None:
    failed = service.order("A violin on a chair", "evolink", {"fault": "fail", "retryable": False})
    service.until_state(failed, "failed")
    with signed_in(browser, service) as page:
        began = time.monotonic()
        tab_to(page, page.locator("a.tile.ended", has_text="failed"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("A violin on a chair")
        job = service.job(failed)
        cost = job["attempts"][0]["cost"]
        expect(page.locator("main")).to_contain_text(job["error"]["message"])
        orders = page.locator("section", has=page.get_by_role("heading", name="Orders and money"))
        expect(orders).to_contain_text(cost["standing"])
        expect(orders).to_contain_text(f"${cost['estimated_usd']:.2f}")
        tab_to(page, page.get_by_role("link", name="Order again"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("again")
        tab_to(page, page.locator("#do-order summary"))
        page.keyboard.press("Enter")
        tab_to(page, page.get_by_role("button", name="Order for"))
        page.keyboard.press("Enter")
        expect(page.locator("[data-said]")).to_contain_text("Ordered: evolink makes it for")
        again = page.url.rpartition("/")[2]
        assert time.monotonic() - began < 60
        service.until_state(again, "archived")
    assert service.job(again)["request"] == job["request"]


def test_a_gateway_is_let_rest_and_resumed_and_a_line_of_what_needs_a_person_is_answered(
    browser: Browser, service: Service
) -> None:
    with signed_in(browser, service) as page:
        said = page.locator("[data-said]")
        page.goto("/console/gateways")
        press(page, "Rest gravitex")
        expect(said).to_contain_text("gravitex gets no orders until")
        assert service.ask("GET", "/v1/providers/gravitex")["status"]["paused"]["submit"]["reason"] == "by_hand"
        page.goto("/console/attention?reason=gateway_rests")
        press(page, "Resume gravitex")
        expect(said).to_have_text("gravitex rests no more: one order tries it first.")
        assert service.ask("GET", "/v1/providers/gravitex")["status"]["paused"]["submit"] is None


def test_all_that_match_are_cancelled_once_that_is_confirmed(browser: Browser, service: Service) -> None:
    made = [service.order(f"Wave {number}", "easyrouter", batch="waves") for number in (1, 2)]
    with signed_in(browser, service) as page:
        page.goto("/console/jobs?batch=waves")
        page.get_by_role("link", name="Do one thing with all that match").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("2 jobs that match")
        page.get_by_role("button", name="Cancel (2)").click()  # nobody is sure yet
        assert {service.job(job_id)["state"] for job_id in made} == {"queued"}
        page.get_by_label("Cancel: 2 jobs").check()
        page.get_by_role("button", name="Cancel (2)").click()
        expect(page.locator("[data-said]")).to_contain_text("2 jobs are cancelled")
        assert page.url.endswith("/console/jobs?batch=waves")
        assert {service.job(job_id)["state"] for job_id in made} == {"cancelled"}


def test_a_key_is_made_shown_once_and_revoked(browser: Browser, service: Service) -> None:
    with signed_in(browser, service) as page:
        page.goto("/console/keys")
        page.get_by_label("Whose it is").fill("maria")
        page.get_by_role("radio", name="read: look at everything").check()
        page.get_by_role("button", name="Make the key").click()
        key = page.locator("code", has_text=re.compile("^rk_")).inner_text()
        assert requests.get(f"{service.url}/v1/key", headers={"Authorization": f"Bearer {key}"}, timeout=10).ok
        page.goto("/console/keys")
        expect(page.get_by_text(key)).to_have_count(0)
        row = page.locator("tr", has_text="maria")
        row.locator("summary").click()
        row.get_by_role("button", name="Revoke maria").click()
        expect(page.locator("[data-said]")).to_have_text("maria's key is revoked.")
        expect(page.locator("tr", has_text="maria")).to_contain_text("revoked")
        refused = requests.get(f"{service.url}/v1/key", headers={"Authorization": f"Bearer {key}"}, timeout=10)
        assert refused.status_code == 401


def test_the_form_tells_the_price_while_it_is_typed_and_orders_at_it(browser: Browser, service: Service) -> None:
    with signed_in(browser, service) as page:
        page.goto("/console/new")
        page.get_by_label("prompt", exact=True).fill("A kite over the dunes")
        told = page.locator("#quote")
        expect(told).to_contain_text("makes it for")
        page.get_by_label("seed", exact=True).fill("0")
        expect(told).to_contain_text("seed 0: it allows 1 to 2147483647")
        mode = page.get_by_role("radio", name="image-to-video")
        mode.check()
        expect(told).to_contain_text("image-to-video wants first_frame or first_clip")
        expect(mode).to_be_focused()
        expect(page.get_by_label("ratio", exact=True)).to_have_count(0)
        expect(page.get_by_label("prompt", exact=True)).to_have_value("A kite over the dunes")
        page.get_by_role("radio", name="text-to-video").check()
        page.get_by_label("resolution", exact=True).select_option("720p")
        with page.expect_response("**/console/new/quote"):
            page.get_by_label("duration", exact=True).fill("2")
        with page.expect_response("**/console/new"):
            page.get_by_label("duration", exact=True).press("Enter")  # asks, and orders nothing
        page.wait_for_function(SETTLED)
        page.locator("#do-order summary").click()
        page.get_by_role("button", name="Order for").click()
        expect(page.locator("[data-said]")).to_contain_text("Ordered: ")
        expect(page.get_by_role("heading", level=1)).to_have_text("A kite over the dunes")


@pytest.mark.skipif(PICTURES is None, reason="CONSOLE_PICTURES names no folder for the pictures of the pages")
def test_pictures_for_the_pages(browser: Browser, service: Service) -> None:
    places = {"overview": "/console/", "jobs": "/console/jobs", "job": f"/console/jobs/{service.jobs['archived']}"}
    places["videos"] = "/console/videos"
    with signed_in(browser, service, viewport={"width": 1280, "height": 800}, color_scheme="light") as page:
        for name, path in places.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=Path(str(PICTURES)) / f"console-{name}.png")
