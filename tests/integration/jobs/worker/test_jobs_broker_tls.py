"""A broker behind TLS, by the addresses that its vendors print: all who ask Valkey take the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from flask import Flask
from kombu.exceptions import OperationalError
from redis import RedisError
from tls_front import tls_front

from jobs.broker import ringing_app, working_app
from jobs.providers.client import Account
from jobs.settings import Settings, load
from jobs.steps.query_budget import QueryBudget
from rushes import health
from rushes.doctor import valkey as doctor
from rushes.doctor.findings import Verdict
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey

QUEUE = "tls-test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "private.pem"
    made.cert_pem.write_to_path(file)
    return made, file


@pytest.fixture(scope="module")
def address(valkey: Valkey, servers: Supervisor, authority: tuple[trustme.CA, Path]) -> Iterator[str]:
    with tls_front(servers, valkey.port, authority[0], authority[1].parent) as port:
        yield f"rediss://:{valkey.password}@localhost:{port}/0"


def published(settings: Settings) -> bool:
    """The web process rings, and a worker hears it."""
    ringing_app(settings).send_task("jobs.sweep", queue=QUEUE, retry=False)
    with working_app(settings).connection_for_read() as connection:
        connection.SimpleQueue(QUEUE).get(timeout=5).ack()
    return True


def kept(settings: Settings) -> bool:
    """Results, and the turns of `rushes.generate`, by the backend's client."""
    client = working_app(settings).backend.client
    client.set("task-of-tls", "job_1", ex=60)
    return bool(client.get("task-of-tls") == b"job_1")


def paced(settings: Settings) -> bool:
    budget = QueryBudget(settings.redis_url)
    budget.slot(Account("evolink", "https://x", "k"), 1, "job_1", urgent=False)
    return budget._silent_until == 0


def ready(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> bool:
    app = Flask(__name__)
    monkeypatch.setattr(health, "_database", lambda _: {})
    monkeypatch.setattr(health, "_bucket", lambda _: "ok")
    app.register_blueprint(health.blueprint(health.Health(settings, None, None)))  # type: ignore[arg-type]
    return bool(app.test_client().get("/readyz").get_json()["parts"]["valkey"] == "ok")


def examined(settings: Settings) -> bool:
    return all(found.verdict is not Verdict.FAIL for found in doctor.look(settings))


FACES: dict[str, Callable[..., bool]] = {
    "broker": published,
    "results": kept,
    "budgets": paced,
    "doctor": examined,
}


@pytest.mark.parametrize(
    ("query", "trusted"),
    [
        ("", True),
        ("?ssl_cert_reqs=required", True),
        ("?ssl_cert_reqs=CERT_REQUIRED", True),
        ("?ssl_cert_reqs=none", False),
        ("?ssl_cert_reqs=CERT_NONE", False),
        ("?ssl_ca_certs={file}", False),
        ("?ssl_cert_reqs=CERT_OPTIONAL&ssl_ca_certs={file}", False),
        ("?ssl_check_hostname=false&ssl_ca_certs={file}", False),
    ],
)
def test_an_address_as_a_vendor_prints_it_serves_all_who_ask(
    address: str, authority: tuple[trustme.CA, Path], query: str, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    if "hostname" in query:
        address = address.replace("localhost", "127.0.0.1")
    settings = load({"RUSHES_S3_BUCKET": "x" * 3, "RUSHES_REDIS_URL": address + query.format(file=authority[1])})
    assert {name for name, face in FACES.items() if not face(settings)} == set()
    assert ready(settings, monkeypatch)


def test_an_authority_counts_by_whatever_variable_and_takes_no_others_place(
    address: str, authority: tuple[trustme.CA, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL alone would read the first of the two, in place of all others."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "firewall.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "firewall.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[1]))
    settings = load({"RUSHES_S3_BUCKET": "x" * 3, "RUSHES_REDIS_URL": address})
    assert {name for name, face in FACES.items() if not face(settings)} == set()


def test_a_certificate_that_nothing_vouches_for_is_taken_by_nobody(address: str) -> None:
    settings = load({"RUSHES_S3_BUCKET": "x" * 3, "RUSHES_REDIS_URL": address})
    for face in FACES.values():
        assert not _tried(face, settings)
    (found,) = doctor.look(settings)
    assert "ssl_ca_certs" in str(found.then)


def _tried(face: Callable[[Settings], bool], settings: Settings) -> bool:
    try:
        return face(settings)
    except (RedisError, OperationalError) as e:
        return "certificate verify failed" not in str(e)
