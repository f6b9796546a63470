"""The steps in one process: real database, real bucket, real gateways' stand-ins; the doorbells are a list."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from served import Served, serve_app

from jobs.intake import new_jobs
from jobs.machine.case import Case
from jobs.machine.states import State
from jobs.providers.client import Account, ProviderClient
from jobs.providers.registry import PROVIDERS, on_terms
from jobs.settings import Settings, load
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.query_budget import QueryBudget
from jobs.steps.resources import Resources
from jobs.store import cases, history
from jobs.store.core import Core
from jobs.store.database import Database
from jobs.store.journal import Journal
from jobs.store.step_table import OF_JOBS
from jobs.worker import dispatch
from storage.bucket import Bucket
from storage.outbound.guard import guarded_session
from storage.proof.probe import Prober
from webhooks.receiver import Receiver, blueprint

SILENT_VALKEY = "redis://127.0.0.1:1/0"  # nobody listens there: budgets fall back to this process
RUN = {step.name: dispatch.runner(step) for step in OF_JOBS}


@dataclass
class Bells:
    """A ringer whose messages wait until a test delivers, doubles or loses them."""

    rung: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ring(self, task: str, *job_ids: str) -> None:
        with self.lock:
            self.rung += [(task, job_id) for job_id in job_ids]

    def sweep(self) -> None:
        self.ring("jobs.sweep", "")

    def waiting(self, task: str) -> int:
        return sum(t == task for t, _ in self.rung)

    def take(self) -> list[tuple[str, str]]:
        with self.lock:
            taken, self.rung[:] = list(self.rung), []
        return taken


class Workshop:
    """Makes jobs, and runs the steps that their rows ask for."""

    def __init__(
        self,
        database: Database,
        bucket: Bucket,
        prober: Prober,
        ca_file: str,
        sandbox_url: str,
        folder: Path,
        **numbers: Any,
    ):
        self.bells = Bells()
        self.receiver_url: str | None = None
        self.env = env = {
            "RUSHES_DATA_DIR": str(folder),
            "RUSHES_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "RUSHES_REDIS_URL": SILENT_VALKEY,
            "RUSHES_S3_ENDPOINT_URL": str(bucket.config.endpoint_url),
            "RUSHES_S3_BUCKET": bucket.config.bucket,
            "RUSHES_S3_PREFIX": bucket.config.prefix,
            "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
            "RUSHES_CALLBACK_KEYS": "k1:0123456789abcdef0123456789abcdef",
            "RUSHES_POLL_INTERVAL_S": "0.05",
        }
        for name in PROVIDERS:
            env[f"RUSHES_{name.upper()}_API_KEY"] = "afk_sandbox" if name == "apiframe" else "sk-sandbox"
            env[f"RUSHES_{name.upper()}_BASE_URL"] = f"{sandbox_url}/{name}"
        env |= {f"RUSHES_{name.upper()}": str(value) for name, value in numbers.items()}
        self.settings: Settings = load(env)
        self.database, self.bucket = database, bucket
        self.resources = Resources(
            settings=self.settings,
            providers=on_terms(self.settings.terms),
            database=database,
            client=ProviderClient(allow_private=True, ca_file=ca_file, tallies=database.tallies),
            query_budget=QueryBudget(SILENT_VALKEY),
            bulkheads=Bulkheads(self.settings.worker_slots),
            ringer=self.bells,
            session=guarded_session(allow_private=True),
            bucket=bucket,
            journal=Journal(folder / "journal"),
            prober=prober,
            process="test",
            spool_dir=folder,
        )

    def another_worker(self, **changes: Any) -> Resources:
        """Parts of a second worker on the same database."""
        return replace(self.resources, process="test-2", stopping=threading.Event(), **changes)

    def close(self) -> None:
        self.resources.client.close()
        self.resources.session.close()

    def receive_callbacks_at(self, url: str) -> None:
        self.settings = replace(self.settings, public_url=url)
        self.resources.settings = self.settings

    @property
    def core(self) -> Core:
        """As the web process has it, on the workshop's present settings; nobody hears its bells."""
        return Core(settings=self.settings, providers=self.resources.providers, database=self.database, ringer=Bells())

    def create(self, **request: Any) -> str:
        body = {"prompt": "A red fox runs through snow", "resolution": "720p", "duration": 2, **request}
        case, _ = new_jobs.create(body, self.core, api_key_id="test")
        return case.job.id

    def case(self, job_id: str) -> Case:
        with self.database.read() as db:
            return cases.read_case(db, job_id)

    def state(self, job_id: str) -> State:
        return self.case(job_id).job.state

    def history(self, job_id: str) -> list[str]:
        with self.database.read() as db:
            return [line["event"] for line in history.of_job(db, job_id)]

    def sweep(self) -> int:
        """One round of the sweep, in place; a test sends its notices itself."""
        return dispatch.run_in_place(self.resources, OF_JOBS)

    def until(self, job_id: str, *states: State, within_s: float = 20) -> Case:
        """Sweep until the job is in one of these states."""
        return self.await_(lambda: self._arrived(job_id, states), f"{job_id} in {states}", within_s, job_id)

    def _arrived(self, job_id: str, states: tuple[State, ...]) -> Case | None:
        self.sweep()
        case = self.case(job_id)
        return case if case.job.state in states else None

    def await_(self, condition: Callable[[], Any], what: str, within_s: float = 20, job_id: str = "") -> Any:
        end = time.monotonic() + within_s
        while not (found := condition()):
            said = f"{self.case(job_id)} {self.history(job_id)}" if job_id else ""
            assert time.monotonic() < end, f"not within {within_s} s: {what}. {said}"
            time.sleep(0.02)  # between two looks
        return found


class Ahead:
    """The database's clock, which a test turns on and back."""

    def __init__(self, workshop: Workshop) -> None:
        self._off = timedelta()
        now = workshop.database.clock
        workshop.database.clock = lambda db: now(db) + self._off

    def leap(self, seconds: float) -> None:
        self._off += timedelta(seconds=seconds)


def serve_receiver(workshop: Workshop) -> Served:
    """The receiver on a real port."""
    app = Flask("receiver")
    app.register_blueprint(blueprint(Receiver(workshop.settings, PROVIDERS, workshop.database, workshop.bells)))
    return serve_app(app)


def account(workshop: Workshop, provider: str) -> Account:
    return workshop.settings.accounts[provider]
