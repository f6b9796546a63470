"""A real S3 server (SeaweedFS) for the room's tests, a fresh bucket per test, and small HTTP servers that misbehave."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fetching import Fetcher
from misbehaving import Server, Talk

from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketUnavailable
from storage.probe import Prober

ACCESS_KEY, SECRET_KEY = "AKIARUSHESTEST", "rushestestsecret0000"
# The worker inside `weed mini` dials the admin port + 10000, whatever it is told; so that one is derived, not drawn.
PORTS = ("s3", "filer", "master", "volume")
STOP_S = 5


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("weed")
    drawn = _free_ports(2 * len(PORTS) + 1)
    ports = {f"{name}.port": drawn.pop() for name in PORTS} | {f"{name}.port.grpc": drawn.pop() for name in PORTS}
    ports |= {"admin.port": drawn[0], "admin.port.grpc": drawn[0] + 10_000}
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("weed"), "-logtostderr=true", "-v=0", "mini"]
            + [f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]
            + ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
            + ["-volume.preStopSeconds=0", "-s3.autoCreateBucket=false"]
            + [f"-s3.localSocket={folder}/s3.sock", f"-filer.localSocket={folder}/filer.sock"]
            + [f"-{name}={port}" for name, port in ports.items()],
            env={
                "PATH": os.defpath,
                "TMPDIR": str(folder),  # five sockets with fixed names, which a kill leaves behind
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "GOMEMLIMIT": "200MiB",
                "GOGC": "50",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(process, endpoint, folder / "log")
        yield endpoint
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def bucket_config(weed: str) -> BucketConfig:
    name = f"test-{random.randrange(1 << 40):x}"
    config = BucketConfig(name, "archive/", weed, "us-east-1", ACCESS_KEY, SECRET_KEY)
    Bucket(config).ensure()
    return config


@pytest.fixture
def bucket(bucket_config: BucketConfig) -> Bucket:
    return Bucket(bucket_config)


@pytest.fixture(scope="session")
def prober() -> Iterator[Prober]:
    with Prober() as one:
        yield one


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(talk)` starts a server whose connections are handed to `talk`."""
    started: list[Server] = []

    def start(talk: Talk, **options: Any) -> Server:
        started.append(Server(talk, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Fetcher]:
    fetcher = Fetcher(tmp_path)
    yield fetcher
    fetcher.session.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "download"]


def _free_ports(count: int) -> list[int]:
    """Below the range from which the kernel draws outgoing ports, so that none is taken by the time it is used."""
    held: list[socket.socket] = []
    while len(held) < count:
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
        except OSError:
            one.close()
        else:
            held.append(one)
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _await_ready(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    probe = Bucket(BucketConfig("ready", "", endpoint, None, ACCESS_KEY, SECRET_KEY))
    deadline = time.monotonic() + 30
    while True:
        try:
            probe.ensure()
            probe.put_small("ready", b"1", "text/plain")
            return
        except BucketUnavailable:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"weed is not ready: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
