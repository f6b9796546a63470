from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from served import Served
from workshop import Workshop, serve_receiver

from jobs.store.database import Database
from storage.bucket import Bucket
from storage.proof.probe import Prober


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One authority: the stand-ins speak plain HTTP, and reading all public ones took most of a workshop's making."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def make_workshop(
    database: Database, bucket: Bucket, prober: Prober, ca_file: str, sandbox: Any, tmp_path: Path
) -> Iterator[Callable[..., Workshop]]:
    """A workshop with numbers of its own."""
    made: list[Workshop] = []

    def make(**numbers: Any) -> Workshop:
        folder = tmp_path / f"data-{len(made)}"
        folder.mkdir()
        made.append(Workshop(database, bucket, prober, ca_file, sandbox.url, folder, **numbers))
        return made[-1]

    yield make
    for workshop in made:
        workshop.close()


@pytest.fixture
def workshop(make_workshop: Callable[..., Workshop]) -> Workshop:
    return make_workshop()


@pytest.fixture
def receiver(workshop: Workshop) -> Iterator[Served]:
    """The workshop's own receiver; its jobs are submitted with a callback URL."""
    server = serve_receiver(workshop)
    workshop.receive_callbacks_at(server.url)
    yield server
    server.close()
