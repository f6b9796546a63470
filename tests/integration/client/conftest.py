from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from canaries import canary
from scripted import Clock, Scripted

from rushes_client import Client


@pytest.fixture
def service() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def store() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key() -> str:
    return f"rk_{canary()}"


@pytest.fixture
def make_client(service: Scripted, clock: Clock, key: str) -> Iterator[Callable[..., Client]]:
    """Clients of the scripted service, on the test's clock."""
    made: list[Client] = []

    def make(url: str = service.url, **numbers: float) -> Client:
        client = Client(url, key, **numbers)
        client._connection.pause, client._connection.monotonic = clock.pause, clock.monotonic
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
