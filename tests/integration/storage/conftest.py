"""The room's own fixtures: an empty bucket, and small HTTP servers that misbehave."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import bucket_config_of, empty_bucket
from fetching import Fetcher, readers
from misbehaving import Server, Talk

from rushes.local.seaweedfs import SeaweedFS
from storage.bucket import Bucket


@pytest.fixture(scope="session")
def room(seaweedfs: SeaweedFS, s3: Any) -> Bucket:
    """A bucket of this room: its tests choose whole keys, each for itself."""
    bucket = Bucket(bucket_config_of(seaweedfs, "storage"), s3)
    bucket.ensure()
    return bucket


@pytest.fixture
def bucket(room: Bucket) -> Bucket:
    """The room's bucket, with nothing in it."""
    empty_bucket(room)
    return room


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
    assert readers() == []
