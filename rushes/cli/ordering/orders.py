"""What `rushes submit` does with one request: order it, follow the job to its end, bring the video home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rushes.cli.service import downloads, waiting
from rushes.cli.service.api import Api
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure, told_when_interrupted
from rushes.cli.terminal.progress import Bars


@dataclass(frozen=True)
class Ending:
    """How far jobs are followed. `folder`: where their videos are saved; None: they stay in the bucket."""

    wait: bool
    timeout_s: float | None
    folder: Path | None
    as_json: bool


def order(api: Api, request: Mapping[str, Any], key: str, ending: Ending) -> None:
    """Order one video. Prints the job as JSON, or its id. Raises Failure."""
    again = f"with --idempotency-key {key} the same command asks only once"
    with told_when_interrupted(lambda: f"it may have been ordered; {again}"):
        try:
            job = api.submit(request, key)
        except Failure as failure:
            if failure.code != failures.UNREACHABLE:
                raise
            hint = f"it may have been kept all the same; {again}"
            raise Failure(str(failure), failure.code, hint=hint) from failure
    if not ending.as_json:
        output.plain(job["id"])
    with told_when_interrupted(lambda: f"{waiting.goes_on(job['id'])}; {again}"):
        _end(api, job, ending)


def _end(api: Api, job: dict[str, Any], ending: Ending) -> None:
    """Follow a job as far as is wanted."""
    if ending.wait:
        job = waiting.follow(api, job["id"], timeout_s=ending.timeout_s, show=waiting.note)[job["id"]]
    if ending.as_json:
        output.as_json(job)
    if not ending.wait:
        return
    if job["video"] and not ending.as_json:
        output.note(f"s3://{job['video']['bucket']}/{job['video']['key']}")
    waiting.judge(job)
    if ending.folder:
        with Bars() as bars:
            downloads.bring(api, job, downloads.path_of(job["id"], ending.folder), bars)
