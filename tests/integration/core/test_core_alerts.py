"""deploy/alerts.yml at work: what a service tells when something is ill, and that it is quiet while it is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alerting import RULES, Scrape, firing, scrape
from flask.testing import FlaskClient
from workshop import Workshop, serve_receiver

from jobs import measures
from jobs.intake import api_keys
from jobs.machine.states import ENDED, State
from jobs.measures import Measure
from jobs.store import heartbeats, spending, tallied
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.step_table import SUBMIT
from jobs.store.tables import attempts, jobs
from jobs.store.tables import heartbeats as beats
from jobs.worker import dispatch
from rushes.app import create_app

NOTHING: Scrape = {}


@pytest.fixture
def service(make_workshop: Callable[..., Workshop]) -> Iterator[tuple[Workshop, FlaskClient]]:
    """A workshop, and who is scraped."""
    workshop = make_workshop(evolink_daily_usd=10)
    app = create_app(workshop.settings, ringer=workshop.bells)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {api_keys.create(workshop.database, 'prometheus')[1]}"
    yield workshop, client
    app.extensions["rushes.close"]()


def after(service: tuple[Workshop, FlaskClient]) -> Scrape:
    """A scrape once all that was counted is written."""
    workshop, client = service
    tallied.add(workshop.database)
    return scrape(client)


def test_a_service_that_is_well_raises_no_alert(service: tuple[Workshop, FlaskClient]) -> None:
    workshop, _ = service
    receiver = serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    finally:
        receiver.close()
    heartbeats.beat(workshop.database, "worker@here:1", "worker")
    assert firing(NOTHING, after(service)) == {}


def test_a_gateway_that_answers_503_raises_alerts_before_any_job_has_failed(
    service: tuple[Workshop, FlaskClient], sandbox: Any
) -> None:
    workshop, _ = service
    before = after(service)
    assert firing(NOTHING, before) == {}
    sandbox.fault("evolink", "refuse", status=503, body="<html>Bad Gateway</html>", times=99)
    job_ids = [workshop.create(provider="evolink") for _ in range(3)]
    for job_id in job_ids:
        dispatch.guarded(SUBMIT, job_id, workshop.resources)
    found = firing(before, after(service))
    assert found.keys() == {"RushesGatewayRests", "RushesGatewayFailing", "RushesOrdersUnconfirmed"}
    assert {"provider": "evolink", "lane": "submit"} in found["RushesGatewayRests"]
    assert found["RushesGatewayFailing"] == found["RushesOrdersUnconfirmed"] == [{"provider": "evolink"}]
    assert not {workshop.state(job_id) for job_id in job_ids} & ENDED


def test_a_database_that_is_away_is_a_service_that_is_down(
    service: tuple[Workshop, FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Database) -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(Database, "read", away)
    assert firing(NOTHING, scrape(service[1])) == {"RushesDown": [{}]}


def test_a_broker_that_does_not_answer_is_told(
    service: tuple[Workshop, FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop, _ = service
    monkeypatch.setattr(type(workshop.bells), "waiting", lambda self, task: None)
    assert firing(NOTHING, after(service)) == {"RushesBrokerAway": [{}]}


def _an_old_beat(role: str) -> Callable[[Workshop], None]:
    def make(workshop: Workshop) -> None:
        with workshop.database.write() as db:
            seen_at = workshop.database.clock(db) - timedelta(minutes=5)
            db.execute(sa.insert(beats).values(name=role, role=role, seen_at=seen_at))

    return make


def _a_job(**values: timedelta | str) -> Callable[[Workshop], None]:
    """With these values; a span is a time so long from now."""

    def make(workshop: Workshop) -> None:
        job_id = workshop.create(provider="evolink")
        with workshop.database.write() as db:
            now = workshop.database.clock(db)
            row = {name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(alarm_at=now + timedelta(hours=1)))
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**row))

    return make


def _counted(*counts: tuple[Measure, int, tuple[str, ...]]) -> Callable[[Workshop], None]:
    """So often, under these labels; of a histogram, so many of a second each."""

    def make(workshop: Workshop) -> None:
        tallies = workshop.database.tallies
        for measure, times, labels in counts:
            if measure.bounds:
                for _ in range(times):
                    tallies.observe(measure, 1, *labels)
            else:
                tallies.count(measure, *labels, by=times)

    return make


def _spent(workshop: Workshop) -> None:
    _archived(workshop)
    with workshop.database.write() as db:
        today = spending.day_of(workshop.database.clock(db))
        db.execute(sa.update(attempts).values(day=today, estimated_usd=9.5, reported_usd=None, reported_credits=None))


def _archived(workshop: Workshop) -> None:
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)


ILL: dict[str, Callable[[Workshop], None]] = {
    "RushesProcessGone": _an_old_beat("worker"),
    "RushesSweepSilent": _an_old_beat(heartbeats.SWEPT),
    "RushesQueueStuck": _a_job(alarm_at=-timedelta(minutes=10)),
    "RushesLinkDying": _a_job(state="archiving", link_dies_at=timedelta(minutes=50)),
    "RushesNeedsPerson": _a_job(flagged="raises"),
    "RushesBudgetNearlySpent": _spent,
    "RushesStepsFailing": _counted((measures.STEP_FAILURES, 4, ("jobs.submit",))),
    "RushesApiErrors": _counted(
        (measures.HTTP_S, 9, ("GET", "/v1/jobs", "2xx")), (measures.HTTP_S, 1, ("GET", "/v1/jobs", "5xx"))
    ),
    "RushesCallbacksLost": _counted((measures.ORDER_ENDS, 6, ("apiframe", "delivered"))),
    "RushesQueryBudgetSpent": _counted((measures.GATEWAY_S, 2000, ("evolink", "query", "2xx"))),
    "RushesTransfersFailing": _counted((measures.TRANSFER_FAILURES, 6, ("evolink", "BucketUnavailable"))),
    "RushesJobsFailing": _counted((measures.JOB_S, 5, ("archived",)), (measures.JOB_S, 2, ("failed",))),
    "RushesNoticesFailing": _counted((measures.NOTICE_S, 2, ("4xx",)), (measures.NOTICE_S, 1, ("delivered",))),
}
TRIED_ABOVE = {
    "RushesDown",
    "RushesBrokerAway",
    "RushesGatewayRests",
    "RushesGatewayFailing",
    "RushesOrdersUnconfirmed",
}


def test_every_alert_is_tried() -> None:
    assert {rule["alert"] for rule in RULES} == ILL.keys() | TRIED_ABOVE


@pytest.mark.parametrize("alert", ILL)
def test_what_is_ill_raises_its_alert_and_no_other(service: tuple[Workshop, FlaskClient], alert: str) -> None:
    workshop, _ = service
    workshop.database.tallies.count(measures.CALLBACKS, "apiframe", "kept")  # it has called back before
    before = after(service)
    assert firing(before, before) == {}
    ILL[alert](workshop)
    assert firing(before, after(service)).keys() == {alert}
