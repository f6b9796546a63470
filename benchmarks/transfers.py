"""What a film costs from its link into the bucket, beside one PUT of the same bytes and beside other ways.

    python benchmarks/transfers.py

Ours is the whole step in this process: it looks for the object, fetches, proves (in the probe's own process), puts
poster, sidecar and film, and writes its rows. The plain way downloads into a file and uploads that by boto3.
smart_open is written to while requests reads, with the same client of boto3 and else as it comes. rclone is told the
link (`rclone copyurl`), knows the store by its environment and is else as it comes: a process for each film, whose
start and end are in its time and whose CPU is counted. Neither proves anything, puts a poster or knows the film's
SHA-256 when it is done. Where rclone is not on this machine (`apt install rclone`), its lines say so.
The PUT has the bytes in a file already, and their SHA-256, by which the store checks what it takes, as it checks ours;
"unchecked", it has a presigned address, and nobody hashes anything. All copy into the same SeaweedFS, in memory and
then on the disk; gateway and store share the machine. Turns are shuffled. After each turn the bucket is looked through:
a film that is missing, or short, ends the run.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import requests
import smart_open
from arena import PROMPT
from figures import spread, tell
from transfer_memory import make_film

from jobs.intake import new_jobs
from jobs.logs import configure
from jobs.machine.states import State
from jobs.settings import load
from jobs.steps import archiving, reconciliation, submission
from jobs.steps.resources import Resources
from jobs.store import cases, leases, migrate
from jobs.store.database import Database
from jobs.worker.bootstrap import worker_resources
from rushes.local.ports import free_ports, port_is_served
from rushes.local.process import Process
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor

ROUNDS, MB = 5, 1_000_000
ALONE, MANY, LARGE = 40 * MB, 10 * MB, 400 * MB
HOW_MANY, AT_ONCE = 32, 8
PIECE_BYTES = 1 << 18  # by which a download is read
KEY = "0123456789abcdef0123456789abcdef"
HERE = Path(__file__).parent

Copy = Callable[[int], None]  # of the n-th film of a turn


class NoBell:
    """A ringer that nobody hears."""

    def ring(self, task: str, *job_ids: str) -> None: ...

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int:
        return 0


class Course:
    """Films of one size at a gateway, a bucket, and the ways between them."""

    def __init__(self, resources: Resources, s3: Any, gateway: int, film: Path, by_rclone: dict[str, str]) -> None:
        self._resources, self._s3, self._film, self._by_rclone = resources, s3, film, by_rclone
        self._bucket = str(resources.settings.s3_bucket)
        self._link = f"http://127.0.0.1:{gateway}/film.mp4"
        self._number = 0

    def ours(self, count: int) -> Copy:
        """Jobs that are made and paid for, whose videos are ready."""
        body = {"prompt": PROMPT, "resolution": "720p", "duration": 2, "provider": "aivideoapi"}
        job_ids = [new_jobs.create(body, self._resources, api_key_id="bench")[0].job.id for _ in range(count)]
        for job_id in job_ids:
            submission.submit(job_id, self._resources)
            with self._resources.database.write() as db:
                leases.bring_news(db, job_id, now=self._resources.database.clock(db))
            reconciliation.reconcile(job_id, self._resources)

        def copy(number: int) -> None:
            archiving.transfer(job_ids[number], self._resources)
            with self._resources.database.read() as db:
                case = cases.read_case(db, job_ids[number])
            if case.job.state is not State.ARCHIVED:
                raise SystemExit(f"a job is {case.job.state}: {case.current}")

        return copy

    def put(self, count: int) -> Copy:
        keys, told = self._keys(count), base64.b64encode(self._sha256()).decode()

        def copy(number: int) -> None:
            with self._film.open("rb") as file:
                self._s3.put_object(Bucket=self._bucket, Key=keys[number], Body=file, ChecksumSHA256=told)

        return copy

    def put_unchecked(self, count: int) -> Copy:
        told = [{"Bucket": self._bucket, "Key": key} for key in self._keys(count)]
        urls = [self._s3.generate_presigned_url("put_object", Params=each) for each in told]

        def copy(number: int) -> None:
            with self._film.open("rb") as file:
                requests.put(urls[number], data=file, timeout=300).raise_for_status()

        return copy

    def plain(self, count: int) -> Copy:
        keys = self._keys(count)

        def copy(number: int) -> None:
            with tempfile.TemporaryFile() as file:
                self._fetch(file)
                file.seek(0)
                self._s3.upload_fileobj(file, self._bucket, keys[number], ExtraArgs={"ContentType": "video/mp4"})

        return copy

    def smart_open(self, count: int) -> Copy:
        keys = self._keys(count)
        told = {"S3.Client.create_multipart_upload": {"ContentType": "video/mp4"}}
        params = {"client": self._s3, "client_kwargs": told}

        def copy(number: int) -> None:
            with smart_open.open(f"s3://{self._bucket}/{keys[number]}", "wb", transport_params=params) as file:
                self._fetch(file)

        return copy

    def rclone(self, count: int) -> Copy:
        keys = self._keys(count)

        def copy(number: int) -> None:
            argv = ["rclone", "copyurl", self._link, f"store:{self._bucket}/{keys[number]}"]
            subprocess.run(argv, env=self._by_rclone, check=True, timeout=300)

        return copy

    def hash_and_put(self, count: int) -> Copy:
        """What no copy that is checked can do without."""
        put = self.put_unchecked(count)

        def copy(number: int) -> None:
            self._sha256()
            put(number)

        return copy

    def empty(self, count: int) -> None:
        """Between two turns: what was put goes, and so many films must have been there, whole."""
        films = 0
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for found in page.get("Contents", []):
                films += found["Size"] == self._film.stat().st_size
                self._s3.delete_object(Bucket=self._bucket, Key=found["Key"])
        if films != count:
            raise SystemExit(f"{films} whole films were in the bucket, not {count}")

    def _fetch(self, file: Any) -> None:
        with requests.get(self._link, stream=True, timeout=300) as answer:
            answer.raise_for_status()
            for piece in answer.iter_content(PIECE_BYTES):
                file.write(piece)

    def _sha256(self) -> bytes:
        with self._film.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def _keys(self, count: int) -> list[str]:
        self._number += count
        return [f"plain/{n}.mp4" for n in range(self._number - count, self._number)]


def turn(make: Callable[[int], Copy], count: int) -> tuple[float, float]:
    """The seconds that it took, and the CPU meanwhile: of this process, and of those that it started and that ended."""
    copy = make(count)
    begun, cpu = time.monotonic(), cpu_s()
    if count == 1:
        copy(0)
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(copy, range(count)))
    return time.monotonic() - begun, cpu_s() - cpu


def cpu_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


@contextmanager
def course(store: Path, size: int) -> Iterator[Course]:
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        in_store = stack.enter_context(tempfile.TemporaryDirectory(prefix="rushes-bench-", dir=store))
        make_film(folder / "film.mp4", size)
        supervisor = stack.enter_context(Supervisor())
        gateway = free_ports(1)[0]
        argv = [sys.executable, str(HERE / "fast_gateway.py"), str(gateway), str(folder / "film.mp4")]
        supervisor.start(Process("gateway", argv, env=dict(os.environ), ready=lambda: port_is_served(gateway)))
        weed = SeaweedFS(Path(in_store), seaweedfs_ports(), "bench-access-key", KEY)
        supervisor.start(weed.process())
        settings = load(
            {
                "RUSHES_AIVIDEOAPI_API_KEY": "sk-bench",
                "RUSHES_AIVIDEOAPI_BASE_URL": f"http://127.0.0.1:{gateway}",
                "RUSHES_AIVIDEOAPI_QUERIES_PER_S": "1000",
                "RUSHES_STAND_INS": "aivideoapi",
                "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
                "RUSHES_CALLBACK_KEYS": f"k1:{KEY}",
                "RUSHES_DATABASE_URL": f"sqlite:///{folder}/rushes.db",
                "RUSHES_REDIS_URL": "redis://127.0.0.1:1/0",  # the budget of queries is counted here then
                "RUSHES_DATA_DIR": name,
                "RUSHES_S3_BUCKET": weed.bucket,
                "RUSHES_S3_ENDPOINT_URL": weed.endpoint_url,
                "AWS_ACCESS_KEY_ID": weed.access_key,
                "AWS_SECRET_ACCESS_KEY": weed.secret_key,
                "AWS_REGION": "us-east-1",
            }
        )
        migrate.upgrade(Database(settings.database_url))
        resources = worker_resources(settings, NoBell(), "transfer")
        stack.callback(resources.prober.close)
        keys = {"aws_access_key_id": weed.access_key, "aws_secret_access_key": weed.secret_key}
        s3 = boto3.session.Session().client("s3", endpoint_url=weed.endpoint_url, region_name="us-east-1", **keys)
        yield Course(resources, s3, gateway, folder / "film.mp4", rclone_environment(weed, folder))


def rclone_environment(weed: SeaweedFS, home: Path) -> dict[str, str]:
    """All that rclone knows: a remote called `store`, and no file of anybody's."""
    told = {
        "TYPE": "s3",
        "PROVIDER": "SeaweedFS",
        "ENDPOINT": weed.endpoint_url,
        "ACCESS_KEY_ID": weed.access_key,
        "SECRET_ACCESS_KEY": weed.secret_key,
        "REGION": "us-east-1",
    }
    named = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in told.items()}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "RCLONE_CONFIG": "", **named}


def peers() -> dict[str, str]:
    """The ways of others, by what they are called; of rclone none where it is not here."""
    found = {"plain": "plain", f"smart_open {version('smart_open')}": "smart_open"}
    if shutil.which("rclone"):
        said = subprocess.run(["rclone", "version"], capture_output=True, text=True, check=True).stdout
        number = re.match(r"rclone v(\d[\d.]*)", said)
        found[f"rclone {number[1] if number else ''}".strip() + ", a process for each film"] = "rclone"
    return found


def compare(
    title: str, store: Path, size: int, count: int, ways: dict[str, str], wanted: float, *, by_cpu: bool = False
) -> bool:
    """`ways`: the course's ways by what they are called; the first one is what the others are measured against.

    Returns whether ours takes at most `wanted` of its time.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    with course(store, size) as there:
        for number in range(ROUNDS + 1):
            for name in random.sample(list(ways), len(ways)):
                took_s, spent_s = turn(getattr(there, ways[name]), count)
                there.empty(count)
                if number:  # the first round is for warming up
                    found[name].append(spent_s if by_cpu else took_s)
    medians = {name: statistics.median(each) for name, each in found.items()}
    first = next(iter(medians.values()))
    is_held = medians["ours"] / first <= wanted
    for name, each in found.items():
        said = f"{medians[name]:.2f} s ({spread(each, 2)}), {medians[name] / first:.2f}"
        is_ours = name == "ours"
        tell(f"{title}: {name}", said, f"{wanted}" if is_ours else "", is_held=is_held or not is_ours)
    if "rclone" not in ways.values():
        tell(f"{title}: rclone", "not here: apt install rclone")
    return is_held


def main() -> int:
    configure()
    logging.getLogger("smart_open").setLevel(logging.WARNING)  # as it is where nobody asks for more
    memory, disk = Path("/dev/shm"), Path(tempfile.gettempdir())
    others = peers()
    ways = {"PUT": "put", "PUT, unchecked": "put_unchecked", "ours": "ours", **others}
    by_hash = {"SHA-256, PUT": "hash_and_put", "ours": "ours", **others}
    held = [
        compare("a film of 40 MB, store in memory", memory, ALONE, 1, ways, 1.25),
        compare("a film of 40 MB, store on the disk", disk, ALONE, 1, ways, 1.15),
        compare("32 films of 10 MB, eight at a time, store in memory", memory, MANY, HOW_MANY, ways, 1.4),
        compare("a film of 400 MB, CPU without the proof's decoding", memory, LARGE, 1, by_hash, 2, by_cpu=True),
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
