"""The service: its processes with their parts, the broker between them, the sweep and the receiver."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sim_bucket import SimBucket, SimFetch, SimProber
from sim_client import SimClient
from sim_database import Backup, SimDatabase
from sim_gateways import CALLBACK_TRIES_S, Gateways
from sim_rules import Rules
from sim_world import BEGIN, Process, World

from jobs.machine.outcome import PostAnswer
from jobs.providers.client import Account
from jobs.providers.registry import on_terms
from jobs.settings import Settings, load
from jobs.steps import late_answers
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.query_budget import LONGEST_WAIT_S, QueryBudget
from jobs.steps.resources import Resources
from jobs.store.core import Core
from jobs.store.due import CLOCK_SET_BACK
from jobs.store.journal import Journal
from jobs.store.step_table import BY_NAME, NOTIFY, TRANSFER
from jobs.upkeep import restore
from jobs.worker import dispatch
from jobs.worker.sweep import Sweeper
from webhooks.receiver import Receiver, blueprint

PUBLIC_URL = "https://rushes.example"
NAMES = ("aivideoapi", "apiframe", "evolink", "easyrouter", "gravitex")
MESSAGE_LIFE_S = 60
ROLES = {TRANSFER.name: ("transfer-1", "transfer-2"), NOTIFY.name: ("notify",)}
WORKERS = ("worker-1", "worker-2")
TRIED_AT = (
    "coalesce((SELECT at FROM notice_tries WHERE notice_id = notices.id ORDER BY number DESC LIMIT 1), created_at)"
)
DUE = "CASE WHEN leased_until > alarm_at THEN leased_until ELSE alarm_at END"
LOOK_EVERY_S = 3_600  # once all is calm

# Lives of hours instead of days, and few polls in them.
NUMBERS = {
    "POLL_INTERVAL_S": 60,
    "OVERDUE_POLL_S": 300,
    "LATE_POLL_S": 1200,
    "START_WITHIN_S": 3600,
    "RESEND_UNIT_S": 5,  # an idempotency key lives two hours, as the gateway has it
    "RETRY_LONGEST_S": 600,
    "WORKER_SLOTS": 8,
    "NOTICE_UNIT_S": 0.05,
    "MAX_INBOX_ROWS": 6,
}


def settings_for_runs() -> Settings:
    """What all runs have in common, read as an operator's environment."""
    env = {f"RUSHES_{name}": str(value) for name, value in NUMBERS.items()}
    env |= {f"RUSHES_{name.upper()}_API_KEY": f"sk-first-{name}" for name in NAMES}
    env |= {
        "RUSHES_S3_BUCKET": "videos",
        "RUSHES_PUBLIC_URL": PUBLIC_URL,
        "RUSHES_CALLBACK_KEYS": "k1:0123456789abcdef0123456789abcdef",
        "RUSHES_NOTICE_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "RUSHES_APIFRAME_USD_PER_CREDIT": "0.005",
        "RUSHES_GRAVITEX_USD_PER_S": "720p=0.1",
    }
    return load(env)


class SimQueryBudget(QueryBudget):
    """A budget of queries that fate uses up now and then: the next slot is up to a minute away."""

    def __init__(self, world: World) -> None:
        self.world = world

    def slot(self, account: Account, per_s: float, job_id: str, *, urgent: bool, only: str = "") -> float:
        fate = self.world.fate
        return fate.between(0.001, LONGEST_WAIT_S) if fate.strikes("queries_rationed") else 0


class SimJournal(Journal):
    """A folder that outlives processes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kept: dict[tuple[str, int, int, datetime], tuple[float, PostAnswer]] = {}

    def keep(self, answer: PostAnswer) -> None:
        self.kept[self._of(answer)] = (self._world.now, answer)

    def sync(self, answer: PostAnswer) -> None:
        self._world.tell("answer in the journal", answer.job_id[-2:], answer.attempt)

    def drop(self, answer: PostAnswer) -> None:
        self.kept.pop(self._of(answer), None)

    def left(self, *, older_than_s: float) -> Iterator[PostAnswer]:
        old = self._world.now - older_than_s
        return iter([answer for kept_at, answer in self.kept.values() if kept_at <= old])

    def _of(self, answer: PostAnswer) -> tuple[str, int, int, datetime]:
        """Each POST has an entry: after a backup was put back another may bear the same numbers."""
        return answer.job_id, answer.attempt, answer.send, answer.left_at


class SimResources(Resources):
    """Holds are named by number, so that a seed's story is always the same."""

    def holder(self) -> str:
        self.ringer.holds += 1
        return f"{self.process}:{self.ringer.holds}"


class SimRinger:
    """The broker: messages wait, come late, twice or never."""

    def __init__(self, world: World, hear: Callable[[str, str], None]) -> None:
        self.world, self._hear = world, hear
        self.holds = 0
        self.waits: dict[int, str] = {}
        self.away_until = 0.0
        self._number = 0

    def ring(self, task: str, *job_ids: str) -> None:
        for job_id in job_ids:
            self._ring(task, job_id)

    def _ring(self, task: str, job_id: str) -> None:
        world, fate = self.world, self.world.fate
        world.effect("before a doorbell")
        if self.is_away() or fate.strikes("message_lost"):
            world.tell("doorbell lost", task)
            return
        late_s = fate.between(1, MESSAGE_LIFE_S + 5) if fate.strikes("message_late") else fate.between(0.001, 0.1)
        self._send(task, job_id, late_s)
        if fate.strikes("message_twice"):
            self._send(task, job_id, fate.between(0, 10))

    def sweep(self) -> None:
        raise AssertionError("steps ring for single rows")

    def waiting(self, task: str) -> int | None:
        return None if self.is_away() else sum(each == task for each in self.waits.values())

    def is_away(self) -> bool:
        fate, now = self.world.fate, self.world.now
        if now >= self.away_until and fate.strikes("broker_away"):
            self.away_until = now + fate.between(30, 1500)
        return now < self.away_until and not fate.calm

    def flush(self) -> None:
        self.waits.clear()

    def _send(self, task: str, job_id: str, late_s: float) -> None:
        self._number += 1
        number = self._number
        self.waits[number] = task

        def arrive() -> None:
            if self.waits.pop(number, None) is not None and late_s < MESSAGE_LIFE_S:
                self._hear(task, job_id)

        self.world.after(late_s, arrive)


class SimSession:
    """The pipeline's end of a notice."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._away_until = 0.0

    def post(self, url: str, **_: Any) -> SimSession:
        world, fate = self.world, self.world.fate
        world.effect("while a notice is sent", 0.2)
        if fate.strikes("pipeline_away"):
            self._away_until = world.now + fate.between(1_800, 20_000)
        if world.now < self._away_until and not fate.calm:
            raise ConnectionRefusedError
        self.status_code = 503 if fate.strikes("notice_refused") else 200
        self.headers: dict[str, str] = {}
        if fate.strikes("notice_unanswered"):
            raise ConnectionResetError
        return self

    def __enter__(self) -> SimSession:
        return self

    def __exit__(self, *_: object) -> None: ...


@dataclass
class _Proxy:
    """The receiver is built once; its ringer is the present run's."""

    ringer: SimRinger | None = None

    def ring(self, task: str, job_id: str) -> None:
        assert self.ringer is not None
        self.ringer.ring(task, job_id)

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int | None:
        return None


class House:
    """What outlives a run: engine and tables, settings, the receiver's app."""

    def __init__(self, database: SimDatabase) -> None:
        self.database = database
        self.settings = settings_for_runs()
        self.providers = on_terms(self.settings.terms)
        self.bell = _Proxy()
        app = Flask("receiver")
        receiver = Receiver(self.settings, self.providers, self.database, self.bell, wait=self._wait)
        app.register_blueprint(blueprint(receiver))
        self.app = app

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        """In the time of the run: whoever is waited for goes on meanwhile."""
        world = self.database.world
        end = world.now + seconds
        while not event.is_set() and world.now < end:
            world.effect("during a pause", 0.05)
        return event.is_set()

    def client(self) -> FlaskClient:
        return self.app.test_client()


class Service:
    """One installation in one run."""

    def __init__(self, world: World, house: House, settings: Settings) -> None:
        self.world, self.house, self.settings = world, house, settings
        self.database = house.database
        self.rules = Rules(world, house.database, settings)
        self.ringer = SimRinger(world, self._hear)
        house.bell.ringer = self.ringer
        self.gateways = self.rules.gateways = Gateways(world, self.call_back)
        self.bucket = self.rules.bucket = SimBucket(world)
        self.journal, self.pipeline = SimJournal(world), SimSession(world)
        self.rules.in_journal = lambda owner: any(key[:2] == owner for key in self.journal.kept)
        self.rules.losses.in_journal = lambda task: any(
            (kept.provider, kept.said.get("task_id")) == (task.provider, task.id)
            for kept in self.journal.left(older_than_s=0)
        )
        self.rules.waits.gateways = self.gateways
        self.gateways.unconfirmed = self.rules.unconfirmed
        self.rules.lives.has_key = lambda name, key: self.settings.account_of(name, key) is not None
        names = ("web", "sweep", "operator", *WORKERS, *(name for role in ROLES.values() for name in role))
        self.processes = {name: Process(name) for name in names}
        self._resources: dict[str, tuple[Process, Resources]] = {}
        self._sweeper: tuple[Resources, Sweeper] | None = None
        self.calm_at: float | None = None
        self._looked_at = -10.0
        self._next_look: float | None = None
        self._is_stale = True
        self.after_commit: Callable[[], None] = lambda: None
        world.ended = self.rules.ended
        self.database.begin_run(world, self.committed)

    def committed(self) -> None:
        self._is_stale = True
        self.rules.committed()
        self.after_commit()

    def clock_moved(self) -> None:
        self._is_stale = True

    def restored(self, backup: Backup, taken_at: float, as_of: datetime) -> None:
        """A backup from `taken_at` is put back, and said to be one. Orders made since are not in it."""
        self.database.put_back(backup)
        self.rules.restored(taken_at, is_told=True)
        fate, was_calm = self.world.fate, self.world.fate.calm
        fate.calm = True  # an operator who sees it fail puts the backup back once more
        restore.restored(self._build(self.processes["sweep"]), as_of=as_of)
        fate.calm = was_calm
        self._is_stale = True

    def failed_over(self, backup: Backup, taken_at: float) -> None:
        """A replica that had come as far as `taken_at` takes the database's place, and nobody is told."""
        self.database.put_back(backup)
        self.rules.restored(taken_at, is_told=False)
        self._is_stale = True

    @property
    def core(self) -> Core:
        """What the web process takes jobs in with."""
        return Core(settings=self.settings, providers=self.house.providers, database=self.database, ringer=self.ringer)

    def resources(self, process: Process) -> Resources:
        """A process's parts; new ones once it has died."""
        found = self._resources.get(process.name)
        if found is None or found[1].stopping.is_set() or process.is_new:
            process.is_new = False
            found = self._resources[process.name] = (process, self._build(process))
        return found[1]

    def use(self, settings: Settings) -> None:
        """New settings, in every process at once."""
        self.settings = self.rules.waits.settings = settings
        for _, resources in self._resources.values():
            resources.settings = settings

    def _build(self, process: Process) -> Resources:
        world = self.world
        return SimResources(
            settings=self.settings,
            providers=self.house.providers,
            database=self.database,
            client=SimClient(world, self.gateways, self.rules),
            query_budget=SimQueryBudget(world),
            bulkheads=self._bulkheads(),
            ringer=self.ringer,
            session=self.pipeline,  # type: ignore[arg-type]
            bucket=self.bucket,
            journal=self.journal,
            prober=SimProber(world, self.gateways),
            process=process.name,
            spool_dir=Path("nowhere"),
            fetch=SimFetch(world, self.gateways, self.bucket),
            monotonic=lambda: world.now,
            pause=lambda seconds: world.effect("during a pause", seconds),
            jitter=lambda seconds: seconds * world.fate.between(0.9, 1.1),
            stopping=threading.Event(),
        )

    def _bulkheads(self) -> Bulkheads:
        settings = self.settings
        return Bulkheads(settings.worker_slots, most_submits=settings.max_unconfirmed, monotonic=lambda: self.world.now)

    def run(self, process: Process, step: str, job_id: str) -> None:
        """One step in one process, as its task runs it."""
        resources = self.resources(process)

        def run() -> None:
            turn: str | None = job_id
            while turn is not None:
                turn = dispatch.guarded(BY_NAME[step], turn, resources)

        self.world.start(process, f"{step} {job_id[-2:]}", run)

    def _hear(self, task: str, job_id: str) -> None:
        """A doorbell arrives at a process of its role."""
        up = [self.processes[name] for name in ROLES.get(task, WORKERS) if self.processes[name].up]
        if not up:
            self.world.after(5, lambda: self._hear(task, job_id))
            return
        process = self.world.fate.one_of(up)
        self.run(process, task, job_id)
        if self.world.fate.strikes("worker_told_to_stop"):
            self.world.tell("told to stop", process.name)
            self.resources(process).stopping.set()

    def next_look(self) -> float | None:
        """When the sweep next finds something due, on its own rhythm; None: nothing will ever be."""
        if self._is_stale:
            self._is_stale = False
            self._next_look = self._first_due()
        if self._next_look is None:
            return None
        latest = self._looked_at + (math.inf if self.calm_at is None else LOOK_EVERY_S)  # at what sleeps too long
        return max(min(self._next_look, latest), self._looked_at + self.settings.sweep_interval_s)

    def _first_due(self) -> float | None:
        clock = self.world.database_time()
        ahead, now = (t.isoformat(timespec="microseconds") for t in (clock + CLOCK_SET_BACK, clock))
        row = self.database.rows(
            f"SELECT min(CASE WHEN updated_at > ? THEN ? ELSE {DUE} END) FROM jobs WHERE alarm_at IS NOT NULL"
            f" UNION ALL SELECT min(CASE WHEN {TRIED_AT} > ? THEN ? ELSE {DUE} END) FROM notices"
            " WHERE alarm_at IS NOT NULL"
            " UNION ALL SELECT min(ask_at) FROM lanes WHERE lane = 'submit' AND until > ?"
            " AND EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND waiting IS NOT NULL)",
            *(ahead, now, ahead, now, now),
        )
        times = [each for (each,) in row if each is not None]
        return _seconds(min(times)) - self.world.clock_off_s if times else None

    def look(self) -> None:
        """A round of the sweep; where the broker is away, an operator may run what is due in place."""
        world, process = self.world, self.processes["sweep"]
        self._looked_at = self._next_look = world.now
        self._is_stale = True
        if self.calm_at is not None:
            self.rules.served(self.calm_at)
        self.rules.waits.look()
        if world.fate.strikes("beat_away"):
            self._looked_at += world.fate.between(30, 900)
            world.tell("nobody sweeps", round(self._looked_at))
            return
        if not process.up:
            return
        for worker in (self.processes[name] for name in WORKERS if self.journal.kept):
            if worker.up:
                world.start(worker, "journal", partial(late_answers.bring, self.resources(worker)))
        resources = self.resources(process)
        if self._sweeper is None or self._sweeper[0] is not resources:
            self._sweeper = (resources, Sweeper(resources))
        sweeper = self._sweeper[1]
        in_place = self.ringer.is_away() and world.fate.chance(0.1)
        work: Callable[[], Any] = sweeper.once
        if in_place:
            work = lambda: dispatch.run_in_place(resources)  # noqa: E731
        world.start(process, "sweep --once" if in_place else "sweep", work)

    def call_back(self, url: str, body: bytes, headers: Mapping[str, str], delay: float, tries: int = 0) -> None:
        """A gateway posts a callback; it tries again as gateways do."""

        def post() -> None:
            process = self.processes["web"]
            answers: list[int] = []

            def receive() -> None:
                path = url.removeprefix(PUBLIC_URL)
                self.world.effect("before a callback", 0.01)
                answers.append(self.house.client().post(path, data=body, headers=dict(headers)).status_code)
                self.world.tell("callback answered", answers[-1], path[:60])
                self.rules.check("no-step-raises", answers[-1] != 500, "the receiver raised")

            actor = self.world.start(process, "callback", receive) if process.up else None

            def again() -> None:
                given_up = tries + 1 >= len(CALLBACK_TRIES_S)
                if not given_up and (not answers or answers[-1] >= 500) and (actor is None or actor.done):
                    self.call_back(url, body, headers, CALLBACK_TRIES_S[tries + 1], tries + 1)

            self.world.after(5, again)

        self.world.after(delay, post)

    def forge(self, path: str, body: bytes) -> None:
        """A callback under a token that nobody minted; it must be refused before anything can happen."""
        before = self.database.writes
        status = self.house.client().post(path, data=body).status_code
        self.world.tell("forged callback", status)
        self.rules.forged(before, status)


def _seconds(moment: str) -> float:
    return (datetime.fromisoformat(moment) - BEGIN).total_seconds()
