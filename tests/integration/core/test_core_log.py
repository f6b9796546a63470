"""What the log says of a job on its way: one line for each move, order, callback, film and refused request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from flask.testing import FlaskClient
from structlog.testing import LogCapture
from workshop import RUN, Workshop, serve_receiver

from jobs.intake import api_keys
from jobs.machine.states import State
from jobs.steps import archiving
from jobs.store import history, told
from jobs.store.database import DatabaseUnavailable
from jobs.store.tables import jobs
from rushes.api.edge import problems
from rushes.app import create_app
from webhooks import receiver as receiving

SPEAKERS = (told, archiving, receiving, problems)
Lines = list[dict[str, Any]]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What they log from now on, with the request's id where there is one."""
    capture = LogCapture()
    processors = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, capture]
    for module in SPEAKERS:
        monkeypatch.setattr(module, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=processors))
    return capture.entries  # type: ignore[return-value]


def of(heard: Lines, job_id: str) -> list[str]:
    return [line["event"] for line in heard if line.get("job") == job_id]


def test_a_jobs_way_can_be_read_in_the_log_alone(make_workshop: Callable[..., Workshop], heard: Lines) -> None:
    workshop = make_workshop(poll_interval_s=3600)
    receiver = serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        job_id = workshop.create(provider="evolink")
        RUN["jobs.submit"](job_id, workshop.resources)
        workshop.await_(lambda: ("jobs.transfer", job_id) in workshop.bells.rung, "the callback", job_id=job_id)
        RUN["jobs.transfer"](job_id, workshop.resources)
    finally:
        receiver.close()
    order = [
        "job_created",
        "job_routed",
        "job_claim",
        "job_accept",
        "job_finish",
        "video_stored",
        "job_store",
    ]
    assert [event for event in of(heard, job_id) if event in order] == order
    by_event = {line["event"]: line for line in heard}
    assert by_event["callback_kept"]["job"] == job_id  # it may overtake the answer to the order
    accepted = by_event["job_accept"]
    assert (accepted["from"], accepted["to"], accepted["attempt"]) == (State.SUBMITTING, State.GENERATING, 1)
    assert {by_event[event]["provider"] for event in order[2:]} == {"evolink"}
    film = workshop.case(job_id).job
    assert by_event["video_stored"]["bytes"] == film.bytes
    copied = by_event["job_store"]["detail"]
    assert (copied["bytes"], copied["seconds"]) == (film.bytes, by_event["video_stored"]["seconds"])
    assert {line["log_level"] for line in heard} == {"info"}


def test_an_order_whose_answer_is_lost_is_a_warning(workshop: Workshop, sandbox: Any, heard: Lines) -> None:
    sandbox.fault("evolink", "refuse", status=503, body="<html>Bad Gateway</html>", times=1)
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    (lost,) = [line for line in heard if line.get("to") == State.UNCONFIRMED]
    assert (lost["log_level"], lost["job"], lost["attempt"], lost["provider"]) == ("warning", job_id, 1, "evolink")


def test_what_is_rolled_back_is_not_told(workshop: Workshop, heard: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(db: Any, lines: Any, providers: Any = None) -> None:
        written(db, lines, providers)
        raise DatabaseUnavailable("gone")

    written = history.write_lines
    monkeypatch.setattr(history, "write_lines", fail)
    with pytest.raises(DatabaseUnavailable):
        workshop.create(provider="evolink")
    with workshop.database.write() as db:  # by the same connection, perhaps
        db.execute(sa.update(jobs).values(overdue=False))
    assert heard == []


@pytest.fixture
def api(workshop: Workshop) -> Iterator[FlaskClient]:
    app = create_app(workshop.settings)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {api_keys.create(workshop.database, 'test')[1]}"
    yield client
    app.extensions["rushes.close"]()


def test_a_refused_request_is_told_with_its_id_its_key_and_why(api: FlaskClient, heard: Lines) -> None:
    answer = api.post("/v1/jobs", json={"prompt": "A fox", "duration": 99}, headers={"X-Request-Id": "mine-1"})
    (line,) = heard
    assert (line["event"], line["status"], line["code"]) == ("request_refused", answer.status_code, "invalid_request")
    assert (line["request_id"], line["method"], line["path"]) == ("mine-1", "POST", "/v1/jobs")
    assert line["api_key"].startswith("key_")
    assert "duration" in line["detail"]
