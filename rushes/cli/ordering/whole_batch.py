"""Following a batch to the end of its last job, for `rushes jobs watch --batch`."""

from __future__ import annotations

import math
import time
from typing import Any

from jobs.machine.states import ENDED
from rushes.cli.ordering import summing
from rushes.cli.ordering.many import LOOK_EVERY_S
from rushes.cli.service import waiting
from rushes.cli.service.api import Api
from rushes.cli.service.batch_looks import BatchLooks
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure, told_when_interrupted
from rushes.cli.terminal.progress import Bars


def follow(api: Api, name: str, *, timeout_s: float | None, as_json: bool) -> dict[str, dict[str, Any]]:
    """All jobs of the batch at their ends, by id; then its sum is told. Raises Failure, also when time is up."""
    told = api.batch(name)
    looks, end = BatchLooks(api, name), math.inf if timeout_s is None else time.monotonic() + timeout_s
    back = told_when_interrupted(lambda: f"it goes on without us: `rushes jobs watch --batch {name}`")
    with back, Bars() as bars, bars.open(name, told["jobs"], words=lambda count: f"{count:g} jobs") as ended:
        while True:
            over = {job_id for job_id, job in looks.jobs.items() if job["state"] in ENDED}
            for job in looks.look():
                if as_json:
                    output.as_json(job, line=True)
                elif not bars.live:
                    waiting.note(job)
                if job["state"] in ENDED and job["id"] not in over:
                    ended(1)
            if looks.is_over:
                break
            if time.monotonic() >= end:
                raise _timed_out(looks, name, timeout_s)
            api.pause(LOOK_EVERY_S)
    output.note(summing.of_batch(api.batch(name)))
    return looks.jobs


def _timed_out(looks: BatchLooks, name: str, timeout_s: float | None) -> Failure:
    states = summing.in_states(job["state"] for job in looks.jobs.values())
    hint = f"it goes on without us: `rushes jobs watch --batch {name}`"
    return Failure(f"{name}: {states} after {timeout_s:g} s", failures.TIMED_OUT, hint=hint)
