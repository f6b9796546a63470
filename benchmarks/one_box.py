"""What one box carries, hour after hour: the whole service under a queue that is never empty.

    python benchmarks/one_box.py

Ours runs as `rushes up` starts it, on PostgreSQL that writes its commits through to the disk, with Prometheus' look
every fifteen seconds. A gateway that takes no time (`fast_gateway.py`) calls back and serves the film, and new jobs are
ordered as others end, so that a hundred wait or are under way at any time. After a minute for warming up, three are
measured. Load, gateway and stores share the machine.

The film is H.264 of 5 s in 720p, all picture: 4 MB, 6.4 Mbit/s, and one key frame, as x264 makes it unless told
otherwise. So the proof decodes what it would of a gateway's; one padded to its weight costs a twentieth of it.
Nothing that is archived is ever deleted, so all films lie in a temporary folder until the end: the run stops ordering
at 8 GB, which four minutes reach at 8 jobs a second.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import av
import requests
import sqlalchemy as sa
from arena import Arena
from av.filter import Graph
from figures import tell
from pipeline import ours, until
from two_hundred_jobs import spent_s

from jobs.store import tables
from jobs.store.database import Database
from rushes.local.ports import free_ports, port_is_served
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor

WARM_S, MEASURED_S, SCRAPE_S = 60, 180, 15
LIVE, CALLERS = 100, 8
SECONDS, FPS, BITS_PER_S = 5, 24, 5_100_000  # of which come 4 MB
MOST_BYTES = 8_000_000_000
HOLDS = 0.9  # of the first minute's rate, the last one's
IN_TURN = 2  # times as long as all that are live at any time take together: nobody is passed over for good
WHAT = "one box, films of 4 MB in 720p, a hundred jobs live at any time, PostgreSQL with fsync"
KEY = "0123456789abcdef0123456789abcdef"
HERE = Path(__file__).parent
KTHREADD = 2
# The children that prove films: nobody waits for them, so no process is charged with what they took. Other programs of
# the machine that end unwaited for are in it as well, and on an idle machine there are none.
NOBODYS = "the films' proof (what no process is charged with)"


def make_film(path: Path) -> None:
    """Drifting colours under noise that changes with each picture, since colours alone would weigh a tenth."""
    graph = Graph()
    parts = [
        graph.add("gradients", f"size=1280x720:rate={FPS}:duration={SECONDS}:speed=0.03:seed=1:n=4"),
        graph.add("noise", "alls=12:allf=t"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    for one, next_one in itertools.pairwise(parts):
        one.link_to(next_one)
    graph.configure()
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as film:
        stream = film.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", BITS_PER_S
        for number in range(SECONDS * FPS):
            frame = parts[-1].pull()
            assert isinstance(frame, av.VideoFrame)
            frame.pts, frame.pict_type = number, av.video.frame.PictureType.NONE
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


@dataclass(frozen=True)
class Look:
    """The box at one time. CPU in seconds so far, by who spent it."""

    at: datetime  # by the database's clock, as the ends of jobs are
    cpu_s: Mapping[str, float]
    machine_s: float
    in_store: int
    in_database: int
    in_wal: int


@dataclass
class Box:
    """The service, and what spends the machine beside it."""

    it: Arena
    database: Database
    beside: Mapping[str, int]  # process ids by name
    film_bytes: int
    oldest_due_s: list[float] = field(default_factory=list)  # at each of Prometheus' looks
    live_by_state: Counter[str] = field(default_factory=Counter)  # the sum over the same times
    _ordered: int = 0

    def keep_full(self, seconds: float) -> None:
        """Order as others end, and look at the metrics as Prometheus would."""
        begun = time.monotonic()
        end, scrape = begun + seconds, begun + SCRAPE_S
        with ThreadPoolExecutor(CALLERS) as pool:
            while time.monotonic() < end and self._ordered * self.film_bytes < MOST_BYTES:
                self.it.service.supervisor.check()
                room = LIVE - self._live().total()
                list(pool.map(lambda _: self.it.submit(provider="aivideoapi", duration=SECONDS), range(room)))
                self._ordered += max(room, 0)
                if time.monotonic() >= scrape:
                    self.oldest_due_s.append(self._scrape())
                    self.live_by_state += self._live()
                    scrape += SCRAPE_S
                time.sleep(0.1)

    def drain(self) -> None:
        until(lambda: not self._live().total(), "the last jobs")

    def look(self) -> Look:
        with self.database.read() as db:
            at = self.database.clock(db)
            size = db.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
            wal = db.execute(sa.text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")).scalar_one()
        roots = {**self.it.service.supervisor.pids, **self.beside, "load": os.getpid(), "kernel threads": KTHREADD}
        spent, all_of_them = spent_s(roots)
        weed = self.it.service.plan.seaweedfs
        assert weed is not None
        in_store = sum(file.stat().st_blocks * 512 for file in weed.data_dir.rglob("*") if file.is_file())
        spent[NOBODYS] = (machine := machine_s()) - all_of_them
        return Look(at, spent, machine, in_store, int(size), int(wal))

    def ends(self, first: Look, last: Look) -> list[tuple[float, float]]:
        """Of each job archived between two looks: the seconds after the first, and its own from order to archive."""
        jobs = tables.jobs.c
        within = jobs.ended_at >= first.at, jobs.ended_at < last.at, jobs.state == "archived"
        with self.database.read() as db:
            found = db.execute(sa.select(jobs.ended_at, jobs.created_at).where(*within)).all()
        return sorted(((end - first.at).total_seconds(), (end - begun).total_seconds()) for end, begun in found)

    def longest_s(self) -> float:
        """Of all jobs, with those that ended after the last look: the longest way from order to end."""
        jobs = tables.jobs.c
        with self.database.read() as db:
            return max(
                (end - begun).total_seconds() for end, begun in db.execute(sa.select(jobs.ended_at, jobs.created_at))
            )

    def states(self) -> tuple[Counter[str], int]:
        """How all jobs have ended, and how many orders were sent for them."""
        with self.database.read() as db:
            states = Counter(db.execute(sa.select(tables.jobs.c.state)).scalars())
            return states, int(db.execute(sa.select(sa.func.count()).select_from(tables.attempts)).scalar_one())

    def _live(self) -> Counter[str]:
        state = tables.jobs.c.state
        live = sa.select(state, sa.func.count()).where(tables.jobs.c.alarm_at.is_not(None)).group_by(state)
        with self.database.read() as db:
            return Counter({str(name): int(number) for name, number in db.execute(live)})

    def _scrape(self) -> float:
        headers = {"Authorization": f"Bearer {self.it.service.api_key.key}"}
        answer = requests.get(f"{self.it.service.url}/metrics", headers=headers, timeout=30)
        answer.raise_for_status()
        [told] = [line for line in answer.text.splitlines() if line.startswith("rushes_oldest_due_seconds ")]
        return float(told.split()[1])


def machine_s() -> float:
    """User, nice and system seconds of all cores."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    return sum(map(int, words[1:4])) / os.sysconf("SC_CLK_TCK")


def tell_all(box: Box, first: Look, last: Look) -> bool:
    stretch_s = (last.at - first.at).total_seconds()
    ends = box.ends(first, last)
    count, took = len(ends), sorted(took_s for _, took_s in ends)
    rate = count / stretch_s
    cpu = {name: last.cpu_s[name] - first.cpu_s[name] for name in first.cpu_s}
    busy = (last.machine_s - first.machine_s) / stretch_s
    begin, middle, end = (
        sum(third == int(at * 3 // stretch_s) for at, _ in ends) / (stretch_s / 3) for third in range(3)
    )
    states, bought = box.states()
    is_good = set(states) == {"archived"} and states.total() == bought
    tell(
        f"{WHAT}: {stretch_s:.0f} s",
        f"{rate:.1f} jobs/s, {rate * 86_400:,.0f} a day; {busy * 100:.0f}% of a core busy, of {os.cpu_count()} cores;"
        f" {', '.join(f'{many} {state}' for state, many in states.items())}, {bought} bought",
        "each archived, bought once",
        is_held=is_good,
    )
    holds = end / begin >= HOLDS
    said = f"{end / begin:.2f}: {begin:.1f}, {middle:.1f} and {end:.1f} jobs/s"
    tell(f"{WHAT}: the last third's rate of the first's", said, f"{HOLDS}", is_held=holds)
    due, hundredths = box.oldest_due_s, statistics.quantiles(took, n=100, method="inclusive")
    third = max(len(due) // 3, 1)
    at_first, at_last = statistics.median(due[:third]), statistics.median(due[-third:])
    by_state = {state: number / len(due) for state, number in box.live_by_state.most_common()}
    tell(
        f"{WHAT}: backlog",
        f"oldest due {statistics.median(due):.1f} s, at most {max(due):.1f}; in the first third {at_first:.1f}, in the"
        f" last {at_last:.1f}; live {', '.join(f'{number:.0f} {state}' for state, number in by_state.items())};"
        f" from order to archive p50 {hundredths[49]:.1f} s, p99 {hundredths[98]:.1f}",
    )
    longest_s, turn_s = box.longest_s(), LIVE / rate
    comes_in_turn = tell(
        f"{WHAT}: the job that waited longest, of all",
        f"{longest_s:.0f} s from order to archive, {longest_s / turn_s:.1f} times what a hundred jobs take",
        f"{IN_TURN}",
        is_held=longest_s <= IN_TURN * turn_s,
    )
    shares = sorted(((s / stretch_s * 100, s / count * 1000, name) for name, s in cpu.items()), reverse=True)
    tell(
        f"{WHAT}: of a core, by process, and CPU a job",
        ", ".join(f"{name} {share:.0f}% {ms:.1f} ms" for share, ms, name in shares if share >= 0.5),
    )
    tell(
        f"{WHAT}: bytes a job on the disk",
        f"{(last.in_store - first.in_store) / count / 1e6:.2f} MB in the store, of them {box.film_bytes / 1e6:.2f} the"
        f" film; {(last.in_database - first.in_database) / count / 1000:.1f} kB in the database, and"
        f" {(last.in_wal - first.in_wal) / count / 1000:.1f} kB through its log",
    )
    return is_good and holds and comes_in_turn


def main() -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rushes-bench-")))
        film = folder / "film.mp4"
        make_film(film)
        postgres = Postgres(folder / "postgres", free_ports(1)[0], KEY)
        postgres.prepare()
        stack.callback(postgres.remove)
        supervisor = stack.enter_context(Supervisor())
        durable = postgres.process()
        supervisor.start(replace(durable, argv=[*durable.argv, "-c", "fsync=on", "-c", "full_page_writes=on"]))
        gateway = free_ports(1)[0]
        argv = [sys.executable, str(HERE / "fast_gateway.py"), str(gateway), str(film)]
        supervisor.start(Process("gateway", argv, env=dict(os.environ), ready=lambda: port_is_served(gateway)))
        mine = ours(stack, gateway, postgres.create_database("ours"), {"RUSHES_SWEEP_INTERVAL_S": "10"})
        box = Box(mine.it, mine.database, supervisor.pids, film.stat().st_size)
        box.keep_full(WARM_S)
        box.oldest_due_s.clear()
        box.live_by_state.clear()
        first = box.look()
        box.keep_full(MEASURED_S)
        last = box.look()
        box.drain()
        return 0 if tell_all(box, first, last) else 1


if __name__ == "__main__":
    sys.exit(main())
