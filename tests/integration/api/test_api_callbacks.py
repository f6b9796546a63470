"""/v1/callbacks: what gateways called back with, and letting it count once more."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import Bells, Orders
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database
from jobs.store.tables import inbox, jobs
from rushes.api.edge import cursors

STRANGER = "job_01K8Z3V0QWERTYUIOPASDFGHJK"


class Desk:
    """Jobs with an order each, and kept callbacks."""

    def __init__(self, api: FlaskClient, database: Database):
        self.api, self.database = api, database
        self._orders = Orders(api, database)
        with database.read() as db:
            self.now = database.clock(db)

    def order(self, state: str = "generating", *, alarm: bool = True, **columns: Any) -> str:
        job_id = self._orders.add(self.now.date().isoformat(), "held", state=state, **columns)
        if alarm:
            with self.database.write() as db:
                db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(alarm_at=self.now.replace(year=2100)))
        return job_id

    def callback(self, job_id: str, body: bytes = b'{"id": "t-7"}', **columns: Any) -> str:
        with self.database.write() as db:
            count = db.execute(sa.select(sa.func.count()).select_from(inbox)).scalar_one()
            values: dict[str, Any] = {"job_id": job_id, "attempt": 1, "provider": "evolink", "digest": str(count)}
            values |= {"body": body, "headers": {"X-Event": "done"}, "readable": True, "status": 200}
            values |= {"task_id": "t-7", "received_at": self.now}
            made = db.execute(sa.insert(inbox).values(**{**values, **columns}))
            return f"cbk_{made.inserted_primary_key[0]}"  # type: ignore[index]

    def ids(self, query: str = "") -> list[str]:
        answer = self.api.get(f"/v1/callbacks{query}")
        assert answer.status_code == 200, answer.get_data()
        return [each["id"] for each in answer.get_json()["data"]]

    def of(self, callback_id: str) -> dict[str, Any]:
        return dict(self.api.get(f"/v1/callbacks/{callback_id}").get_json())

    def job(self, job_id: str) -> Any:
        with self.database.read() as db:
            return db.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().one()

    def refused(self, callback_id: str) -> tuple[int, str, str]:
        answer = self.api.post(f"/v1/callbacks/{callback_id}/replay")
        problem = answer.get_json(force=True)
        return answer.status_code, problem["code"], problem["detail"]


@pytest.fixture
def desk(api: FlaskClient, database: Database) -> Desk:
    return Desk(api, database)


@pytest.mark.both_databases
class TestTheList:
    def test_the_newest_come_first_a_page_at_a_time(self, desk: Desk) -> None:
        made = [desk.callback(STRANGER) for _ in range(5)][::-1]
        assert desk.ids() == made
        first = desk.api.get("/v1/callbacks?limit=2").get_json()
        second = desk.api.get(f"/v1/callbacks?limit=2&cursor={first['next_cursor']}").get_json()
        third = desk.api.get(f"/v1/callbacks?limit=2&cursor={second['next_cursor']}").get_json()
        assert [each["id"] for page in (first, second, third) for each in page["data"]] == made
        assert [page["has_more"] for page in (first, second, third)] == [True, True, False]

    def test_it_can_be_narrowed(self, desk: Desk) -> None:
        job_id = desk.order()
        plain = desk.callback(job_id)
        read = desk.callback(STRANGER, read_at=desk.now)
        garbage = desk.callback(STRANGER, b"<html>", readable=False, provider="apiframe")
        assert desk.ids(f"?job_id={job_id}") == [plain]
        assert desk.ids("?provider=apiframe") == [garbage]
        assert desk.ids("?readable=false") == [garbage]
        assert desk.ids("?readable=true") == [read, plain]
        assert desk.ids("?unread=true") == [garbage, plain]
        assert desk.ids("?unread=false&provider=evolink") == [read]

    def test_it_leaves_bodies_out(self, desk: Desk) -> None:
        desk.callback(STRANGER)
        [told] = desk.api.get("/v1/callbacks").get_json()["data"]
        assert not {"body", "headers"} & set(told)
        assert (told["provider"], told["attempt"], told["task_id"], told["status"]) == ("evolink", 1, "t-7", 200)
        assert (told["readable"], told["signature"], told["read_at"]) == (True, None, None)
        assert told["received_at"].endswith("Z")


class TestOne:
    @pytest.mark.parametrize(
        ("body", "encoding", "shown"),
        [
            (b'{"id": "t"}', "utf-8", '{"id": "t"}'),
            ("Fünf".encode(), "utf-8", "Fünf"),
            (b"", "utf-8", ""),
            (b"\xff\xfe\x00", "base64", "//4A"),
        ],
        ids=["JSON", "text", "nothing", "bytes"],
    )
    def test_its_body_is_shown_as_it_came(self, desk: Desk, body: bytes, encoding: str, shown: str) -> None:
        callback = desk.of(desk.callback(STRANGER, body))
        assert (callback["encoding"], callback["body"]) == (encoding, shown)
        assert callback["headers"] == {"X-Event": "done"}

    @pytest.mark.parametrize("callback_id", ["cbk_999", "cbk_0", "cbk_01", "7", "cbk_9999999999", "cbk_٣", "%00"])
    @pytest.mark.parametrize("way", ["show", "replay"])
    def test_an_unknown_one_is_not_found(self, desk: Desk, callback_id: str, way: str) -> None:
        path = f"/v1/callbacks/{callback_id}"
        answer = desk.api.get(path) if way == "show" else desk.api.post(f"{path}/replay")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "unknown_callback")


@pytest.mark.both_databases
class TestReplay:
    @pytest.mark.parametrize(
        ("state", "step"),
        [("generating", "jobs.reconcile"), ("archiving", "jobs.transfer"), ("queued", "jobs.reconcile")],
    )
    def test_it_counts_as_unread_and_its_job_is_due_and_rung_for(
        self, desk: Desk, bells: Bells, state: str, step: str
    ) -> None:
        job_id = desk.order(state)
        callback_id = desk.callback(job_id, read_at=desk.now)
        before = desk.job(job_id)
        bells.rung.clear()
        answer = desk.api.post(f"/v1/callbacks/{callback_id}/replay")
        assert (answer.status_code, answer.get_json()["id"], answer.get_json()["read_at"]) == (202, callback_id, None)
        after = desk.job(job_id)
        assert after["version"] == before["version"] + 1
        assert after["alarm_at"] < before["alarm_at"]
        assert bells.rung == [(step, job_id)]
        assert desk.ids("?unread=true") == [callback_id]

    def test_history_names_the_key_that_asked_for_it(self, desk: Desk) -> None:
        job_id = desk.order()
        callback_id = desk.callback(job_id, read_at=desk.now)
        desk.api.post(f"/v1/callbacks/{callback_id}/replay")
        lines = desk.api.get(f"/v1/jobs/{job_id}/events").get_json()["data"]
        told = {"callback": callback_id, "api_key": lines[0]["detail"]["api_key"]}
        assert (lines[-1]["event"], lines[-1]["detail"]) == ("callback_replayed", told)

    def test_one_for_an_order_that_is_over_without_a_video_wakes_its_job(self, desk: Desk) -> None:
        callback_id = desk.callback(desk.order("failed", alarm=False, outcome="expired"), read_at=desk.now)
        assert desk.api.post(f"/v1/callbacks/{callback_id}/replay").status_code == 202

    def test_an_ended_job_whose_order_is_open_still_hears_of_it(self, desk: Desk) -> None:
        callback_id = desk.callback(desk.order("failed"), read_at=desk.now)
        assert desk.api.post(f"/v1/callbacks/{callback_id}/replay").status_code == 202

    def test_a_settled_job_is_left_alone(self, desk: Desk) -> None:
        job_id = desk.order("archived", alarm=False, outcome="delivered")
        before = desk.job(job_id)
        status, code, detail = desk.refused(callback_id := desk.callback(job_id, read_at=desk.now))
        assert (status, code) == (409, "settled")
        assert detail == f"{job_id} is archived, and none of its orders is open: no callback can matter to it."
        assert desk.job(job_id) == before
        assert desk.of(callback_id)["read_at"] is not None

    def test_one_for_an_order_that_a_backup_forgot_wakes_even_an_ended_job(self, desk: Desk) -> None:
        job_id = desk.order("failed", alarm=False, outcome="failed")
        callback_id = desk.callback(job_id, attempt=2, read_at=desk.now)
        assert desk.api.post(f"/v1/callbacks/{callback_id}/replay").status_code == 202
        assert desk.job(job_id)["alarm_at"] is not None

    def test_one_of_a_job_that_is_not_here_says_so(self, desk: Desk) -> None:
        status, code, detail = desk.refused(desk.callback(STRANGER))
        assert (status, code) == (404, "unknown_job")
        assert STRANGER in detail

    def test_a_key_that_may_only_look_may_not_replay(self, desk: Desk) -> None:
        _, key = api_keys.create(desk.database, "dashboard", Scope.READ)
        callback_id = desk.callback(desk.order(), read_at=desk.now)
        answer = desk.api.post(f"/v1/callbacks/{callback_id}/replay", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 403
        assert desk.of(callback_id)["read_at"] is not None


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("provider=sora", "provider", "Knows no sora; choose from aivideoapi"),
        ("job_id=7", "job_id", "ids look like job_01K8Z3V0QWERTYUIOPASDFGHJK"),
        ("readable=perhaps", "readable", "Send true or false."),
        ("unread=yes", "unread", "Send true or false."),
        ("limit=0", "limit", "1"),
        ("limit=101", "limit", "100"),
        ("cursor=abc", "cursor", "send the `next_cursor` of the page before"),
        ("read=true", "read", "did you mean unread?"),
    ],
)
def test_a_wrong_question_says_what_is_right(api: FlaskClient, query: str, field: str, words: str) -> None:
    answer = api.get(f"/v1/callbacks?{query}")
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"], list(problem["errors"])) == (422, "invalid_request", [field])
    assert words in " ".join(problem["errors"][field])


def test_a_cursor_of_other_filters_or_with_a_foreign_place_is_refused(desk: Desk) -> None:
    desk.callback(STRANGER), desk.callback(STRANGER)
    cursor = desk.api.get("/v1/callbacks?limit=1").get_json()["next_cursor"]
    for query in (f"unread=true&cursor={cursor}", f"cursor={cursors.write('first', of={})}"):
        answer = desk.api.get(f"/v1/callbacks?{query}")
        assert (answer.status_code, list(answer.get_json(force=True)["errors"])) == (422, ["cursor"])
