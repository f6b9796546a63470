"""What `rushes submit` does with requests: order them, follow the jobs to their ends, bring the videos home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.machine.states import ENDED
from rushes.cli.ordering import quoting
from rushes.cli.ordering.batches import KEY, Line
from rushes.cli.ordering.several import HOPELESS, Several
from rushes.cli.service import downloads, waiting
from rushes.cli.service.api import Api
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
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
    try:
        job = api.submit(request, key)
    except Failure as failure:
        if failure.code != failures.UNREACHABLE:
            raise
        hint = f"it may have been kept all the same; with --idempotency-key {key} the same command asks only once"
        raise Failure(str(failure), failure.code, hint=hint) from failure
    if not ending.as_json:
        output.plain(job["id"])
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
            downloads.bring(api, job, ending.folder, bars)


def order_all(api: Api, lines: Sequence[Line], ending: Ending, *, again: bool) -> None:
    """Order the video of each line. Prints jobs as JSON Lines, or their ids. Raises Failure.

    `again`: whether the same command, given again, asks for the same jobs.
    """
    several = Several()
    with Bars() as bars:
        jobs = _ordered(api, lines, ending, several, bars, again)
        if ending.wait:
            _follow(api, jobs, ending, several, bars)
    several.end()


def quote_all(api: Api, lines: Sequence[Line], *, as_json: bool) -> None:
    """What each line would cost, and all of them together; nothing is bought. Raises Failure."""
    several, quotes = Several(), list[tuple[Line, dict[str, Any]]]()
    with Bars() as bars, bars.open("asking", len(lines)) as advance:
        for line in lines:
            with several.one(f"line {line.number}"):
                quotes.append((line, api.quote(line.request)))
                if as_json:
                    output.as_json({"line": line.number, **quotes[-1][1]}, line=True)
            advance(1)
    if not as_json:
        quoting.show_all([(line.number, quote) for line, quote in quotes])
    several.end()


def _ordered(
    api: Api, lines: Sequence[Line], ending: Ending, several: Several, bars: Bars, again: bool
) -> dict[str, tuple[int, dict[str, Any]]]:
    """The jobs, by id, with their lines' numbers."""
    jobs: dict[str, tuple[int, dict[str, Any]]] = {}
    with bars.open("ordering", len(lines)) as advance:
        for line in lines:
            with several.one(f"line {line.number}"):
                try:
                    job = api.submit(line.request, line.key)
                except Failure as failure:
                    raise _stopped(failure, line, again) from failure
                jobs[job["id"]] = (line.number, job)
                if not ending.as_json:
                    output.plain(job["id"])
                elif not ending.wait:
                    output.as_json({**job, "line": line.number}, line=True)
            advance(1)
    output.note(f"{len(jobs)} of {output.counted(len(lines), 'request')} ordered")
    return jobs


def _stopped(failure: Failure, line: Line, again: bool) -> Failure:
    """A failure that ends the run tells how to go on; any other is its line's own."""
    if failure.code not in HOPELESS:
        return failure
    hint = "the same command goes on from there, and buys nothing twice"
    if not again:  # an answer may have been lost: the line may have its job
        hint = (
            f'go on with line {line.number}, with "{KEY}": "{line.key}" in it, so that nothing is bought twice;'
            " with --batch NAME the same command would do"
        )
    return Failure(f"line {line.number}: {failure}", failure.code, hint=hint)


def _follow(
    api: Api, jobs: Mapping[str, tuple[int, dict[str, Any]]], ending: Ending, several: Several, bars: Bars
) -> None:
    """To the end of each job; a video is brought home as soon as it is there."""
    with bars.open("waiting", len(jobs)) as advance:
        for job in api.watch(*jobs, timeout_s=ending.timeout_s):
            if not bars.live:
                waiting.note(job)
            if job["state"] not in ENDED:
                continue
            advance(1)
            if ending.as_json:
                output.as_json({**job, "line": jobs[job["id"]][0]}, line=True)
            with several.one(job["id"]):
                waiting.judge(job)
                if ending.folder:
                    downloads.bring(api, job, ending.folder, bars)
