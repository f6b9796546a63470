"""The Celery app of workers and beat, and what starts and ends with them."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from typing import Any

from celery import signals
from celery.worker import state

from jobs import logs
from jobs.broker import working_app
from jobs.errors import BadSettings, NoWayOut, StoreUnfit
from jobs.settings import load
from jobs.store import heartbeats
from jobs.store.database import Database

FAILED_START = 1  # the exit status

try:
    settings = load()
except BadSettings as e:
    raise SystemExit(f"These settings keep Rushes from starting:\n{e}") from e

logs.hide(settings.secrets)
app = working_app(settings)


@signals.setup_logging.connect(weak=False)
def set_up_logging(**_: Any) -> None:
    logs.configure()


@signals.celeryd_after_setup.connect(weak=False)
def start_parts(sender: str, **_: Any) -> None:
    from jobs.worker import process, tasks  # noqa: F401 - here: beat needs neither, nor what they import

    def end(why: StoreUnfit) -> None:
        """End as a start that fails, once the steps that run have ended: of an order under way no answer is lost."""
        sys.stderr.write(f"{why}\n")
        sys.stderr.flush()
        process.stop()
        state.should_stop = FAILED_START

    @signals.worker_shutting_down.connect(weak=False)
    def ask_steps_to_stop(**_: Any) -> None:
        process.stop()

    @signals.worker_shutdown.connect(weak=False)
    def close_parts(**_: Any) -> None:
        process.close()
        gc.freeze()  # else the interpreter looks for cycles in all that was imported before it ends: 0.3 s for nothing

    try:
        process.start(settings, app, role=sender.partition("@")[0], unfit=end)
    except StoreUnfit as e:
        raise SystemExit(str(e)) from e
    except NoWayOut as e:
        raise SystemExit(f"This worker does not start: {e}") from e


@signals.beat_init.connect(weak=False)
def say_that_beat_lives(**_: Any) -> None:
    database = Database(settings.database_url, threads=1)
    name = heartbeats.process_name("beat")

    def run() -> None:
        pause = threading.Event()
        while True:
            with contextlib.suppress(Exception):  # whatever the database says: the next one tells
                heartbeats.beat(database, name, "beat")
            pause.wait(settings.sweep_interval_s)

    threading.Thread(target=run, name="heartbeat", daemon=True).start()
