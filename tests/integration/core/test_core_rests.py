"""A gateway that rests, as each face of the service tells of it: all of them the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import sqlalchemy as sa
import structlog
from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import LogCapture
from workshop import Workshop

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.machine.states import State
from jobs.machine.times import iso, iso_s
from jobs.store import lanes, waiting_jobs
from jobs.store.tables import lanes as rows

Rushes = Callable[..., Result]
ORDER = {"prompt": "A fox", "resolution": "720p", "duration": 2, "provider": "evolink"}
OVER = "evolink does not answer orders; its rest is over, and the next order tries it"
ROUNDING = timedelta(milliseconds=1)


@dataclass
class Rest:
    """A rest, the jobs that wait for its end, and what the log said of it."""

    since: datetime
    until: datetime
    waiting: list[str]
    logged: list[Any]


@pytest.fixture
def rest(workshop: Workshop, sandbox: Any, rushes: Rushes, monkeypatch: pytest.MonkeyPatch) -> Rest:
    """EvoLink loses two orders, and three more jobs are kept waiting."""
    _, key = api_keys.create(workshop.database, "operator", Scope.ADMIN)
    monkeypatch.setenv("RUSHES_API_KEY", key)
    heard = LogCapture()
    monkeypatch.setattr(lanes, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=[heard]))
    sandbox.fault("evolink", "refuse", status=503, body="<html>Bad Gateway</html>", times=1000)
    made = [workshop.create(provider="evolink") for _ in range(5)]
    workshop.await_(lambda: (workshop.sweep(), _held_up(workshop) == 3)[1], "three are kept waiting")
    account = workshop.settings.accounts["evolink"]
    with workshop.database.read() as db:
        lane = lanes.read(db, account, "submit")
    assert lane.since is not None
    assert lane.until is not None
    waiting = [job_id for job_id in made if workshop.state(job_id) is State.QUEUED]
    return Rest(lane.since, lane.until, waiting, heard.entries)


def _held_up(workshop: Workshop) -> int:
    with workshop.database.read() as db:
        return waiting_jobs.held_up(db).get("evolink", 0)


def asked(method: str, path: str, **what: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {os.environ['RUSHES_API_KEY']}"}
    answer = requests.request(method, os.environ["RUSHES_URL"] + path, headers=headers, timeout=5, **what)
    assert answer.ok, answer.text
    return answer


def measured() -> dict[str, tuple[dict[str, str], float]]:
    """The metrics of gateways, by name: labels and value."""
    families = text_string_to_metric_families(asked("GET", "/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {s.name: (s.labels, s.value) for s in samples if "gateway" in s.name or s.name == "rushes_jobs_held_up"}


def listed(rushes: Rushes) -> str:
    (line,) = [line for line in rushes("providers").stdout.splitlines() if line.startswith("evolink\t")]
    return line.split("\t")[-1]


def whole(rushes: Rushes) -> dict[str, str]:
    rows = [line.split("\t") for line in rushes("providers", "evolink").stdout.splitlines()]
    return {name: said for part, name, said in rows if part == "evolink"}


def test_every_face_tells_which_gateway_rests_since_when_why_until_when_and_whom_that_keeps_waiting(
    workshop: Workshop, rushes: Rushes, rest: Rest
) -> None:
    since, until = iso(rest.since), iso(rest.until)
    reason = f"evolink does not answer orders; orders rest since {iso_s(rest.since)} until {iso_s(rest.until)}"

    status = asked("GET", "/v1/providers/evolink").json()["status"]
    paused = status["paused"]["submit"]
    assert (paused["reason"], paused["since"], paused["until"]) == ("no_answer", since, until)
    assert (status["holds_up"], status["obstacle"]["reason"]) == (3, reason)

    assert listed(rushes).endswith(f": no_answer since {since[:16]}Z; holds up 3 jobs")
    facts = whole(rushes)
    assert facts["submit rests"] == f"no_answer since {since}; until {until}"
    assert facts["holds up"] == "3 jobs"
    assert facts["hindered"].startswith(reason)

    (considered,) = asked("POST", "/v1/jobs?dry_run=true", json=ORDER).json()["considered"]
    assert considered["obstacle"] == {"code": "no_answer", "reason": reason, "holds_up": 3}
    shown = rushes("submit", "A fox", "--resolution", "720p", "--duration", "2", "--provider", "evolink", "--dry-run")
    assert f"{reason}; it holds up 3 jobs" in shown.stdout

    (line,) = asked("GET", "/v1/attention?reason=gateway_rests").json()["data"]
    assert (line["provider"], line["since"], line["until"]) == ("evolink", since, until)
    assert line["detail"] == f"{reason}; 3 jobs wait for it"

    asked_at, found = datetime.now(UTC), measured()
    labels = {"provider": "evolink", "lane": "submit", "reason": "no_answer"}
    told, left_s = found["rushes_gateway_rest_seconds"]
    assert told == labels
    assert asked_at - ROUNDING <= rest.until - timedelta(seconds=left_s) <= datetime.now(UTC) + ROUNDING
    assert found["rushes_gateway_rest_since_timestamp_seconds"] == (labels, pytest.approx(rest.since.timestamp()))
    assert found["rushes_jobs_held_up"] == ({"provider": "evolink"}, 3)

    (logged,) = [each for each in rest.logged if each["event"] == "lane_rests"]
    assert (logged["provider"], logged["lane"], logged["reason"]) == ("evolink", "submit", "no_answer")
    assert (logged["since"], logged["seconds"]) == (iso_s(rest.since), round((rest.until - rest.since).total_seconds()))

    for job_id in rest.waiting:
        waiting = asked("GET", f"/v1/jobs/{job_id}").json()["waiting"]
        assert (waiting["provider"], waiting["code"], waiting["reason"]) == ("evolink", "no_answer", reason)


def test_once_the_rest_is_over_and_nobody_has_tried_no_face_says_that_it_rests(
    workshop: Workshop, rushes: Rushes, rest: Rest
) -> None:
    with workshop.database.write() as db:
        over = workshop.database.clock(db) - timedelta(seconds=1)
        db.execute(sa.update(rows).where(rows.c.provider == "evolink").values(until=over, ask_at=None))

    status = asked("GET", "/v1/providers/evolink").json()["status"]
    assert (status["obstacle"], status["paused"]["submit"]["seconds"]) == (None, 0)
    assert listed(rushes) == "ready; the next order tries it: no_answer"
    assert whole(rushes)["submit rests"].endswith("; its rest is over, and the next one tries it")
    assert asked("POST", "/v1/jobs?dry_run=true", json=ORDER).json()["provider"] == "evolink"
    (line,) = asked("GET", "/v1/attention?reason=gateway_rests").json()["data"]
    assert (line["until"], line["detail"]) == (None, f"{OVER}; 3 jobs wait for it")
    assert measured()["rushes_gateway_rest_seconds"][1] == 0


def test_its_command_ends_it_for_every_face(workshop: Workshop, rushes: Rushes, rest: Rest) -> None:
    (line,) = asked("GET", "/v1/attention?reason=gateway_rests").json()["data"]
    assert rushes(*line["command"].split()[1:]).exit_code == 0
    assert asked("GET", "/v1/attention?reason=gateway_rests").json()["data"] == []
    assert listed(rushes) == "ready"
    assert "rushes_gateway_rest_seconds" not in measured()
    status = asked("GET", "/v1/providers/evolink").json()["status"]
    assert status["paused"] == {"submit": None, "query": None, "previous_query": None}
