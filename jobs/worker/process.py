"""One working process: its parts, built once, and what lives beside its steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from celery import Celery

from jobs.errors import StoreUnfit
from jobs.ringer import CeleryRinger
from jobs.settings import Settings
from jobs.steps import late_answers, store_trial
from jobs.steps.resources import Resources
from jobs.store import heartbeats
from jobs.store.database import DatabaseUnavailable
from jobs.store.step_table import STEPS, slots
from jobs.store.tallied import Adding
from jobs.way_out import require_direct
from jobs.worker import trial
from jobs.worker.bootstrap import worker_resources
from jobs.worker.crew import Crew
from jobs.worker.sweep import Sweeper
from jobs.worker.watchdog import Watchdog
from storage.spool import has_room

SWEEP = "sweep"  # the role of the process that sweeps
TRANSFER = "transfer"  # and of the one that keeps films on its disk while it copies them
PAYS_OR_FETCHES = frozenset({"worker", TRANSFER})  # the one spends money on videos, the other fetches and puts them
JOURNAL_LOOK_S = 1  # between two looks into a folder that is nearly always empty
SWEEP_MISSING = 3  # intervals without a sweep, until the sweep process looks by itself

log = structlog.get_logger()


@dataclass(frozen=True)
class Working:
    """What the tasks of a worker reach for."""

    resources: Resources
    crew: Crew
    sweeper: Sweeper
    watchdog: Watchdog
    adding: Adding


_working: Working | None = None


def start(settings: Settings, app: Celery, role: str, *, unfit: Callable[[StoreUnfit], None]) -> Working:
    """Build this process's parts and start its watchdog; the sweep process also minds a missing beat.

    A process that orders or copies raises NoWayOut where a proxy is its only way, StoreUnfit where the store refuses
    videos. `unfit` is told where such a store answers later.
    """
    global _working
    if role in PAYS_OR_FETCHES:
        require_direct(settings)
    resources = worker_resources(settings, CeleryRinger(app), role)
    if role in PAYS_OR_FETCHES:
        _try_store(resources, role, unfit)
    dog = Watchdog(
        resources.database,
        resources.process,
        role,
        {step.name: step.limit_s(settings) for step in STEPS},
        interval_s=settings.sweep_interval_s,
    )
    adding = Adding(resources.database, settings.sweep_interval_s)
    _working = Working(resources, Crew(slots(role, settings)), Sweeper(resources), dog, adding)
    dog.start()
    threading.Thread(target=_mind_journal, args=(resources,), name="mind-journal", daemon=True).start()
    if role == TRANSFER:
        threading.Thread(target=_mind_spool, args=(resources,), name="mind-spool", daemon=True).start()
    if role == SWEEP:
        threading.Thread(target=_mind_beat, args=(_working,), name="mind-beat", daemon=True).start()
    return _working


def working() -> Working:
    """This process's parts. Only a worker has them."""
    if _working is None:
        raise RuntimeError("This process is no worker; start one with the Procfile's commands.")
    return _working


def stop() -> None:
    """Ask the steps that run to stop where they can: their jobs are due for others at once."""
    if _working is not None:
        _working.resources.stopping.set()
        _working.watchdog.stop()


def close() -> None:
    """Let go of what outlives the threads."""
    if _working is not None:
        _working.crew.close()
        _working.adding.close()
        _working.resources.prober.close()
        _working.resources.client.close()
        _working.resources.database.close()


def _try_store(resources: Resources, role: str, unfit: Callable[[StoreUnfit], None]) -> None:
    name = f"start-{role}"
    passes = partial(store_trial.require, resources.bucket, name) if role == TRANSFER else partial(trial.require, name)
    if not passes():
        waiting = (passes, resources.stopping, unfit)
        threading.Thread(target=store_trial.await_answer, args=waiting, name="await-store", daemon=True).start()


def _mind_journal(resources: Resources) -> None:
    """Bring answers that the database could not take, as soon as it can, whoever of this folder left them."""
    while True:
        try:
            late_answers.bring(resources)
        except Exception:  # this thread outlives whatever an entry may hold
            log.exception("journal_not_brought")
        if resources.stopping.wait(JOURNAL_LOOK_S):
            return


def _mind_spool(resources: Resources) -> None:
    """Say for as long as no film has room on this process's disk, to who answers for the readiness of all."""
    name = heartbeats.process_name("spool")
    while True:
        try:
            if not has_room(resources.spool_dir):
                heartbeats.beat(resources.database, name, heartbeats.SPOOL_FULL)
        except DatabaseUnavailable as e:
            log.warning("database_unavailable", reason=str(e))
        except Exception:  # this thread outlives whatever a disk may say
            log.exception("spool_not_looked_at")
        if resources.stopping.wait(resources.settings.sweep_interval_s):
            return


def _mind_beat(process: Working) -> None:
    resources = process.resources
    interval_s = resources.settings.sweep_interval_s
    while not resources.stopping.wait(interval_s):
        try:
            with resources.database.read() as db:
                age_s = heartbeats.last_seen_s(db, resources.database).get(heartbeats.SWEPT)
            if age_s is None or age_s > SWEEP_MISSING * interval_s:
                log.warning("sweeping_without_beat", last_sweep_s=age_s)
                process.sweeper.run(for_s=interval_s)
        except DatabaseUnavailable as e:
            log.warning("database_unavailable", step="jobs.sweep", reason=str(e))
        except Exception:  # this thread outlives whatever a sweep may meet
            log.exception("sweep_raised")
