"""GET /v1/jobs: filters, pages, and what a page costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from ulid import ULID

from jobs.machine.states import State
from jobs.reports.listing import Filters, Place, statement
from jobs.store import tables
from jobs.store.database import Database

pytestmark = pytest.mark.both_databases

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Keep = Callable[..., str]


@pytest.fixture
def keep(database: Database) -> Keep:
    """Keeps a job as a row, one minute after the one before."""
    minutes = iter(range(1000))

    def keep(**columns: Any) -> str:
        at = columns.pop("created_at", NOON + timedelta(minutes=next(minutes)))
        row = {
            "id": f"job_{ULID()}",
            "state": "generating",
            "version": 1,
            "mode": "text-to-video",
            "request": {},
            "attempt": 0,
            "overdue": False,
            "troubles": 0,
            "on_unconfirmed": "wait",
            "start_by": at,
            "archive_key": "videos/x.mp4",
            "notices": 0,
            "metadata": {},
            "api_key_id": "key_1",
            "created_at": at,
            "updated_at": at,
            **columns,
        }
        with database.write() as db:
            db.execute(sa.insert(tables.jobs).values(**row))
        return str(row["id"])

    return keep


def listed(api: FlaskClient, query: Any = "") -> list[str]:
    answer = api.get("/v1/jobs", query_string=query)
    assert answer.status_code == 200, answer.get_data()
    return [job["id"] for job in answer.get_json()["data"]]


def test_one_state_or_several_with_commas_or_repeated(api: FlaskClient, keep: Keep) -> None:
    first, second, third = keep(state="queued"), keep(state="failed"), keep(state="generating")
    fourth = keep(state="queued")
    assert listed(api, "state=queued") == [fourth, first]
    assert listed(api, "state=queued,failed") == [fourth, second, first]
    assert listed(api, "state=failed&state=queued&state=queued") == [fourth, second, first]
    assert listed(api, "state=archived") == []
    assert listed(api) == [fourth, third, second, first]


def test_provider_mode_and_time_narrow_the_list(api: FlaskClient, keep: Keep) -> None:
    early, edit, late = keep(provider="evolink"), keep(mode="video-edit"), keep(provider="apiframe")
    assert listed(api, "provider=evolink") == [early]
    assert listed(api, "mode=video-edit") == [edit]
    assert listed(api, {"created_after": "2026-11-21T12:01:00Z"}) == [late, edit]
    assert listed(api, {"created_before": "2026-11-21T12:01:00Z"}) == [early]
    assert listed(api, {"created_after": "2026-11-21T13:01:00+01:00", "created_before": "2026-11-21T12:02:00Z"}) == [
        edit
    ]


def test_neighbouring_spans_of_time_share_no_job(api: FlaskClient, keep: Keep) -> None:
    job = keep(created_at=NOON)
    assert listed(api, {"created_before": NOON.isoformat()}) == []
    assert listed(api, {"created_after": NOON.isoformat()}) == [job]


def test_overdue_jobs_and_those_that_need_a_person(api: FlaskClient, keep: Keep) -> None:
    keep()
    late, flagged = keep(overdue=True), keep(flagged="troubled")
    both = keep(overdue=True, flagged="troubled", state="failed")
    assert listed(api, "overdue=true") == [both, late]
    assert listed(api, "needs_person=true") == [both, flagged]
    assert listed(api, "overdue=true&needs_person=1&state=failed,queued") == [both]


@pytest.mark.parametrize("name", ["scene", "a.b", 'a"b', "a\\b", "日本", "a[0]", "$", "a'b", "a b", "0", "%"])
def test_metadata_matches_whatever_an_entry_is_called(api: FlaskClient, keep: Keep, name: str) -> None:
    wanted = keep(metadata={name: "é\"'12", "take": "1"})
    keep(metadata={name: "13", "take": "1"})
    keep(metadata={"other": "é\"'12"})
    assert listed(api, {f"metadata.{name}": "é\"'12"}) == [wanted]
    assert listed(api, {f"metadata.{name}": "é\"'12", "metadata.take": "1"}) == [wanted]
    assert listed(api, {f"metadata.{name}": "é\"'12", "metadata.take": "2"}) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("red fox", True),
        ("RED", True),
        ("d f", True),
        ("100 %", True),
        ("foxes", False),
        ("r_d", False),
        ("100 %%", False),
        ("no\\n", False),
    ],
)
def test_a_text_is_found_wherever_it_stands_in_a_prompt(api: FlaskClient, keep: Keep, text: str, found: bool) -> None:
    fox = keep(request={"prompt": "A Red fox, 100 % \n at dawn"})
    keep(request={"prompt": "A blue whale"})
    keep(request={"mode": "video-edit"})
    assert listed(api, {"prompt": text}) == ([fox] if found else [])
    assert listed(api, {"prompt": text, "state": "queued"}) == []


def test_jobs_of_one_batch_alone(api: FlaskClient, keep: Keep) -> None:
    first, _, other, third = keep(batch="a b"), keep(), keep(batch="a"), keep(batch="a b", state="failed")
    assert listed(api, {"batch": "a b"}) == [third, first]
    assert listed(api, {"batch": "a b", "state": "failed,queued"}) == [third]
    assert listed(api, {"batch": "a"}) == [other]


@pytest.mark.parametrize("query", ["prompt=fox", "metadata.a=fox", "prompt=fox&state=queued,failed"])
@pytest.mark.parametrize("searched", [1, 2, 3, 8, 9])
def test_what_is_rare_is_searched_for_a_stretch_at_a_time_and_found_once(
    api: FlaskClient, keep: Keep, monkeypatch: pytest.MonkeyPatch, searched: int, query: str
) -> None:
    monkeypatch.setattr("jobs.reports.listing.SEARCHED", searched)
    fox: dict[str, Any] = {"request": {"prompt": "fox"}, "metadata": {"a": "fox"}}
    foxes = [keep(state=("queued", "failed")[n % 2], **(fox if n in (0, 3, 4) else {})) for n in range(8)]
    seen, pages, place = list[str](), 0, f"/v1/jobs?{query}&limit=2"
    while True:
        told = api.get(place).get_json()
        seen, pages = seen + [job["id"] for job in told["data"]], pages + 1
        if not told["has_more"]:
            break
        place = f"/v1/jobs?{query}&limit=2&cursor={told['next_cursor']}"
    assert seen == [foxes[4], foxes[3], foxes[0]]
    assert pages <= 8 // searched + 2


@pytest.mark.parametrize(
    "query", ["", "state=generating", "state=generating,queued", "overdue=true", "metadata.a=b", "batch=b"]
)
def test_pages_of_every_list_hold_each_job_once_even_of_the_same_moment(
    api: FlaskClient, keep: Keep, query: str
) -> None:
    states = ["generating", "queued", "generating"]
    made = [
        keep(state=state, overdue=True, metadata={"a": "b"}, batch="b", created_at=NOON + timedelta(seconds=n // 4))
        for n, state in enumerate(states * 3)
    ]
    whole = listed(api, f"{query}&limit=100")
    assert set(whole) <= set(made)
    assert len(whole) in (6, 9)
    seen: list[str] = []
    place: str | None = f"/v1/jobs?{query}&limit=2"
    while place:
        answer = api.get(place)
        seen += [job["id"] for job in answer.get_json()["data"]]
        link = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("Link", ""))
        assert answer.get_json()["has_more"] is (link is not None)
        place = link and link[1]
    assert seen == whole


def test_a_cursor_goes_with_its_filters_and_not_with_others(api: FlaskClient, keep: Keep) -> None:
    for _ in range(3):
        keep(state="queued", provider="evolink")
    cursor = api.get("/v1/jobs?state=queued&limit=1").get_json()["next_cursor"]
    assert len(listed(api, f"state=queued&limit=2&cursor={cursor}")) == 2  # the size of a page may change
    both = api.get("/v1/jobs?state=queued,failed&limit=1").get_json()["next_cursor"]
    assert len(listed(api, f"state=failed&state=queued&cursor={both}")) == 2  # said in another way
    for query in ("", "state=failed", "state=queued&provider=evolink", "state=queued&metadata.a=b"):
        refused = api.get(f"/v1/jobs?{query}&cursor={cursor}")
        assert refused.status_code == 422
        assert "other filters" in refused.get_json()["errors"]["cursor"][0]


def test_the_list_shows_what_the_job_shows_but_its_place_in_line(api: FlaskClient, keep: Keep) -> None:
    job_id = keep(state="queued", alarm_at=NOON)
    (in_list,) = api.get("/v1/jobs").get_json()["data"]
    alone = api.get(f"/v1/jobs/{job_id}").get_json()
    assert (in_list["waiting"].pop("position"), alone["waiting"].pop("position")) == (None, 1)
    assert in_list == alone


def test_the_place_in_line_counts_older_queued_jobs(api: FlaskClient, keep: Keep) -> None:
    first, _, third = keep(state="queued"), keep(state="failed"), keep(state="queued")
    places = [api.get(f"/v1/jobs/{job_id}").get_json()["waiting"]["position"] for job_id in (first, third)]
    assert places == [1, 2]


def test_a_long_line_is_not_counted_to_its_end(api: FlaskClient, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(state="queued")
    last = keep(state="queued")
    monkeypatch.setattr("jobs.reports.queue_position.LONGEST_COUNTED", 1)
    assert api.get(f"/v1/jobs/{last}").get_json()["waiting"]["position"] is None


INDEXES = {
    "": "ix_jobs_created_at_id",
    "one state": "ix_jobs_state_created_at_id",
    "two states": "ix_jobs_state_created_at_id",
    "overdue": "ix_jobs_overdue",
    "flagged": "ix_jobs_flagged",
    "time": "ix_jobs_created_at_id",
    "batch": "ix_jobs_batch",
    "states of a batch": "ix_jobs_batch",
    "what is searched": "ix_jobs_created_at_id",
}
LISTS = {
    "": Filters(),
    "one state": Filters(states=(State.FAILED,)),
    "two states": Filters(states=(State.FAILED, State.QUEUED)),
    "overdue": Filters(overdue=True),
    "flagged": Filters(needs_person=True),
    "time": Filters(created_after=NOON - timedelta(days=9), created_before=NOON + timedelta(days=9)),
    "batch": Filters(batch="b"),
    "states of a batch": Filters(batch="b", states=(State.FAILED, State.QUEUED)),
    "what is searched": Filters(prompt="fox", metadata={"a": "b"}),
}


# The job that there is two thousand times, and a few that are in another state, overdue and flagged: among one or two
# rows all indexes cost the same.
OTHERWISE = {
    "id": "'job_' || lpad(n::text, 26, '0')",
    "state": "CASE n % 100 WHEN 0 THEN 'failed' WHEN 1 THEN 'queued' ELSE 'generating' END",
    "overdue": "n % 100 = 2",
    "flagged": "CASE n % 100 WHEN 3 THEN 'raises' END",
    "batch": "CASE n % 100 WHEN 4 THEN 'b' END",
    "created_at": "created_at - n * interval '1 minute'",
}
NAMES = [column.name for column in tables.jobs.columns]
MANY = "INSERT INTO jobs ({}) SELECT {} FROM jobs, generate_series(1, 2000) AS n".format(
    ", ".join(NAMES), ", ".join(OTHERWISE.get(name, name) for name in NAMES)
)


@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_sought_in_an_index_wherever_it_stands_and_nothing_long_is_sorted(
    database: Database, keep: Keep, name: str
) -> None:
    keep()
    after = Place(NOON, "job_01K8Z3V0QWERTYUIOPASDFGHJK")
    chosen = statement(LISTS[name], after=after, limit=21, is_sqlite=database.is_sqlite)
    text = str(chosen.compile(database.engine, compile_kwargs={"literal_binds": True})).replace("%%", "%")
    with database.engine.connect() as db:  # of which nothing stays
        if database.is_sqlite:
            plan = "\n".join(str(row.detail) for row in db.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")))
            sought = f"USING INDEX {INDEXES[name]}|USING COVERING INDEX {INDEXES[name]}"
            place = r"\(created_at,id\)<\(\?,\?\)"
        else:
            db.execute(sa.text(MANY))
            db.execute(sa.text("ANALYZE jobs"))
            for way in ("seqscan", "bitmapscan", "sort"):  # which a planner prefers while the table is small
                db.execute(sa.text(f"SET LOCAL enable_{way} = off"))
            plan = "\n".join(row[0] for row in db.execute(sa.text(f"EXPLAIN {text}")))
            sought = f"Backward using {INDEXES[name]}"
            place = r"Index Cond: .*ROW\(created_at, \(?id\)?(::text)?\) < ROW\("
    assert re.search(sought, plan), plan
    assert re.search(place, plan), plan
    if name != "two states":  # there, a page of each is put in order
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
