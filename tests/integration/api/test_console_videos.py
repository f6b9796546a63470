"""The console's gallery, its player, and films side by side, as their pages read."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Orders
from console_visitor import Visitor
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from jobs.store.tables import jobs

NOW = datetime.now(UTC)
TODAY = f"{NOW:%Y-%m-%d}"
MARKUP = "<script>alert(1)</script> \"><img src=x onerror=alert(2)> & 'so on'"
UNKNOWN = "job_01K8Z3V0QWERTYUIOPASDFGHJK"
FACTS = {"bytes": 1_500_000, "duration_s": 2.04, "width": 1280, "height": 720, "fps": 24.0, "bucket": "videos"}
Film = Callable[..., str]


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


@pytest.fixture
def visitor(api: FlaskClient, database: Database) -> Visitor:
    return Visitor(api.application, api_keys.create(database, "a person", Scope.READ)[1])


@pytest.fixture
def film(api: FlaskClient, database: Database) -> Film:
    """Makes an archived job: what a request says, and what its row does."""

    def make(columns: dict[str, Any] | None = None, **request: Any) -> str:
        job_id = str(api.post("/v1/jobs", json={**PLAIN, **request}).get_json()["id"])
        row = {"state": "archived", "provider": "evolink", "alarm_at": None, "ended_at": NOW, **FACTS}
        with database.write() as db:
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values({**row, **(columns or {})}))
        return job_id

    return make


def ids(page: str) -> list[str]:
    return re.findall(r'<li id="(job_\w+)"', page)


def tile(page: str, job_id: str) -> str:
    (found,) = re.findall(rf'<li id="{job_id}">(.*?)</li>', page, re.DOTALL)
    return str(found)


# The gallery


def test_an_empty_gallery_says_how_to_make_the_first_video(api: FlaskClient, visitor: Visitor) -> None:
    api.post("/v1/jobs", json=PLAIN)
    page = visitor.text("/console/videos")
    assert "There is no video yet." in page
    assert "rushes submit" in page


def test_the_gallery_shows_what_is_archived_the_newest_first(visitor: Visitor, film: Film, orders: Orders) -> None:
    older, newer = film(prompt="An owl"), film(prompt="A fox")
    orders.add(TODAY, "none", state="failed")
    page = visitor.text("/console/videos")
    assert ids(page) == [newer, older]
    shown = tile(page, newer)
    assert f'href="/console/videos/{newer}" data-film="/console/jobs/{newer}/video"' in shown
    assert f'src="/console/jobs/{newer}/poster" width="1280" height="720" alt="" loading="lazy"' in shown
    assert [said for said in ("A fox", "evolink", "1280 × 720", "2.0 s") if said not in shown] == []
    assert "<video" not in page, "nothing is fetched of a film before somebody wants it"
    assert '<a href="/console/videos" aria-current="page">Videos</a>' in page


def test_filters_of_the_gallery_stand_in_its_address(visitor: Visitor, film: Film, orders: Orders) -> None:
    fox = film(metadata={"scene": "12", "take": "3"}, batch="monday")
    owl = film({"provider": "gravitex", "mode": "image-to-video"}, prompt="An owl")
    old = film({"created_at": NOW - timedelta(days=9)})
    failed = orders.add(TODAY, "none", state="failed")
    for address, found in {
        "prompt=owl": [owl],
        "provider=gravitex": [owl],
        "mode=image-to-video": [owl],
        "metadata=scene%3D12+take%3D3": [fox],
        "batch=monday": [fox],
        f"created_before={NOW - timedelta(days=1):%Y-%m-%dT%H:%M}": [old],
        f"created_after={NOW - timedelta(days=1):%Y-%m-%dT%H:%M}": [owl, fox],
        "state=failed": [failed],
        "state=archived&state=failed": [failed, owl, fox, old],
        "batch=tuesday": [],
    }.items():
        page = visitor.text(f"/console/videos?{address}")
        assert ids(page) == found, address
        assert found or "No video is like that." in page


def test_a_job_without_a_video_shows_its_state_and_leads_to_its_page(visitor: Visitor, orders: Orders) -> None:
    job_id = orders.add(TODAY, "held")
    shown = tile(visitor.text("/console/videos?state=generating"), job_id)
    assert f'<a class="film" href="/console/jobs/{job_id}">' in shown
    assert "a gateway makes it" in shown
    assert "<input" not in shown, "nothing stands side by side with what there is not"


def test_a_filter_of_the_gallery_that_means_nothing_is_refused_in_words(visitor: Visitor) -> None:
    answer = visitor.get("/console/videos?provider=nobody")
    assert (answer.status_code, "Knows no nobody" in unescape(answer.get_data(as_text=True))) == (422, True)


def test_a_large_gallery_is_seen_a_page_at_a_time_with_its_filters(
    visitor: Visitor, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rushes.console.videos.PAGE", "2")
    made = [film(batch="b") for _ in range(3)]
    first = visitor.text("/console/videos?batch=b")
    (older,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = visitor.text("/console/videos" + unescape(older))
    assert [*ids(first), *ids(second)] == made[::-1]
    assert '<a href="?batch=b">The newest</a>' in second


def test_an_accepted_film_without_frames_has_no_poster_and_says_so(visitor: Visitor, film: Film) -> None:
    job_id = film(dict.fromkeys(("width", "height", "fps", "duration_s")))
    shown = tile(visitor.text("/console/videos"), job_id)
    assert "no poster" in shown
    assert "frame bare" in shown
    assert "<img" not in shown
    page = visitor.text(f"/console/videos/{job_id}")
    assert "poster=" not in page
    assert "<dt>size</dt><dd>unknown, 1.5 MB</dd>" in page


def test_nothing_that_is_written_about_a_video_is_markup(visitor: Visitor, film: Film) -> None:
    told = {"prompt": MARKUP, "batch": "<b>", "metadata": {"<i>": "<u>"}}
    both = film(**told), film(**told)
    pages = ["/console/videos", f"/console/videos/{both[0]}", f"/console/videos/compare?ids={','.join(both)}"]
    for page in map(visitor.text, pages):
        assert unescape(page).count(MARKUP) >= 2
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert not re.search(r"<[biu]>", page)


# The player


def test_a_player_tells_what_is_worth_knowing(visitor: Visitor, api: FlaskClient, film: Film) -> None:
    prompt = "A red fox trots through snow. " * 20
    at = NOW - timedelta(seconds=90)
    job_id = film({"created_at": at}, prompt=prompt, batch="monday", metadata={"scene": "12"})
    page = visitor.text(f"/console/videos/{job_id}")
    assert f'src="/console/jobs/{job_id}/video"' in page
    assert f'poster="/console/jobs/{job_id}/poster"' in page
    assert prompt.strip() in page, "all of it"
    facts = {
        name: unescape(re.sub("<[^>]+>", "", value)) for name, value in re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    }
    assert facts == {
        "gateway": "evolink",
        "mode": "text-to-video",
        "size": "1280 × 720, 24 frames a second, 1.5 MB",
        "length": "2.0 s",
        "cost": "–",
        "took": "1 min 30 s",
        "asked for": f"{at:%Y-%m-%d %H:%M:%S} UTC",
        "batch": "monday",
        "scene": "12",
    }
    assert f'href="/console/jobs/{job_id}">All about this job' in page


def test_what_is_copied_leads_to_the_video(visitor: Visitor, film: Film) -> None:
    job_id = film()
    page = visitor.text(f"/console/videos/{job_id}")
    copied = {name: unescape(text) for text, name in re.findall(r'data-copy="([^"]*)">Copy (\w+)<', page)}
    assert copied["link"] == f"http://localhost/console/videos/{job_id}"
    command = shlex.split(copied["curl"])
    assert command[-1] == f"http://localhost/v1/jobs/{job_id}/video"
    assert "Authorization: Bearer $RUSHES_API_KEY" in command, "the key itself stands on no page"
    calls = [node for node in ast.walk(ast.parse(copied["Python"])) if isinstance(node, ast.Call)]
    assert [[arg.value for arg in call.args if isinstance(arg, ast.Constant)] for call in calls] == [
        ["http://localhost"],
        [job_id, f"{job_id}.mp4"],
    ]


def test_a_copied_link_goes_by_tls_where_a_trusted_proxy_speaks_it(
    make_api: Callable[..., FlaskClient], database: Database, film: Film
) -> None:
    job_id, key = film(), api_keys.create(database, "a person", Scope.READ)[1]
    for variables, scheme in (({}, "http"), ({"TRUSTED_PROXIES": "10.0.0.0/8"}, "https")):
        visitor = Visitor(make_api(**variables).application, key, address="10.0.0.1")
        page = visitor.get(f"/console/videos/{job_id}", headers={"X-Forwarded-Proto": "https"})
        assert f'data-copy="{scheme}://localhost/console/videos/{job_id}"' in page.get_data(as_text=True)


def test_a_download_is_a_fresh_link_that_browsers_save(visitor: Visitor, film: Film) -> None:
    job_id = film()
    answer = visitor.get(f"/console/videos/{job_id}/download")
    assert answer.status_code == 302
    assert "Signature=" in answer.location
    assert f"attachment%3B%20filename%2A%3DUTF-8%27%27{job_id}.mp4" in answer.location


def test_a_player_without_a_video_says_what_the_job_is(visitor: Visitor, orders: Orders) -> None:
    page = visitor.text(f"/console/videos/{orders.add(TODAY, 'held')}")
    assert "There is no video: the job is" in page
    assert "data-copy" not in page
    assert visitor.get(f"/console/videos/{UNKNOWN}").status_code == 404


# Side by side


def sides(page: str) -> list[str]:
    return re.findall(r'src="/console/jobs/(job_\w+)/video"', page)


def test_films_stand_side_by_side_in_the_order_of_the_address(visitor: Visitor, film: Film) -> None:
    made = [film() for _ in range(8)]
    for address in (f"ids={made[2]},{made[0]},{made[2]}", f"ids={made[2]}&ids={made[0]}"):
        page = visitor.text(f"/console/videos/compare?{address}")
        assert sides(page) == [made[2], made[0]]
        assert "left out" not in page
    page = visitor.text(f"/console/videos/compare?ids={','.join(made)}")
    assert sides(page) == made[:6]
    assert "6 at most stand side by side; 2 more were asked for, and left out." in page


def test_what_cannot_stand_side_by_side_is_said(visitor: Visitor, film: Film, orders: Orders) -> None:
    job_id, failed = film(), orders.add(TODAY, "none", state="failed")
    page = visitor.text(f"/console/videos/compare?ids={job_id},{failed},{UNKNOWN},../key,x/../../key")
    assert sides(page) == [job_id]
    assert f'There is no video: <a href="/console/jobs/{failed}">the job</a> is' in page
    said = re.findall(r'<code class="break">([^<]+)</code> is no job that is here', page)
    assert said == [UNKNOWN, "../key", "x/../../key"]
    for ids_ in ("", job_id):
        page = visitor.text(f"/console/videos/compare?ids={ids_}")
        assert "Mark two videos or more" in page
        assert sides(page) == []
