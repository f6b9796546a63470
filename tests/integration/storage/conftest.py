"""The room's own fixtures: a prober, and small HTTP servers that misbehave. The bucket is everybody's."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fetching import Fetcher
from misbehaving import Server, Talk

from storage.proof.probe import Prober


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
