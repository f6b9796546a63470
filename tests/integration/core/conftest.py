from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from altered import AlteredSandbox
from click.testing import CliRunner, Result
from odd_store import ACCESS_KEY, BUCKET, OddStore
from served import Served, serve_app
from workshop import Workshop, serve_receiver

from jobs.intake import api_keys
from jobs.store.database import Database
from rushes.app import create_app
from rushes.cli import main
from storage.bucket import Bucket, BucketConfig
from storage.proof.probe import Prober
from storage.rules import StoreRules


@pytest.fixture
def door(sandbox: Any) -> Iterator[AlteredSandbox]:
    """The stand-ins, behind what alters their answers."""
    door = AlteredSandbox(sandbox.url)
    yield door
    door.close()


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
def on(
    database: Database, prober: Prober, ca_file: str, sandbox: Any, tmp_path: Path
) -> Iterator[Callable[..., Workshop]]:
    """A workshop whose archive is such a store, spoken to by these rules."""
    made: list[Workshop] = []

    def make(store: OddStore, **rules: Any) -> Workshop:
        url = store.named_url if rules.get("addressing") == "virtual" else store.url
        config = BucketConfig(BUCKET, "", url, None, ACCESS_KEY, "secret", rules=StoreRules(**rules))
        made.append(Workshop(database, Bucket(config), prober, ca_file, sandbox.url, tmp_path))
        return made[-1]

    yield make
    for workshop in made:
        workshop.close()


@pytest.fixture
def receiver(workshop: Workshop) -> Iterator[Served]:
    """The workshop's own receiver; its jobs are submitted with a callback URL."""
    server = serve_receiver(workshop)
    workshop.receive_callbacks_at(server.url)
    yield server
    server.close()


@pytest.fixture
def rushes(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """A command that asks a service on a real port."""
    config = workshop.bucket.config
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(config.access_key))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(config.secret_key))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name, value in workshop.env.items():
        monkeypatch.setenv(name, value)
    app = create_app(ringer=workshop.bells)
    served = serve_app(app)
    _, key = api_keys.create(workshop.database, "test")
    monkeypatch.setenv("RUSHES_URL", served.url)
    monkeypatch.setenv("RUSHES_API_KEY", key)
    yield lambda *arguments, **more: CliRunner().invoke(main, arguments, **more)
    served.close()
    app.extensions["rushes.close"]()
