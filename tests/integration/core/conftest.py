from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workshop import ReceiverServer, Workshop

from jobs.store.database import Database
from storage.bucket import Bucket


@pytest.fixture
def make_workshop(
    database: Database, bucket: Bucket, sandbox: Any, tmp_path: Path
) -> Iterator[Callable[..., Workshop]]:
    """A workshop with numbers of its own."""
    made: list[Workshop] = []

    def make(**numbers: Any) -> Workshop:
        folder = tmp_path / f"data-{len(made)}"
        folder.mkdir()
        made.append(Workshop(database, bucket, sandbox.url, folder, **numbers))
        return made[-1]

    yield make
    for workshop in made:
        workshop.close()


@pytest.fixture
def workshop(make_workshop: Callable[..., Workshop]) -> Workshop:
    return make_workshop()


@pytest.fixture
def receiver(workshop: Workshop) -> Iterator[ReceiverServer]:
    """The workshop's own receiver; its jobs are submitted with a callback URL."""
    server = ReceiverServer(workshop)
    workshop.receive_callbacks_at(server.url)
    yield server
    server.close()
