"""Jobs that have to wait before they are ordered: who is turned away, who stands in line, and who is next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import structlog

from jobs.errors import BadRequest
from jobs.machine import routing
from jobs.machine.case import Case
from jobs.machine.error_codes import TAKES_TURNS
from jobs.machine.routing import Obstacle
from jobs.steps.planning import Wait
from jobs.steps.resources import Resources
from jobs.store import cases, leases

SAYS_SO_AFTER_S = 3  # in line; the sweep, which cannot know, rings at once and again after five seconds

log = structlog.get_logger()


class End(NamedTuple):
    """How a try ended: the gateway that it was sent to, or where it waits for others' orders; neither: otherwise.

    `is_nothing`: the row wants no order now, or somebody else is at it.
    """

    sent_to: str | None = None
    waits_at: str | None = None
    is_nothing: bool = False


def turn_away(job_id: str, resources: Resources) -> End | None:
    """Have a job wait before it is planned, where every gateway that could take it is full in this process.

    A new one stands in line from here on. None: it is to be tried.
    """
    is_full, line = resources.bulkheads.is_full, resources.line
    if not any(is_full(name, "submit") for name in resources.settings.accounts):
        return None
    waiting = line.waits(job_id)
    case = waiting.case if waiting else _new(job_id, resources)
    route = [] if case is None else _route(case, resources)
    if case is None or not route or not all(is_full(name, "submit") for name in route):
        return None
    name = waiting.gateway if waiting else route[0]
    if stands_in_line(name, case, resources):
        return End(waits_at=name)
    end = postpone(case, takes_turns(name, resources.bulkheads.come_back_in(name, "submit")), resources)
    return end if end.waits_at else None  # it has moved since, or its time to start is over


def stands_in_line(name: str, case: Case, resources: Resources) -> bool:
    """Whether there is nothing to write yet: its turn may come soon, and its alarm stays as it is.

    Once it has stood there for seconds, its row says so, and has a later alarm.
    """
    stood_s = resources.line.join(name, case)
    return stood_s is not None and stood_s < SAYS_SO_AFTER_S


def takes_turns(name: str, come_back_in: float) -> Wait:
    return Wait(Obstacle(TAKES_TURNS, f"{name} takes its time", come_back_in, name))


def postpone(case: Case, wait: Wait, resources: Resources) -> End:
    found = wait.obstacle
    log.info("submit_postponed", job=case.job.id, reason=found.reason, seconds=round(found.wait_s, 1))
    waiting = {"provider": found.provider, "code": found.code, "reason": found.reason}
    with resources.database.write() as db:
        now = resources.database.clock(db)
        if now >= case.job.start_by:
            return End()
        until = now + timedelta(seconds=found.wait_s)
        job = leases.postpone(db, case.job, until=until, now=now, flagged=wait.flagged, waiting=waiting)
    if job is None or found.code != TAKES_TURNS or found.provider is None:
        return End()
    resources.line.join(found.provider, replace(case, job=job))
    return End(waits_at=found.provider)


def next_job(end: End, resources: Resources) -> str | None:
    """Who goes on: at the gateway of the order that has just ended, or wherever there is room if it came to nothing."""
    if end.sent_to is not None:
        return resources.line.next(end.sent_to)
    if not end.is_nothing:
        return None
    with_room = (name for name in resources.settings.accounts if not resources.bulkheads.is_full(name, "submit"))
    return next(filter(None, map(resources.line.next, with_room)), None)


def _new(job_id: str, resources: Resources) -> Case | None:
    with resources.database.read() as db:
        return cases.read_new(db, job_id)


def _route(case: Case, resources: Resources) -> list[str]:
    """The gateways that may take a job, whatever has come of its orders; none where none can any more."""
    try:
        return routing.route(resources.candidates(case.job.wanted))
    except BadRequest:
        return []
