"""`rushes audit`: whether everything that was accepted is accounted for, in the database and in the bucket."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from jobs import logs
from jobs.broker import ringing_app
from jobs.machine.error_codes import FINDINGS
from jobs.machine.states import ENDED, State
from jobs.ringer import CeleryRinger
from jobs.upkeep import audit, repair
from jobs.upkeep.audit import Report
from jobs.worker.bootstrap import worker_resources
from rushes.cli import machine, options
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.cli.terminal.output import Colored
from storage.errors import BucketUnavailable

ROLE = "audit"  # how its leases would be signed
SAY_EVERY_S = 5


@click.command()
@click.option("--repair", "repairs", is_flag=True, help="Put right what can be put right without guessing.")
@click.option(
    "--deep", is_flag=True, help="Read every video and compare its SHA-256; without it, the store's word counts."
)
@options.data_dir
@options.as_json
def command(repairs: bool, deep: bool, data_dir: Path, as_json: bool) -> None:
    """Hold the account of all jobs, and the database against the bucket, both ways.

    Every accepted job is archived, failed, cancelled or live, and each live one has an alarm or a holder. The service
    may go on working meanwhile. Exit status 0 if all of it balances or was repaired, 1 if something is left, 8 if the
    database or the bucket does not answer.

    --repair sets lost alarms, lets jobs adopt videos that are in the bucket, builds lost jobs again from video and
    sidecar, writes missing sidecars and posters, and counts spending again. It deletes nothing, overwrites no video and
    says nothing about money.
    """
    settings = machine.settings_for_work(data_dir)
    logs.configure("WARNING")
    with machine.database(settings):
        pass  # reachable, and at this version
    resources = worker_resources(settings, CeleryRinger(ringing_app(settings)), ROLE)
    mend = partial(repair.repair, resources=resources) if repairs else audit.leave
    try:
        with machine.told():
            report = audit.audit(resources, deep=deep, repair=mend, say=_progress())
    except BucketUnavailable as error:
        hint = (
            "RUSHES_S3_ENDPOINT_URL and RUSHES_S3_BUCKET say where it is; `rushes up` starts the one of a data folder"
        )
        raise Failure(f"the bucket cannot be used: {error}", failures.UNREACHABLE, hint=hint) from error
    finally:
        resources.prober.close()
        resources.client.close()
        resources.database.close()
    if as_json:
        output.as_json(_told(report))
    else:
        _show(report)
    if not report.balances:
        sys.exit(failures.FAILED)


def _progress() -> Callable[[str], None]:
    """Says how far it is, at most every few seconds: a small audit is over before."""
    said_at = time.monotonic()

    def say(text: str) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= SAY_EVERY_S:
            said_at = time.monotonic()
            output.note(f"{text} …")

    return say


def _told(report: Report) -> dict[str, Any]:
    states = {state.value: count for state, count in sorted(report.balance.states.items())}
    return {
        "balances": report.balances,
        "account": {"accepted": report.balance.accepted, "live": report.balance.live, "states": states},
        "looked_at": {"jobs": report.jobs, "objects": report.objects, "in_other_buckets": report.unchecked},
        "counts": dict(report.counts),
        "left": report.left,
        "findings": [
            {"code": found.code, "job_id": found.job_id, "key": found.key, "detail": found.detail, "done": done}
            for found, done in report.findings
        ],
    }


def _show(report: Report) -> None:
    states = report.balance.states
    ended = ", ".join(f"{states.get(state, 0)} {state}" for state in State if state in ENDED)
    output.note(f"accepted {report.balance.accepted} = {ended}, {report.balance.live} live")
    output.note(f"looked at {report.jobs} jobs and {report.objects} objects")
    if report.unchecked:
        output.note(f"{report.unchecked} videos are in another bucket, and were not looked at")
    if report.findings:
        rows = [[each.code, each.job_id, each.detail, _then(each.code, done)] for each, done in report.findings]
        output.table(["finding", "job", "what was found", "done, or to do"], rows)
    if (more := sum(report.counts.values()) - len(report.findings)) > 0:
        output.note(f"and {more} more")
    output.note("it balances" if report.balances else f"it does not balance: {report.left} left")


def _then(code: str, done: str | None) -> Colored:
    return Colored(done, "green") if done else Colored(FINDINGS[code].then, "yellow")
