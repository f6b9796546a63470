"""The command that a line of the attention list names, as a person runs it against the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import Orders, as_operator
from click.testing import CliRunner
from flask.testing import FlaskClient
from served import serve_app

from jobs.machine.error_codes import REASONS
from jobs.providers.client import Account
from jobs.store.database import Database
from jobs.store.tables import attempts, hearsay, jobs, lanes, notices
from rushes.cli import main

pytestmark = pytest.mark.both_databases

HOUR = timedelta(hours=1)
ABSURD = {"reported_usd": 99.0, "estimated_usd": 0.5}
# What only a look at the gateway, the bucket or the log mends: the command shows what there is to know.
LOOKED_AT = {
    "bucket_refuses",
    "disk_full",
    "film_not_kept",
    "foreign_task",
    "gateway_drifts",
    "other_length",
    "link_denied",
    "link_dying",
    "no_gateway",
    "overdue_day",
    "raises",
    "troubled",
    "unknown_attempt",
    "unknown_job",
    "unknown_word",
    "unproven_film",  # its command waits for a transfer: see test_core_accept
}


class Desk:
    """A list with a line, and the commands against the service that tells it."""

    def __init__(self, api: FlaskClient, database: Database, url: str, monkeypatch: pytest.MonkeyPatch):
        self._api, self._database = api, database
        monkeypatch.setenv("RUSHES_URL", url)
        monkeypatch.setenv("RUSHES_API_KEY", api.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        with database.read() as db:
            self.now = database.clock(db)

    def order(self, state: str, standing: str, *, job: Mapping[str, Any] | None = None, **columns: Any) -> str:
        job_id = Orders(self._api, self._database).add(self.now.date().isoformat(), standing, state=state, **columns)
        if job:
            self.write(sa.update(jobs).where(jobs.c.id == job_id).values(**job))
        return job_id

    def write(self, statement: Any) -> None:
        with self._database.write() as db:
            db.execute(statement)

    def told(self) -> list[dict[str, Any]]:
        return list(self._api.get("/v1/attention").get_json()["data"])

    def run(self, command: str, choice: str = "") -> None:
        """A line's command; of what stands in brackets, what a person chose."""
        fixed, bracket, choices = command.partition(" (")
        assert not bracket or choice in choices.rstrip(")").split(" | ")
        result = CliRunner().invoke(main, [*fixed.split()[1:], *choice.split()])
        assert result.exit_code == 0, result.stderr


@pytest.fixture
def desk(api: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    served = serve_app(api.application)
    yield Desk(as_operator(api, database), database, served.url, monkeypatch)
    served.close()


def unconfirmed(desk: Desk) -> None:
    desk.order("unconfirmed", "uncertain", lost_at=desk.now, accepted_at=None)


def lost_money(desk: Desk) -> None:
    desk.order("failed", "uncertain", outcome="expired", job={"flagged": "uncertain_money"})


def uncertain_money(desk: Desk) -> None:
    desk.order("failed", "uncertain", outcome="expired", task_id="t-1", job={"flagged": "uncertain_money"})


def absurd_cost(desk: Desk) -> None:
    """Of an earlier order; the current one delivered at what was expected."""
    job_id = desk.order("archived", "charged", outcome="expired", job={"flagged": "absurd_cost", "attempt": 2})
    row = {"number": 2, "outcome": "delivered", "reported_usd": 0.5, "estimated_usd": 0.5}
    columns = [column for column in attempts.columns if column.name not in row]
    values = [*columns, *(sa.literal(value, attempts.c[name].type) for name, value in row.items())]
    names = [*(column.name for column in columns), *row]
    desk.write(sa.insert(attempts).from_select(names, sa.select(*values)))
    desk.write(sa.update(attempts).where(attempts.c.job_id == job_id, attempts.c.number == 1).values(**ABSURD))


def paid_not_delivered(desk: Desk) -> None:
    desk.order("cancelled", "charged", outcome="finished", finished_at=desk.now, link="https://host/v.mp4")


def paid_without_link(desk: Desk) -> None:
    made = {"outcome": "undelivered", "error_code": "no_link", "task_id": "t-1", "finished_at": desk.now}
    desk.order("cancelled", "charged", **made)


def contested_task(desk: Desk) -> None:
    job = {"flagged": "contested_task"}
    desk.order("generating", "held", task_id="t-1", adopted=True, contested=True, job=job)
    other = desk.order("unconfirmed", "uncertain", lost_at=desk.now, accepted_at=None, job=job)
    told = {"job_id": other, "attempt": 1, "provider": "evolink", "task_id": "t-1"}
    told |= {"is_signed": False, "is_contested": True}
    desk.write(sa.insert(hearsay).values(**told, heard_at=desk.now, asks=0, ask_at=desk.now))


def no_link(desk: Desk) -> None:
    failed_over(desk, "no_link")


def link_forbidden(desk: Desk) -> None:
    failed_over(desk, "link_forbidden")


def failed_over(desk: Desk, code: str) -> None:
    made = {"outcome": "undelivered", "error_code": code, "task_id": "t-1", "finished_at": desk.now}
    desk.order("failed", "charged", **made, job={"flagged": code, "error_code": code})


def holder_died(desk: Desk) -> None:
    aside = {"flagged": "holder_died", "holder_deaths": 3, "set_aside_until": desk.now + HOUR}
    desk.order("generating", "held", task_id="t-1", job=aside)


def gateway_rests(desk: Desk) -> None:
    rests(desk, "no_answer")


def out_of_credit(desk: Desk) -> None:
    rests(desk, "insufficient_credits")


def key_refused(desk: Desk) -> None:
    rests(desk, "unauthorized")


def notice_given_up(desk: Desk) -> None:
    job_id = desk.order("archived", "charged", outcome="delivered")
    told = {"id": "ntc_01K8Z3V0QWERTYUIOPASDFGHJK", "job_id": job_id, "sequence": 1, "type": "job.archived"}
    told |= {"url": "https://pipeline.example/hook", "body": {}, "version": 9, "tries": 9, "last_status": 500}
    desk.write(sa.insert(notices).values(**told, created_at=desk.now))


def rests(desk: Desk, reason: str) -> None:
    key = Account("evolink", "https://api.evolink.ai", "sk-test")
    lane = {"provider": "evolink", "account": key.fingerprint, "lane": "submit", "reason": reason}
    desk.write(sa.insert(lanes).values(**lane, since=desk.now, began_at=desk.now, until=desk.now + HOUR))


ANSWERS: list[tuple[str, Callable[[Desk], None], str, set[str]]] = [
    ("unconfirmed", unconfirmed, "--not-made", set()),
    ("uncertain_money", lost_money, "--not-made", set()),
    ("uncertain_money", uncertain_money, "--charged", set()),
    ("uncertain_money", uncertain_money, "--not-charged", set()),
    ("absurd_cost", absurd_cost, "--charged", set()),
    ("absurd_cost", absurd_cost, "--not-charged", set()),
    ("paid_not_delivered", paid_not_delivered, "", set()),
    ("paid_not_delivered", paid_without_link, "--charged", set()),
    ("paid_not_delivered", paid_without_link, "--not-charged", set()),
    ("contested_task", contested_task, "", {"unconfirmed"}),  # the other order's answer is still lost
    ("no_link", no_link, "", set()),
    ("link_forbidden", link_forbidden, "", set()),
    ("holder_died", holder_died, "", set()),
    ("gateway_rests", gateway_rests, "", set()),
    ("out_of_credit", out_of_credit, "", set()),
    ("key_refused", key_refused, "", set()),
    ("notice_given_up", notice_given_up, "", set()),
]


@pytest.mark.parametrize(("reason", "lay", "choice", "left"), ANSWERS)
def test_a_lines_command_ends_it(
    desk: Desk, reason: str, lay: Callable[[Desk], None], choice: str, left: set[str]
) -> None:
    lay(desk)
    line = next(item for item in desk.told() if item["reason"] == reason)
    desk.run(line["command"], choice)
    assert {item["reason"] for item in desk.told()} == left


def test_every_reason_has_a_command_that_ends_its_lines_or_is_one_to_look_at() -> None:
    assert {reason for reason, *_ in ANSWERS} | LOOKED_AT == set(REASONS)
    assert not {reason for reason, *_ in ANSWERS} & LOOKED_AT
