"""`rushes sweep --once`: the due steps in this process, for cron and for days without Valkey."""

from __future__ import annotations

from pathlib import Path

import click

from jobs import logs
from jobs.broker import ringing_app
from jobs.errors import NoWayOut
from jobs.ringer import CeleryRinger
from jobs.store import tallied
from jobs.way_out import require_direct
from jobs.worker.bootstrap import worker_resources
from jobs.worker.dispatch import run_in_place
from rushes.cli import machine, options
from rushes.cli.terminal import output
from rushes.cli.terminal.failures import Failure

ROLE = "sweep-once"  # how its leases are signed


@click.command()
@click.option("--once", is_flag=True, required=True, help="Run what is due now, then end.")
@options.data_dir
@options.as_json
def command(once: bool, data_dir: Path, as_json: bool) -> None:
    """Run every step that is due, here and now, without Celery."""
    settings = machine.settings_for_work(data_dir)
    logs.configure("WARNING")
    logs.hide(settings.secrets)
    with machine.database(settings):
        pass  # reachable, and at this version
    try:
        require_direct(settings)
    except NoWayOut as error:
        raise Failure(str(error)) from error
    resources = worker_resources(settings, CeleryRinger(ringing_app(settings)), ROLE)
    try:
        with machine.told():
            ran = run_in_place(resources)
            tallied.add(resources.database)
    finally:
        resources.prober.close()
        resources.client.close()
        resources.database.close()
    if as_json:
        output.as_json({"ran": ran})
    else:
        output.note(f"{ran} {'step' if ran == 1 else 'steps'} ran")
