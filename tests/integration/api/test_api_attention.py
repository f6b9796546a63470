"""GET /v1/attention: what needs a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import ACCOUNT, Orders
from flask.testing import FlaskClient

from jobs.machine.error_codes import FLAGS, REASONS
from jobs.machine.times import iso, iso_s
from jobs.providers.client import Account
from jobs.reports import attention_rows
from jobs.reports.attention_items import MOST
from jobs.store.database import Database
from jobs.store.tables import attempts, inbox, jobs, lanes

pytestmark = pytest.mark.both_databases

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)


def kept_callback(job_id: str, received_at: datetime) -> dict[str, Any]:
    values = {"job_id": job_id, "attempt": 1, "provider": "evolink", "digest": "d", "body": b"{}", "headers": {}}
    return {**values, "readable": True, "status": 200, "task_id": "t-7", "received_at": received_at}


class Desk:
    """Puts rows there that need a person."""

    def __init__(self, api: FlaskClient, database: Database):
        self._api, self._database = api, database
        self._orders = Orders(api, database)
        with database.read() as db:
            self.now = database.clock(db)

    def order(self, state: str, standing: str, *, job: dict[str, Any] | None = None, **columns: Any) -> str:
        job_id = self._orders.add(self.now.date().isoformat(), standing, state=state, **columns)
        if job:
            self.write(sa.update(jobs).where(jobs.c.id == job_id).values(**job))
        return job_id

    def second_order(self) -> None:
        with self._database.write() as db:
            row = dict(db.execute(sa.select(attempts)).mappings().one())
            db.execute(sa.insert(attempts).values(**{**row, "number": 2}))

    def callback(self, job_id: str, **columns: Any) -> None:
        self.write(sa.insert(inbox).values(**{**kept_callback(job_id, self.now), **columns}))

    def write(self, statement: Any) -> None:
        with self._database.write() as db:
            db.execute(statement)

    def told(self, query: str = "") -> Any:
        return self._api.get(f"/v1/attention{query}").get_json()

    def only(self) -> dict[str, Any]:
        (item,) = self.told()["data"]
        return dict(item)


@pytest.fixture
def desk(api: FlaskClient, database: Database) -> Desk:
    return Desk(api, database)


def test_nothing_needs_a_person_while_all_goes_well(desk: Desk) -> None:
    desk.order("generating", "held")
    desk.order("archived", "charged", outcome="delivered")
    desk.order("failed", "refunded", outcome="failed")
    desk.order("archiving", "charged", outcome="finished")
    assert desk.told() == {"data": [], "counts": {}, "has_more": False}


def test_an_unconfirmed_job_says_since_when_and_until_when(desk: Desk) -> None:
    job_id = desk.order("unconfirmed", "uncertain", lost_at=desk.now, accepted_at=None, with_callback=True)
    item = desk.only()
    assert (item["reason"], item["job_id"], item["provider"]) == ("unconfirmed", job_id, "evolink")
    assert item["since"] == desk.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert "a callback may tell until" in item["detail"]
    assert item["until"] > item["since"]
    assert item["then"] == REASONS["unconfirmed"].then


def test_what_a_person_needs_for_looking_is_told_with_the_command_that_takes_what_they_find(desk: Desk) -> None:
    long = "A red fox trots through fresh snow at dawn, " * 4
    job_id = desk.order(
        "unconfirmed", "uncertain", lost_at=desk.now, accepted_at=None, job={"request": {"prompt": long}}
    )
    item = desk.only()
    assert (item["attempt"], item["provider"], item["account"], item["task_id"]) == (1, "evolink", ACCOUNT, None)
    assert item["prompt"] == f"{long[:80]}…"
    assert item["ordered_at"] is not None
    assert item["command"] == f"rushes jobs settle {job_id} --attempt 1 (--task-id T | --not-made)"


def test_a_job_without_a_prompt_is_told_without_one(desk: Desk) -> None:
    desk.order("unconfirmed", "uncertain", lost_at=desk.now, job={"request": {"media": []}})
    assert desk.only()["prompt"] is None


@pytest.mark.parametrize(
    ("task_id", "words"),
    [(None, "(--task-id T | --not-made | --charged | --not-charged)"), ("t-1", "(--charged | --not-charged)")],
)
def test_of_an_order_whose_task_is_known_only_the_money_can_be_said(
    desk: Desk, task_id: str | None, words: str
) -> None:
    job_id = desk.order("failed", "uncertain", outcome="expired", task_id=task_id)
    item = desk.only()
    assert (item["task_id"], item["command"]) == (task_id, f"rushes jobs settle {job_id} --attempt 1 {words}")


def test_what_a_person_has_settled_is_told_no_more(api: FlaskClient, desk: Desk) -> None:
    job_id = desk.order("failed", "uncertain", outcome="expired", task_id="t-1", job={"flagged": "uncertain_money"})
    assert desk.only()["reason"] == "uncertain_money"
    assert api.post(f"/v1/jobs/{job_id}/attempts/1/settle", json={"charged": False}).status_code == 200
    assert desk.told()["data"] == []
    assert api.get(f"/v1/jobs/{job_id}").get_json()["needs_person"] is None


def test_a_flag_stays_while_another_order_of_the_job_is_doubtful(api: FlaskClient, desk: Desk) -> None:
    job_id = desk.order("failed", "uncertain", outcome="expired", job={"flagged": "uncertain_money", "attempt": 2})
    desk.second_order()
    for number, flag in ((1, "uncertain_money"), (2, None)):
        api.post(f"/v1/jobs/{job_id}/attempts/{number}/settle", json={"charged": True})
        assert api.get(f"/v1/jobs/{job_id}").get_json()["needs_person"] == flag


def test_an_order_that_a_restore_made_suspect_is_called_so(desk: Desk) -> None:
    desk.order("unconfirmed", "uncertain", lost_at=desk.now, origin="forgotten", request={})
    assert "may have been ordered before the backup was put back" in desk.only()["detail"]


@pytest.mark.parametrize(
    ("left", "troubles", "reasons"),
    [(HOUR / 2, 1, ["link_dying"]), (5 * HOUR, 1, ["link_dying"]), (7 * HOUR, 1, []), (HOUR / 2, 0, [])],
    ids=["an hour", "a quarter of its life", "time enough", "no trouble"],
)
def test_a_link_that_dies_while_copying_fails_needs_a_person(
    desk: Desk, left: timedelta, troubles: int, reasons: list[str]
) -> None:
    job = {"troubles": troubles, "link_dies_at": desk.now + left}
    desk.order("archiving", "charged", outcome="finished", job=job)
    assert [item["reason"] for item in desk.told()["data"]] == reasons


@pytest.mark.parametrize(("age", "reasons"), [(HOUR, ["paid_not_delivered"]), (25 * HOUR, [])], ids=["alive", "dead"])
def test_a_paid_video_is_told_while_its_link_may_live(desk: Desk, age: timedelta, reasons: list[str]) -> None:
    made = {"outcome": "undelivered", "finished_at": desk.now - age, "link": "https://host/v.mp4"}
    desk.order("failed", "charged", **made)
    told = [(item["reason"], item["link"]) for item in desk.told()["data"]]
    assert told == [(reason, "https://host/v.mp4") for reason in reasons]


def test_uncertain_money_of_an_ended_job_is_told_once(desk: Desk) -> None:
    job_id = desk.order("failed", "uncertain", outcome="expired", job={"flagged": "uncertain_money"})
    item = desk.only()
    assert (item["reason"], item["job_id"]) == ("uncertain_money", job_id)


def test_uncertain_money_that_may_still_settle_is_not_told(desk: Desk) -> None:
    desk.order("failed", "uncertain", outcome="open")
    assert desk.told()["data"] == []


@pytest.mark.parametrize("flag", sorted(FLAGS.keys() - {"uncertain_money", "absurd_cost"}))
@pytest.mark.parametrize("state", ["queued", "archived"])
def test_a_flagged_job_is_told_by_its_flag(desk: Desk, flag: str, state: str) -> None:
    job_id = desk.order(state, "charged", outcome="delivered", job={"flagged": flag})
    item = desk.only()
    assert (item["reason"], item["job_id"], item["then"]) == (flag, job_id, FLAGS[flag].then)


@pytest.mark.parametrize("state", ["generating", "archived"])
@pytest.mark.parametrize("doubted", [(1,), (2,), (1, 2)])
def test_an_absurd_cost_is_told_of_the_order_that_tells_it(desk: Desk, doubted: tuple[int, ...], state: str) -> None:
    job_id = desk.order(state, "charged", outcome="delivered", job={"flagged": "absurd_cost", "attempt": 2})
    desk.second_order()
    told = {"reported_usd": 99.0, "estimated_usd": 0.5}
    desk.write(sa.update(attempts).where(attempts.c.number.in_(doubted)).values(**told))
    shown = [(item["reason"], item["job_id"], item["attempt"], item["command"]) for item in desk.told()["data"]]
    words = f"rushes jobs settle {job_id} --attempt {{}} (--charged | --not-charged)"
    assert shown == [("absurd_cost", job_id, number, words.format(number)) for number in doubted]


def test_an_absurd_cost_of_an_order_that_is_open_is_answered_once_it_is_closed(desk: Desk) -> None:
    absurd = {"reported_usd": 99.0, "estimated_usd": 0.5}
    job_id = desk.order("generating", "held", job={"flagged": "absurd_cost"}, **absurd)
    assert desk.only()["command"] == f"rushes jobs show {job_id}"


@pytest.mark.parametrize(
    ("columns", "reasons"),
    [
        ({"last_word": "unknown:dreaming"}, ["unknown_word"]),
        ({"finished_at": NOW, "error_code": "no_link", "last_word": "unreachable"}, ["no_link"]),
        ({"finished_at": NOW, "error_code": "link_forbidden"}, ["link_forbidden"]),
        ({"accepted_at": NOW - 25 * HOUR}, ["overdue_day"]),
        ({"last_word": "running"}, []),
        ({"last_word": "unknown:dreaming", "outcome": "expired"}, []),
    ],
)
@pytest.mark.parametrize("state", ["generating", "archived", "failed"])
def test_an_earlier_order_that_is_open_is_told_by_its_number(
    desk: Desk, columns: dict[str, Any], reasons: list[str], state: str
) -> None:
    job_id = desk.order(state, "held", job={"attempt": 2})
    desk.second_order()
    closed = {"outcome": "failed", "standing": "refunded"} if state == "failed" else {"outcome": "delivered"}
    desk.write(sa.update(attempts).where(attempts.c.number == 2).values(**closed))
    desk.write(sa.update(attempts).where(attempts.c.number == 1).values(task_id="t-1", **columns))
    told = [(item["reason"], item["attempt"], item["task_id"], item["command"]) for item in desk.told()["data"]]
    assert told == [(reason, 1, "t-1", f"rushes jobs show {job_id}") for reason in reasons]


@pytest.mark.parametrize("state", ["archived", "failed", "cancelled"])
@pytest.mark.parametrize(
    ("columns", "told", "choice"),
    [
        (
            {"outcome": "undelivered", "standing": "charged", "error_code": "no_link", "task_id": "t-1"},
            "paid_not_delivered",
            "(--charged | --not-charged)",
        ),
        ({"standing": "uncertain", "lost_at": NOW}, "unconfirmed", "(--task-id T | --not-made)"),
    ],
    ids=["without_link", "lost"],
)
def test_an_earlier_order_that_was_paid_or_may_have_been_is_told_by_its_number(
    desk: Desk, columns: dict[str, Any], told: str, choice: str, state: str
) -> None:
    job_id = desk.order(state, "held", job={"attempt": 2})
    desk.second_order()
    closed = {"outcome": "delivered"} if state == "archived" else {"outcome": "failed", "standing": "refunded"}
    desk.write(sa.update(attempts).where(attempts.c.number == 2).values(**closed, task_id="t-2"))
    first = sa.update(attempts).where(attempts.c.number == 1)
    desk.write(first.values(**{"accepted_at": None, "finished_at": NOW, **columns}))
    item = desk.only()
    assert (item["reason"], item["attempt"], item["job_id"]) == (told, 1, job_id)
    assert state in item["detail"]
    assert item["command"] == f"rushes jobs settle {job_id} --attempt 1 {choice}"
    desk.write(first.values(standing="none", outcome="not_made", settled="not_made"))
    assert desk.told()["data"] == []


def test_flags_of_jobs_that_ended_long_ago_are_let_be(desk: Desk) -> None:
    long_ago = desk.now - attention_rows.LOOKED_BACK - HOUR
    desk.order("archived", "charged", outcome="delivered", job={"flagged": "foreign_task", "created_at": long_ago})
    assert desk.told()["data"] == []


@pytest.mark.parametrize(
    ("said", "reason"), [("insufficient_credits", "out_of_credit"), ("unauthorized", "key_refused")]
)
def test_a_gateways_key_that_no_waiting_mends_is_told(desk: Desk, said: str, reason: str) -> None:
    rest = {"provider": "evolink", "account": ACCOUNT, "reason": said}
    desk.write(sa.insert(lanes).values(**rest, lane="submit", until=desk.now + HOUR))
    item = desk.only()
    assert (item["reason"], item["provider"], item["job_id"]) == (reason, "evolink", None)
    assert item["detail"].endswith(f"; orders rest until {iso_s(desk.now + HOUR)}; 0 jobs wait for it")
    desk.write(sa.update(lanes).values(until=desk.now))
    assert desk.only()["detail"].endswith("; its rest is over, and the next order tries it; 0 jobs wait for it")


def test_a_key_that_rests_for_a_while_or_has_rested_is_not_told(desk: Desk) -> None:
    rest = {"provider": "evolink", "account": ACCOUNT, "reason": "rate_limited"}
    desk.write(sa.insert(lanes).values(**rest, lane="submit", until=desk.now + HOUR))
    desk.write(sa.insert(lanes).values(**rest, lane="query", until=desk.now - HOUR))
    assert desk.told()["data"] == []


def test_a_pause_that_a_gateway_asked_for_is_told_once_it_keeps_jobs_waiting(desk: Desk) -> None:
    row = {"provider": "evolink", "account": ACCOUNT, "lane": "submit", "reason": "rate_limited"}
    desk.write(sa.insert(lanes).values(**row, since=desk.now, until=desk.now + HOUR))
    waits = {"waiting": {"provider": "evolink", "code": "rate_limited"}, "alarm_at": desk.now + HOUR}
    desk.order("queued", "none", outcome="refused", job=waits)
    item = desk.only()
    assert (item["reason"], item["command"]) == ("gateway_rests", "rushes providers resume evolink")
    assert item["detail"].startswith("evolink asked for a pause; orders rest since")
    assert item["detail"].endswith("; 1 job waits for it")
    desk.write(sa.update(lanes).values(until=desk.now))
    assert desk.told()["data"] == []


@pytest.mark.parametrize("reason", ["no_answer", "unreachable", "no_network", "unconfirmed", "by_hand"])
@pytest.mark.parametrize("ends_in", [HOUR, -HOUR])
def test_a_gateway_that_is_ill_is_told_until_a_probe_is_answered(desk: Desk, reason: str, ends_in: timedelta) -> None:
    key = Account("evolink", "https://api.evolink.ai", "sk-test")
    row = {"provider": "evolink", "account": key.fingerprint, "lane": "submit", "reason": reason}
    desk.write(sa.insert(lanes).values(**row, since=desk.now - 2 * HOUR, until=desk.now + ends_in))
    item = desk.only()
    assert (item["reason"], item["provider"], item["job_id"]) == ("gateway_rests", "evolink", None)
    assert item["since"] < iso(desk.now)
    assert item["until"] == (iso(desk.now + ends_in) if ends_in > timedelta() else None)
    rests = f"orders rest since {iso_s(desk.now - 2 * HOUR)} until {iso_s(desk.now + ends_in)}"
    assert (rests if ends_in > timedelta() else "its rest is over, and the next order tries it") in item["detail"]
    assert item["detail"].endswith("; 0 jobs wait for it")


def test_the_lane_of_a_key_that_is_gone_is_not_told(desk: Desk) -> None:
    row = {"provider": "evolink", "account": "gone", "lane": "submit", "reason": "no_answer"}
    desk.write(sa.insert(lanes).values(**row, until=desk.now + HOUR))
    assert desk.told()["data"] == []


def test_callbacks_for_what_the_database_does_not_know_are_told(desk: Desk) -> None:
    known = desk.order("archived", "charged", outcome="delivered")
    desk.callback("job_of_another_database")
    desk.callback(known, attempt=2, digest="e")
    desk.callback(known, attempt=1, digest="f")  # of an order that has a row
    desk.callback("job_read", read_at=desk.now, digest="g")
    told = [(item["reason"], item["job_id"]) for item in desk.told()["data"]]
    assert told == [("unknown_job", "job_of_another_database"), ("unknown_attempt", known)]
    assert "names task t-7 of order 1" in desk.told()["data"][0]["detail"]


def test_a_callback_of_an_order_that_is_not_known_is_told_with_what_its_job_knows(desk: Desk) -> None:
    key = Account("evolink", "https://api.evolink.ai", "sk-test")
    job_id = desk.order("archived", "charged", outcome="delivered")
    desk.callback(job_id, attempt=2)
    item = desk.only()
    assert (item["reason"], item["prompt"], item["account"]) == ("unknown_attempt", "A red fox", key.fingerprint)
    assert item["ordered_at"] is not None
    assert (item["provider"], item["attempt"], item["task_id"]) == ("evolink", 2, "t-7")


def test_one_reason_and_a_few_can_be_asked_for(desk: Desk) -> None:
    for n in range(3):
        desk.callback(f"job_{n}")
    desk.order("failed", "uncertain", outcome="expired")
    assert desk.told()["counts"] == {"uncertain_money": 1, "unknown_job": 3}
    some = desk.told("?reason=unknown_job&limit=2")
    assert [item["reason"] for item in some["data"]] == ["unknown_job"] * 2
    assert some["has_more"]
    assert not desk.told("?reason=unknown_job&limit=3")["has_more"]


def test_no_reason_is_read_without_end(desk: Desk) -> None:
    desk.write(sa.insert(inbox).values([kept_callback(f"job_{n}", desk.now) for n in range(MOST + 1)]))
    assert desk.told()["counts"] == {"unknown_job": MOST}


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("reason=boredom", "reason", "Knows no boredom; choose from absurd_cost"),
        ("limit=0", "limit", "Choose from 1 to 1000."),
        ("limit=1001", "limit", "Choose from 1 to 1000."),
        ("limit=many", "limit", "Not a valid integer."),
        ("reasons=unconfirmed", "reasons", "did you mean reason?"),
    ],
)
def test_a_wrong_question_says_what_is_right(api: FlaskClient, query: str, field: str, words: str) -> None:
    answer = api.get(f"/v1/attention?{query}")
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert words in " ".join(problem["errors"][field])


def test_the_list_is_nobody_elses_business(api: FlaskClient) -> None:
    assert api.get("/v1/attention", headers={"Authorization": "Bearer rk_wrong"}).status_code == 401


def test_orders_of_long_ago_are_left_to_the_account_of_costs(desk: Desk) -> None:
    desk.order("failed", "uncertain", outcome="expired")
    desk.write(sa.update(attempts).values(day="2020-01-01"))
    assert desk.told()["data"] == []
