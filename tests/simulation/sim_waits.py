"""How long queued jobs wait while a gateway that could take them is well: the rule that none is stranded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

from sim_gateways import Gateways
from sim_rows import AttemptRow, JobRow, Key, Rows
from sim_world import Violated, World

from jobs.machine.held_jobs import ASKS
from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.settings import Settings

# The longest rest that a job may have chosen to wait for, with its jitter; the longest that nobody sweeps; and what a
# queue of hundreds takes.
STRANDED_S = 900 * 1.1 + 900 + 600
ASKED_S = 300  # so late, at most, a gateway is asked in the middle of a rest whether it answers again
HINDERED_S = 1_500  # as long, at most, a trouble of the service itself lasts
# Troubles of the service itself, which may keep every job waiting.
HINDERS = (
    "worker_dies",
    "worker_sleeps",
    "worker_told_to_stop",
    "database_away",
    "database_down",
    "database_down_at_order",
    "commit_fails",
    "commit_unknown",
    "broker_away",
    "beat_away",
    "clock_set_back",
    "clock_jumps",
    "key_replaced",
    "backup_restored",
)


class Waits:
    """Knows since when each gateway is well and has room, and since when each job is queued."""

    def __init__(self, world: World, rows: Rows, settings: Settings) -> None:
        self._world, self._rows = world, rows
        self.settings = settings  # as they are now: keys are replaced
        self.gateways: Gateways
        self._unfit_at: dict[str, float] = {}
        self._queued_at: dict[str, float] = {}
        self._hindered_at = 0.0
        self._hindrances = 0

    def down_until(self, end: float) -> None:
        """Nothing of the service runs until then."""
        self._hindered_at = end

    def troubled(self, provider: str) -> None:
        """An order has just come to something else than an acceptance."""
        self._unfit_at[provider] = self._world.now

    def changed(self, old: JobRow | None, job: JobRow) -> None:
        """A job's row has just been written."""
        if job.state == State.QUEUED and (old is None or old.state != State.QUEUED):
            self._queued_at[job.id] = self._world.now
        if job.state == State.QUEUED and (old is None or old.waiting != job.waiting) and job.waiting is not None:
            code = json.loads(job.waiting)["code"]
            if (code == ASKS) != self._rows.has_unread(job.id) and not (code == ASKS and self._is_named(job.id)):
                raise Violated("waits-truly", f"{job.id} says that it waits for {job.waiting}")

    def committed(self, keys: set[Key]) -> None:
        """What was written concerns these keys: whoever is full, owes too many answers or rests is not fit."""
        for provider, account in keys:
            if not self._has_room((provider, account)):
                self._unfit_at[provider] = self._world.now
        if keys:
            self._check_blame()

    def look(self) -> None:
        """At a look of the sweep: no job waits for longer than may be while a gateway of its route is fit."""
        now, struck = self._world.now, self._world.fate.struck
        hindrances = sum(struck[name] for name in HINDERS)
        if hindrances != self._hindrances:
            self._hindrances, self._hindered_at = hindrances, max(now, self._hindered_at)
        for name, account in self.settings.accounts.items():
            if self.gateways.illness(name) or not self._has_room((name, account.fingerprint)):
                self._unfit_at[name] = now
        self._check_asked(now)
        fit_since = {name: self._unfit_at.get(name, 0.0) for name in self.settings.accounts}
        if now - max(self._hindered_at, min(fit_since.values())) <= STRANDED_S:
            return
        clock = self._world.database_time().isoformat(timespec="microseconds")
        for job in self._rows.jobs.values():
            if job.state != State.QUEUED or job.start_by <= clock or job.cancel_requested_at:
                continue
            if job.is_aside:  # which has a time of its own
                self._queued_at[job.id] = now
                continue
            since = max(self._hindered_at, self._queued_at.get(job.id, now))
            fit = [n for n in self._route(job) if now - max(since, fit_since[n]) > STRANDED_S]
            if fit:
                said = f"{job.id} is queued for {now - since:.0f} s, with {fit} well since {fit_since}"
                raise Violated("not-stranded", said)

    def _check_blame(self) -> None:
        """Where several gateways rest as out of reach and none answers, it is the network: that is what they say."""
        clock = self._world.database_time().isoformat(timespec="microseconds")
        for name in ("submit", "query"):
            keys = [(provider, account.fingerprint) for provider, account in self.settings.accounts.items()]
            resting = [
                lane for key in keys if (lane := self._rows.lanes.get((key, name))) and (lane.until or "") > clock
            ]
            out = [lane for lane in resting if lane.reason in ("unreachable", "no_network")]
            if len(out) < 2 or all(lane.reason == "no_network" for lane in out):
                continue
            since = sorted(lane.since or "" for lane in out)[-2]
            if len(out) == len(keys) or not any(a.has_answered(since) for a in self._rows.attempts.values()):
                raise Violated("nobody-blamed", f"no gateway answers for {name} since {since}; some are blamed: {out}")

    def _check_asked(self, now: float) -> None:
        """A gateway that was silent is asked again while jobs wait for it."""
        if now - self._hindered_at <= HINDERED_S + ASKED_S:
            return
        long_ago, clock = (
            (self._world.database_time() - timedelta(seconds=s)).isoformat(timespec="microseconds")
            for s in (ASKED_S, 0)
        )
        for (key, name), lane in self._rows.lanes.items():
            overdue = (
                name == "submit" and lane.ask_at is not None and lane.ask_at < long_ago and (lane.until or "") > clock
            )
            waiting = [
                job.id
                for job in self._rows.jobs.values()
                if job.state == State.QUEUED
                and job.waits_for(key[0])
                and now - self._queued_at.get(job.id, now) > ASKED_S
            ]
            if overdue and waiting:
                raise Violated("asked-again", f"{key[0]} {name} was to be asked at {lane.ask_at}; {waiting} wait")

    def _is_named(self, job_id: str) -> bool:
        """Whether a person named the task of one of its orders."""
        return any(order.named_task_id for order in self._rows.attempts_of[job_id].values())

    def _has_room(self, key: Key) -> bool:
        settings, lane = self.settings, self._rows.lanes.get((key, "submit"))
        if settings.terms[key[0]].daily_usd is not None:  # whose day may be spent
            return False
        out = self._rows.out_at[key].values()
        unanswered = sum(a.accepted_at is None for a in out)
        room = len(out) < settings.max_in_flight and unanswered < settings.max_unconfirmed
        return room and (lane is None or lane.reason is None)

    def _route(self, job: JobRow) -> list[str]:
        """The gateways that may take a job; one that had an order of it may have refused it, or may have its task."""
        mine = self._rows.attempts_of[job.id].values()
        if any(attempt.is_open for attempt in mine):
            return []
        return [name for name in job.route(self.settings.accounts) if not _has_seen(name, mine)]


def _has_seen(provider: str, attempts: Iterable[AttemptRow]) -> bool:
    return any(a.provider == provider and a.outcome != AttemptOutcome.NOT_SENT for a in attempts)
