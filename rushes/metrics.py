"""Metrics for Prometheus, read from the database when they are asked for: `/metrics`, with an API key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from flask import Blueprint, Response, request
from sqlalchemy.engine import Connection

from jobs.machine.error_codes import REASONS
from jobs.machine.states import State
from jobs.providers.base import Provider
from jobs.reports import attention, callbacks, costs
from jobs.reports.attention import Looking
from jobs.settings import Settings
from jobs.store import heartbeats, lanes, spending, unknown_words
from jobs.store.database import Database
from jobs.store.tables import jobs
from rushes.api.edge.problems import NotInstalled

if TYPE_CHECKING:
    from prometheus_client.core import Metric


def blueprint(settings: Settings, providers: Mapping[str, Provider], database: Database) -> Blueprint:
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def show() -> Response:
        try:
            from prometheus_client import CollectorRegistry
            from prometheus_client.exposition import choose_encoder
        except ImportError:
            raise NotInstalled("Metrics need the extra `metrics`: install rushes[metrics].") from None
        with database.read() as db:
            found = list(_families(db, database, settings, providers))
        registry = CollectorRegistry()
        registry.register(_Read(found))
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return routes


class _Read:
    """What was read, as prometheus_client wants it."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


def _families(
    db: Connection, database: Database, settings: Settings, providers: Mapping[str, Provider]
) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    now = database.clock(db)
    by_state = dict.fromkeys((state.value for state in State), 0)
    for state, count in db.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)):
        by_state[state] = count
    held = GaugeMetricFamily("rushes_jobs", "Jobs, by state.", labels=["state"])
    for state, count in by_state.items():
        held.add_metric([state], count)
    yield held

    about = f"What needs a person, by reason; at most {attention.MOST} are counted."
    wanted = GaugeMetricFamily("rushes_needs_person", about, labels=["reason"])
    counts = attention.counts(db, Looking(settings, providers, now))
    for reason in REASONS:
        wanted.add_metric([reason], counts[reason])
    yield wanted

    about = "Seconds that a gateway's lane still rests; 0: its rest is over, and one order or question is to try it."
    rests = GaugeMetricFamily("rushes_gateway_rest_seconds", about, labels=["provider", "lane", "reason"])
    about = "When the first of its rests in a row began, as a Unix time."
    since = GaugeMetricFamily("rushes_gateway_rest_since_timestamp_seconds", about, labels=list(rests._labelnames))
    for account, lane_name, lane in lanes.unwell(db, settings):
        is_present = account == settings.accounts.get(account.provider)
        labels = [account.provider, lane_name if is_present else f"previous_{lane_name}", lane.reason or ""]
        rests.add_metric(labels, lane.rests_s(now))
        if lane.since is not None:
            since.add_metric(labels, lane.since.timestamp())
    yield from (rests, since)

    yield from _of_accounts(db, settings, now)
    yield from _of_links(db, now)

    about = "Callbacks that have not come, of those of orders whose end was heard in the last 24 hours."
    lost = GaugeMetricFamily("rushes_callback_loss_ratio", about, labels=["provider"])
    for name, ends in callbacks.of_last_day(db, keep_d=settings.keep_callbacks_d, now=now).items():
        if ends.loss_ratio is not None:
            lost.add_metric([name], ends.loss_ratio)
    yield lost

    waits = GaugeMetricFamily("rushes_jobs_held_up", "Queued jobs that wait for a gateway.", labels=["provider"])
    for name, count in lanes.held_up(db).items():
        waits.add_metric([name], count)
    yield waits

    about = "Tasks whose gateway answered what none of its pages documents: a status word, or (in brackets) a shape."
    strange = CounterMetricFamily("rushes_gateway_unknown_answers", about, labels=["provider", "what"])
    for name, found in unknown_words.seen(db).items():
        for word, times in found.items():
            strange.add_metric([name, word], times)
    yield strange

    oldest = min(filter(None, (_oldest_alarm(db, state, now) for state in State)), default=now)
    waited_s = (now - oldest).total_seconds()
    yield GaugeMetricFamily("rushes_oldest_due_seconds", "How long the oldest due job has waited.", value=waited_s)

    swept_s = heartbeats.last_seen_s(db, database).get(heartbeats.SWEPT)
    if swept_s is not None:
        yield GaugeMetricFamily("rushes_sweep_age_seconds", "Seconds since a sweep last looked.", value=swept_s)


def _of_accounts(db: Connection, settings: Settings, now: datetime) -> Iterator[Metric]:
    """What each gateway with a key has under way, and what it was paid today (UTC)."""
    from prometheus_client.core import GaugeMetricFamily

    flying = GaugeMetricFamily(
        "rushes_orders_in_flight", "Orders that a gateway may be working on.", labels=["provider"]
    )
    about = "Orders whose answer is not known, since its last acceptance."
    unanswered = GaugeMetricFamily("rushes_orders_unanswered", about, labels=["provider"])
    about = "US dollars of today's orders (UTC), by what became of the money; unknown prices are left out."
    paid = GaugeMetricFamily("rushes_today_usd", about, labels=["provider", "line"])
    about = "Today's orders (UTC), by what became of the money."
    ordered = GaugeMetricFamily("rushes_today_orders", about, labels=["provider", "line"])
    budget = GaugeMetricFamily("rushes_budget_usd", "What a day may cost, where it is limited.", labels=["provider"])
    today = spending.day_of(now)
    sums = {(each.provider, each.line): each for each in costs.sums(db, since=today, until=today)}
    for name, account in settings.accounts.items():
        out = lanes.out(db, account, lanes.read(db, account, "submit"), settings, now=now)
        flying.add_metric([name], out.in_flight)
        unanswered.add_metric([name], out.unanswered)
        for line in costs.LINES:
            found = sums.get((name, line))
            paid.add_metric([name, line], found.usd if found else 0)
            ordered.add_metric([name, line], found.attempts if found else 0)
        if (daily_usd := settings.terms[name].daily_usd) is not None:
            budget.add_metric([name], daily_usd)
    yield from (flying, unanswered, paid, ordered, budget)


def _of_links(db: Connection, now: datetime) -> Iterator[Metric]:
    """How long the link lives that dies first, of the films that are still to be copied."""
    from prometheus_client.core import GaugeMetricFamily

    first = sa.select(sa.func.min(jobs.c.link_dies_at)).where(jobs.c.state == State.ARCHIVING.value)
    dies_at = db.execute(first).scalar_one_or_none()
    if dies_at is not None:
        about = (
            "Seconds that the link still lives that dies first, of films that are not copied yet; below 0: it is dead."
        )
        yield GaugeMetricFamily("rushes_link_life_left_seconds", about, value=(dies_at - now).total_seconds())


def _oldest_alarm(db: Connection, state: State, now: datetime) -> datetime | None:
    """The alarm that rang first, of the jobs in a state that nobody holds. One look into the index."""
    free = sa.or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)
    rung = sa.select(jobs.c.alarm_at).where(jobs.c.state == state.value, jobs.c.alarm_at <= now, free)
    found: datetime | None = db.execute(rung.order_by(jobs.c.alarm_at).limit(1)).scalar_one_or_none()
    return found
