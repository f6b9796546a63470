"""PostgreSQL behind TLS: whom the environment trusts vouches for it, by the addresses that providers print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import trustme
from tls_front import tls_front

from jobs.settings import load
from jobs.store.database import Database, DatabaseUnavailable
from rushes.local.postgres import Postgres
from rushes.local.supervisor import Supervisor
from storage.outbound import trust


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made, file = trustme.CA(), tmp_path_factory.mktemp("authority") / "private.pem"
    made.cert_pem.write_to_path(file)
    return made, file


@pytest.fixture(scope="module")
def address(postgres: Postgres, servers: Supervisor, authority: tuple[trustme.CA, Path]) -> Iterator[str]:
    with tls_front(servers, postgres.port, authority[0], authority[1].parent) as port:
        there = sa.make_url(postgres.url).set(drivername="postgres", host="localhost", port=port)
        # TLS from the first byte on: what stands before the server knows nothing of PostgreSQL.
        yield f"{there.render_as_string(hide_password=False)}?sslnegotiation=direct"


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in trust.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def answers(address: str) -> bool:
    database = Database(load({"RUSHES_S3_BUCKET": "videos", "RUSHES_DATABASE_URL": address}).database_url, threads=1)
    try:
        with database.read() as db:
            return bool(db.execute(sa.text("SELECT 1")).scalar_one())
    finally:
        database.close()


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslrootcert=system", "sslmode=verify-ca"])
def test_a_certificate_is_verified_by_whom_the_environment_trusts(
    address: str, authority: tuple[trustme.CA, Path], query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        answers(f"{address}&{query}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[1]))  # which OpenSSL does not read by itself
    assert answers(f"{address}&{query}")


def test_an_authority_that_the_address_names_is_the_only_one(
    address: str, authority: tuple[trustme.CA, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answers(f"{address}&sslmode=verify-full&sslrootcert={authority[1]}")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    trustme.CA().cert_pem.write_to_path(tmp_path / "another.pem")
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        answers(f"{address}&sslmode=verify-full&sslrootcert={tmp_path / 'another.pem'}")
