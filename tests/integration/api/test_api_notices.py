"""/v1/notices: what pipelines were told, what became of it, and telling them again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Bells
from canaries import canary
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from jobs.store.tables import jobs, notice_tries, notices

STRANGER = "01K8Z3V0QWERTYUIOPASDFGHJK"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Desk:
    """An API with notices: one for each job that it cancels."""

    def __init__(self, api: FlaskClient, database: Database):
        self.api, self.database = api, database

    def told(self, *, url: str = "https://pipeline.example/hook", **columns: Any) -> str:
        """A job's notice, with these columns; its id."""
        job_id = self.api.post("/v1/jobs", json={**PLAIN, "notify_url": url}).get_json()["id"]
        assert self.api.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
        with self.database.write() as db:
            notice_id = str(db.execute(sa.select(notices.c.id).where(notices.c.job_id == job_id)).scalar_one())
            if columns:
                db.execute(sa.update(notices).where(notices.c.id == notice_id).values(**columns))
        return notice_id

    def tried(self, notice_id: str, *statuses: int) -> None:
        with self.database.write() as db:
            for number, status in enumerate(statuses, 1):
                told = {"number": number, "at": self.database.clock(db), "status": status, "took_s": 0.25}
                db.execute(sa.insert(notice_tries).values(notice_id=notice_id, **told))

    def failed(self) -> str:
        return self.told(alarm_at=None, tries=9, last_status=500, last_error="answered 500")

    def ids(self, query: str = "") -> list[str]:
        answer = self.api.get(f"/v1/notices{query}")
        assert answer.status_code == 200, answer.get_data()
        return [each["id"] for each in answer.get_json()["data"]]

    def of(self, notice_id: str) -> dict[str, Any]:
        answer = self.api.get(f"/v1/notices/{notice_id}")
        assert answer.status_code == 200, answer.get_data()
        return dict(answer.get_json())


@pytest.fixture
def desk(make_api: Callable[..., FlaskClient], database: Database) -> Desk:
    return Desk(make_api(NOTICE_SECRETS=SECRET), database)


@pytest.mark.both_databases
class TestTheList:
    def test_the_newest_come_first_a_page_at_a_time(self, desk: Desk) -> None:
        made = [desk.told() for _ in range(5)][::-1]
        assert desk.ids() == made
        first = desk.api.get("/v1/notices?limit=2").get_json()
        second = desk.api.get(f"/v1/notices?limit=2&cursor={first['next_cursor']}").get_json()
        third = desk.api.get(f"/v1/notices?limit=2&cursor={second['next_cursor']}").get_json()
        assert [each["id"] for page in (first, second, third) for each in page["data"]] == made
        assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
        assert third["next_cursor"] is None

    def test_notices_of_one_moment_are_all_on_some_page(self, desk: Desk) -> None:
        made = {desk.told() for _ in range(3)}
        with desk.database.write() as db:
            db.execute(sa.update(notices).values(created_at=desk.database.clock(db)))
        first = desk.api.get("/v1/notices?limit=2").get_json()
        rest = desk.ids(f"?limit=2&cursor={first['next_cursor']}")
        assert {each["id"] for each in first["data"]} | set(rest) == made

    def test_it_can_be_narrowed_by_job_state_and_event(self, desk: Desk) -> None:
        waiting, failed = desk.told(), desk.failed()
        with desk.database.read() as db:
            delivered_at = desk.database.clock(db)
        delivered = desk.told(alarm_at=None, delivered_at=delivered_at, type="job.archived")
        assert desk.ids("?state=waiting") == [waiting]
        assert desk.ids("?state=failed") == [failed]
        assert desk.ids("?state=delivered") == [delivered]
        assert desk.ids("?type=job.archived") == [delivered]
        assert desk.ids(f"?job_id={desk.of(failed)['job_id']}") == [failed]
        assert desk.ids(f"?job_id=job_{STRANGER}") == []

    def test_each_says_what_became_of_it(self, desk: Desk) -> None:
        desk.tried(notice_id := desk.failed(), 503, 500)
        [told] = desk.api.get("/v1/notices").get_json()["data"]
        assert (told["id"], told["type"], told["sequence"]) == (notice_id, "job.cancelled", 1)
        assert (told["state"], told["tries"], told["last_status"]) == ("failed", 2, 500)
        assert (told["last_error"], told["next_try_at"], told["delivered_at"]) == ("answered 500", None, None)
        assert told["created_at"].endswith("Z")

    def test_what_opens_the_pipelines_door_is_not_shown(self, desk: Desk) -> None:
        token = canary()
        desk.told(url=f"https://pipeline.example/hook?token={token}")
        [told] = desk.api.get("/v1/notices").get_json()["data"]
        assert told["url"] == "https://pipeline.example/hook?…"


class TestOne:
    def test_it_has_its_body_and_every_try(self, desk: Desk) -> None:
        desk.tried(notice_id := desk.told(), 500, 204)
        notice = desk.of(notice_id)
        assert notice["body"]["type"] == notice["type"] == "job.cancelled"
        assert notice["body"]["data"]["id"] == notice["job_id"]
        assert [(each["number"], each["status"], each["took_s"]) for each in notice["history"]] == [
            (1, 500, 0.25),
            (2, 204, 0.25),
        ]

    @pytest.mark.parametrize("notice_id", [f"ntc_{STRANGER}", "ntc_1", "x", f"job_{STRANGER}", "%00", "replay"])
    @pytest.mark.parametrize("way", ["show", "replay"])
    def test_an_unknown_one_is_not_found(self, desk: Desk, notice_id: str, way: str) -> None:
        path = f"/v1/notices/{notice_id}"
        answer = desk.api.get(path) if way == "show" else desk.api.post(f"{path}/replay")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "unknown_notice")


@pytest.mark.both_databases
class TestReplay:
    def test_one_goes_out_once_more_and_its_job_is_rung_for(self, desk: Desk, bells: Bells) -> None:
        desk.tried(notice_id := desk.failed(), 500)
        bells.rung.clear()
        answer = desk.api.post(f"/v1/notices/{notice_id}/replay")
        notice = answer.get_json()
        assert (answer.status_code, notice["id"], notice["state"], notice["tries"]) == (202, notice_id, "waiting", 1)
        assert notice["next_try_at"]
        assert bells.rung == [("webhooks.notify", notice["job_id"])]

    def test_a_delivered_one_too(self, desk: Desk) -> None:
        with desk.database.read() as db:
            now = desk.database.clock(db)
        notice_id = desk.told(alarm_at=None, delivered_at=now)
        assert desk.api.post(f"/v1/notices/{notice_id}/replay").get_json()["state"] == "waiting"

    def test_history_names_the_key_that_asked_for_it(self, desk: Desk) -> None:
        one, other = desk.failed(), desk.failed()
        desk.api.post(f"/v1/notices/{one}/replay")
        desk.api.post("/v1/notices/replay")
        for notice_id in (one, other):
            lines = desk.api.get(f"/v1/jobs/{desk.of(notice_id)['job_id']}/events").get_json()["data"]
            told = {"notice": notice_id, "api_key": lines[0]["detail"]["api_key"]}
            assert [line["detail"] for line in lines if line["event"] == "notice_replayed"] == [told]

    def test_all_that_failed_go_out_once_more(self, desk: Desk) -> None:
        failed, waiting = {desk.failed() for _ in range(3)}, desk.told()
        answer = desk.api.post("/v1/notices/replay")
        assert (answer.status_code, answer.get_json()) == (202, {"replayed": 3})
        assert set(desk.ids("?state=waiting")) == failed | {waiting}
        assert desk.api.post("/v1/notices/replay", json={}).get_json() == {"replayed": 0}

    def test_those_of_a_job_or_since_a_time_can_be_chosen(self, desk: Desk) -> None:
        one, old = desk.failed(), desk.failed()
        with desk.database.write() as db:
            long_ago = desk.database.clock(db) - timedelta(days=2)
            db.execute(sa.update(notices).where(notices.c.id == old).values(created_at=long_ago))
        yesterday = (long_ago + timedelta(days=1)).isoformat()
        assert desk.api.post("/v1/notices/replay", json={"since": yesterday}).get_json() == {"replayed": 1}
        assert desk.of(one)["state"] == "waiting"
        job_id = desk.of(old)["job_id"]
        assert desk.api.post("/v1/notices/replay", json={"job_id": job_id}).get_json() == {"replayed": 1}

    def test_a_key_that_may_only_look_may_not_replay(self, desk: Desk) -> None:
        _, key = api_keys.create(desk.database, "dashboard", Scope.READ)
        reader = {"Authorization": f"Bearer {key}"}
        notice_id = desk.failed()
        for path in (f"/v1/notices/{notice_id}/replay", "/v1/notices/replay"):
            assert desk.api.post(path, headers=reader).status_code == 403
        assert desk.api.get(f"/v1/notices/{notice_id}", headers=reader).status_code == 200
        assert desk.of(notice_id)["state"] == "failed"


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("state=lost", "state", "Knows no lost; choose from waiting, delivered, failed."),
        ("type=job.done", "type", "Knows no job.done; choose from job.archived"),
        ("job_id=7", "job_id", "ids look like job_01K8Z3V0QWERTYUIOPASDFGHJK"),
        ("job_id=%00", "job_id", "ids look like"),
        ("limit=0", "limit", "1"),
        ("limit=101", "limit", "100"),
        ("limit=many", "limit", "whole number"),
        ("cursor=abc", "cursor", "send the `next_cursor` of the page before"),
        ("cursor=WyJhIl0", "cursor", "send the `next_cursor` of the page before"),
        (f"cursor={'x' * 201}", "cursor", ""),
        ("job=7", "job", "Unknown field"),
        ("states=failed", "states", "did you mean state?"),
    ],
)
def test_a_wrong_question_says_what_is_right(desk: Desk, query: str, field: str, words: str) -> None:
    refused(desk.api.get(f"/v1/notices?{query}"), field, words)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"since": "yesterday"}, "since", "Not a time with a zone; send for example 2026-11-21T16:00:00Z."),
        ({"since": "2026-11-21T16:00:00"}, "since", "Not a time with a zone"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since", "Not a time with a zone"),
        ({"since": None}, "since", ""),
        ({"job_id": "job_1"}, "job_id", "ids look like"),
        ({"job_id": 7}, "job_id", ""),
        ({"jobid": f"job_{STRANGER}"}, "jobid", "did you mean job_id?"),
    ],
)
def test_a_wrong_choice_of_what_to_replay_replays_nothing(
    desk: Desk, body: dict[str, Any], field: str, words: str
) -> None:
    notice_id = desk.failed()
    refused(desk.api.post("/v1/notices/replay", json=body), field, words)
    assert desk.of(notice_id)["state"] == "failed"


def test_a_cursor_of_other_filters_is_refused(desk: Desk) -> None:
    desk.told(), desk.told()
    cursor = desk.api.get("/v1/notices?limit=1").get_json()["next_cursor"]
    refused(desk.api.get(f"/v1/notices?state=failed&cursor={cursor}"), "cursor", "It belongs to other filters")
    assert desk.api.get(f"/v1/notices?limit=5&cursor={cursor}").status_code == 200, "another limit is no other list"


def test_where_a_keys_jobs_are_told_is_the_keys_own_place(desk: Desk) -> None:
    _, key = api_keys.create(desk.database, "render farm", notify_url="https://farm.example/hook")
    answer = desk.api.post("/v1/jobs", json=PLAIN, headers={"Authorization": f"Bearer {key}"})
    with desk.database.read() as db:
        of_job = sa.select(jobs.c.notify_url).where(jobs.c.id == answer.get_json()["id"])
        assert db.execute(of_job).scalar_one() == "https://farm.example/hook"


def refused(answer: Any, field: str, words: str) -> None:
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"], list(problem["errors"])) == (422, "invalid_request", [field])
    assert words in " ".join(problem["errors"][field])


@pytest.mark.both_databases
class TestWhatNeedsAPerson:
    def needing(self, desk: Desk) -> list[tuple[str, str, str]]:
        items = desk.api.get("/v1/attention").get_json()["data"]
        return [(item["reason"], item["command"], item["detail"]) for item in items]

    def test_what_was_given_up_stands_there_until_it_goes_out_again(self, desk: Desk) -> None:
        desk.told()  # waits for its next try
        desk.told(alarm_at=None, tries=1, last_status=200, delivered_at=sa.func.now())
        desk.told(alarm_at=None, tries=1, last_status=410, last_error="answered 410")  # wants no more
        assert self.needing(desk) == []
        given_up = desk.told(
            url="https://pipeline.example/hook?token=secret", alarm_at=None, tries=9, last_error="ConnectionError"
        )
        job_id = desk.of(given_up)["job_id"]
        [(reason, command, detail)] = self.needing(desk)
        assert (reason, command) == ("notice_given_up", f"rushes notices replay --all-failed --job {job_id}")
        assert detail.startswith("1 notice to https://pipeline.example/hook?… could not be delivered (ConnectionError)")
        desk.api.post("/v1/notices/replay", json={"job_id": job_id})
        assert self.needing(desk) == []

    def test_one_of_long_ago_is_let_be(self, desk: Desk) -> None:
        given_up = desk.failed()
        with desk.database.write() as db:
            long_ago = desk.database.clock(db) - timedelta(days=31)
            db.execute(sa.update(notices).where(notices.c.id == given_up).values(created_at=long_ago))
        assert self.needing(desk) == []
