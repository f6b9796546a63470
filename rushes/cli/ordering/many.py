"""What `rushes submit --file` does with a batch: say what it will buy, order, follow, bring the videos home, sum up."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jobs.machine.states import ENDED
from rushes.cli.ordering import batches, quoting, summing
from rushes.cli.ordering.batches import Line
from rushes.cli.ordering.filenames import BadPattern, Pattern
from rushes.cli.ordering.orders import Ending
from rushes.cli.ordering.several import HOPELESS, Several
from rushes.cli.service import downloads, parallel, waiting
from rushes.cli.service.api import Api
from rushes.cli.service.batch_looks import BatchLooks
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure, told_when_interrupted
from rushes.cli.terminal.progress import Bars

LOOK_EVERY_S = 2.0  # at the batch
DOWNLOADS_AT_ONCE = 3

Quoted = tuple[Line, dict[str, Any]]
Queue = deque[tuple[Any, Future[Any]]]
Named = TypeVar("Named")
Result = TypeVar("Result")


def check_names(lines: Sequence[Line], pattern: Pattern) -> None:
    """Raises Failure where a line has not what its file's name is made of, or two would have one name."""
    taken, faults = dict[Path, int](), list[str]()
    for line in lines:
        try:
            path = pattern.path(line.request, line=line.number)
        except BadPattern as error:
            faults.append(f"line {line.number}: {error}")
            continue
        if "{id" not in pattern.text and (first := taken.setdefault(path, line.number)) != line.number:
            faults.append(f"line {line.number}: its video would be called {path}, as that of line {first}")
    if faults:
        more = len(faults) - batches.MOST_FAULTS
        told = faults[: batches.MOST_FAULTS] + ([f"and {more:,} more"] if more > 0 else [])
        raise Failure("\n".join(told), failures.USAGE, hint="nothing was sent; {id} in --name is another for each")


def quote_all(api: Api, lines: Sequence[Line], *, as_json: bool) -> None:
    """What each line would cost, and all of them together; nothing is bought. Raises Failure."""
    several = Several()
    with Bars() as bars:
        quotes = _quoted(api, lines, several, bars, as_json=as_json)
    if not as_json:
        quoting.show_all([(line.number, quote) for line, quote in quotes])
    several.end()


def order_all(api: Api, lines: Sequence[Line], batch: str, ending: Ending, pattern: Pattern) -> None:
    """Order the video of each line. Prints jobs as JSON Lines, or their ids. Raises Failure."""
    several, begun = Several(), time.monotonic()
    back = f"what was ordered goes on; the same command with --batch {batch} comes back to it, and buys nothing twice"
    with told_when_interrupted(lambda: back), Bars() as bars:
        quotes = _quoted(api, lines, several, bars, as_json=False)
        new = [quote for _, quote in quotes if quote["made"] is None]
        there = f"; {len(quotes) - len(new)} are made already" if len(new) < len(quotes) else ""
        output.note(f"{len(new)} of {output.counted(len(lines), 'request')} to be bought: {quoting.total(new)}{there}")
        run = _Run(api, batch, ending, pattern, several, bars)
        run.all([line for line, _ in quotes])
    output.note(run.summary(time.monotonic() - begun))
    several.end()


def _quoted(api: Api, lines: Sequence[Line], several: Several, bars: Bars, *, as_json: bool) -> list[Quoted]:
    """The lines that the service would take, with their quotes; those that it refuses are told."""
    quotes = list[Quoted]()
    with bars.open("asking", len(lines)) as advance:
        for line, found in parallel.in_order(lambda line: api.quote(line.request, line.key), lines):
            with several.one(f"line {line.number}"):
                quotes.append((line, found.result()))
                if as_json:
                    output.as_json({"line": line.number, **quotes[-1][1]}, line=True)
            advance(1)
    return quotes


@dataclass
class _Run:
    """One run of a batch: its jobs as they are known, by id, and the lines that asked for them."""

    api: Api
    batch: str
    ending: Ending
    pattern: Pattern
    several: Several
    bars: Bars
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)  # that have not ended, as far as they are followed
    broken_off: threading.Event = field(default_factory=threading.Event)

    def all(self, lines: Sequence[Line]) -> None:
        """Order, and as far as is wanted follow to the end. Videos are brought home while others are still ordered."""
        looks = BatchLooks(self.api, self.batch)
        now = look_at = time.monotonic()
        end = math.inf if self.ending.timeout_s is None else now + self.ending.timeout_s
        with (
            self.bars.open("ordering", len(lines)) as ordered,
            self.bars.open("waiting", len(lines)) as arrived,
            parallel.pool(parallel.AT_ONCE) as ordering,
            parallel.pool(DOWNLOADS_AT_ONCE) as bringing,
            self._breaking_off(),
        ):
            asked = deque((line, ordering.submit(self.api.submit, line.request, line.key)) for line in lines)
            brought = deque[tuple[str, Future[None]]]()
            while True:
                for line, order in _done(asked):
                    ordered(1)
                    self._take(line, order)
                for job_id, film in _done(brought):
                    with self.several.one(job_id):
                        film.result()
                if self.left and time.monotonic() >= look_at:
                    for job in self._ended(looks):
                        arrived(1)
                        if self._judge(job) and self.ending.folder:
                            brought.append((job["id"], bringing.submit(self._bring, job, self.ending.folder)))
                    look_at = time.monotonic() + LOOK_EVERY_S
                if not asked and not brought and not self.left:
                    return
                if time.monotonic() >= end:
                    raise self._timed_out()
                self._rest(asked, brought, min(end, look_at if self.left else math.inf) - time.monotonic())

    @contextmanager
    def _breaking_off(self) -> Iterator[None]:
        """Whatever ends the run early ends its downloads: what has come is kept, and gone on with another time."""
        try:
            yield
        except BaseException:
            self.broken_off.set()
            raise

    def _rest(self, asked: Queue, brought: Queue, seconds: float) -> None:
        """Until the next order or video has come, or so long at most."""
        first = [futures[0][1] for futures in (asked, brought) if futures]
        if first:
            wait(first, timeout=None if seconds == math.inf else max(0.0, seconds), return_when=FIRST_COMPLETED)
        else:
            self.api.pause(max(0.0, seconds))

    def _take(self, line: Line, order: Future[dict[str, Any]]) -> None:
        """An order's answer."""
        with self.several.one(f"line {line.number}"):
            try:
                job = order.result()
            except Failure as failure:
                raise _stopped(failure, line, self.batch) from failure
            self.jobs[job["id"]], self.lines[job["id"]] = job, line
            if self.ending.wait:
                self.left.add(job["id"])
            if not self.ending.as_json:
                output.plain(job["id"])
            elif not self.ending.wait:
                output.as_json({**job, "line": line.number}, line=True)

    def _ended(self, looks: BatchLooks) -> list[dict[str, Any]]:
        """Jobs of this run that have ended since the look before; others that have changed are told."""
        for job in looks.look():
            if job["id"] in self.left and not self.bars.live:
                waiting.note(job)
        for job_id in self.left & looks.jobs.keys():
            self.jobs[job_id] = looks.jobs[job_id]
        ended = [job for job_id, job in self.jobs.items() if job_id in self.left and job["state"] in ENDED]
        self.left -= {job["id"] for job in ended}
        return ended

    def _judge(self, job: dict[str, Any]) -> bool:
        """Tell a job's end; whether it is a video."""
        if self.ending.as_json:
            output.as_json({**job, "line": self.lines[job["id"]].number}, line=True)
        with self.several.one(job["id"]):
            waiting.judge(job)
        return bool(job["state"] == "archived")

    def _bring(self, job: dict[str, Any], folder: Path) -> None:
        line = self.lines[job["id"]]
        try:
            name = self.pattern.path(line.request, line=line.number, job=job)
        except BadPattern as error:
            raise Failure(f"{job['id']}: {error}", failures.USAGE) from error
        downloads.bring(self.api, job, folder / name, self.bars, is_wanted=lambda: not self.broken_off.is_set())

    def _timed_out(self) -> Failure:
        hint = f"they go on without us: `rushes jobs watch --batch {self.batch}`, or the same command again"
        left = output.counted(len(self.left), "job")
        said = f"{left} of {len(self.jobs)} had not ended after {self.ending.timeout_s:g} s"
        return Failure(said, failures.TIMED_OUT, hint=hint)

    def summary(self, took_s: float) -> str:
        """What the run came to, in a sentence."""
        if not self.ending.wait:
            return f"{output.counted(len(self.jobs), 'job')}; `rushes jobs watch --batch {self.batch}` follows them"
        jobs = self.jobs.values()
        return f"{summing.in_states(job['state'] for job in jobs)}, {summing.spent(jobs)}, {summing.minutes(took_s)}"


def _done(futures: deque[tuple[Named, Future[Result]]]) -> Iterator[tuple[Named, Future[Result]]]:
    """Takes those away that are done, up to the first that is not: outcomes are told in the order of the lines."""
    while futures and futures[0][1].done():
        yield futures.popleft()


def _stopped(failure: Failure, line: Line, batch: str) -> Failure:
    """A failure that ends the run tells how to go on; any other is its line's own."""
    if failure.code not in HOPELESS:
        return failure
    hint = f"the same command with --batch {batch} goes on from there, and buys nothing twice"
    return Failure(f"line {line.number}: {failure}", failure.code, hint=hint)
