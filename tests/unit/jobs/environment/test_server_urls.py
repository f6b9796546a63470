"""Addresses as vendors print them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from jobs.environment import server_urls
from jobs.settings import load
from jobs.store import postgres
from storage.outbound import trust

BASE = {"RUSHES_S3_BUCKET": "videos"}


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("redis://:pw@host:6379/0", "redis://:pw@host:6379/0"),
        ("rediss://host/0", "rediss://host/0?ssl_cert_reqs=required&ssl_ca_certs={all}"),
        (
            "rediss://default:p%40w@host:6380",
            "rediss://default:p%40w@host:6380?ssl_cert_reqs=required&ssl_ca_certs={all}",
        ),
        ("rediss://host/0?ssl_cert_reqs=", "rediss://host/0?ssl_cert_reqs=required&ssl_ca_certs={all}"),
        ("rediss://host/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://host/0?ssl_cert_reqs=required&ssl_ca_certs={all}"),
        ("rediss://host/0?ssl_cert_reqs=CERT_NONE", "rediss://host/0?ssl_cert_reqs=none"),
        ("rediss://host/0?ssl_cert_reqs=Optional", "rediss://host/0?ssl_cert_reqs=optional&ssl_ca_certs={all}"),
        (
            "rediss://host/0?ssl_ca_certs=/etc/ssl/own.pem",
            "rediss://host/0?ssl_ca_certs=/etc/ssl/own.pem&ssl_cert_reqs=required",
        ),
    ],
)
def test_a_broker(printed: str, read: str) -> None:
    assert load({**BASE, "RUSHES_REDIS_URL": printed}).redis_url == read.format(all=trust.ca_file())


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("postgres://u:p%40w@host:5432/d", "u:p%40w@host:5432/d"),
        ("postgresql+psycopg2://u:p@host/d", "u:p@host/d"),
        ("postgresql+asyncpg://u:p@host/d?ssl=require&statement_cache_size=0", "u:p@host/d?sslmode=require"),
        ("postgres+pg8000://u:p@host/d?ssl=true", "u:p@host/d?sslmode=require"),
        ("postgres://u:p@host/d?ssl=false", "u:p@host/d"),
        (
            "postgres://u:p@host/d?ssl=true&sslmode=verify-ca&sslrootcert=/a.pem",
            "u:p@host/d?sslmode=verify-ca&sslrootcert=%2Fa.pem",
        ),
        ("postgres://u:p@host/d?sslmode=verify-full", "u:p@host/d?sslmode=verify-full&sslrootcert={all}"),
        ("postgres://u:p@host/d?sslrootcert=system", "u:p@host/d?sslmode=verify-full&sslrootcert={all}"),
        (
            "postgresql://u:p@h-pooler.example/d?sslmode=require&channel_binding=require",
            "u:p@h-pooler.example/d?channel_binding=require&sslmode=require",
        ),
        (
            "postgres://u.ref:p@pooler.example:6543/postgres?sslmode=require&supa=base-pooler.x&pgbouncer=true"
            "&sslaccept=strict&uselibpqcompat=true&workaround=supabase-pooler.vercel&prepared_statements=false",
            "u.ref:p@pooler.example:6543/postgres?sslmode=require",
        ),
        ("postgresql://u:p@h/d?options=endpoint%3Dep-1", "u:p@h/d?options=endpoint%3Dep-1"),
    ],
)
def test_a_database(printed: str, read: str) -> None:
    expected = f"postgresql+psycopg://{read.format(all=quote(trust.ca_file(), safe=''))}"
    assert load({**BASE, "RUSHES_DATABASE_URL": printed}).database_url == expected


def test_a_file_of_sqlite_stays_as_it_is() -> None:
    assert load({**BASE, "RUSHES_DATABASE_URL": "sqlite:////srv/rushes.db"}).database_url == "sqlite:////srv/rushes.db"


def test_an_authority_that_libpq_is_told_elsewhere_counts(tmp_path: Path) -> None:
    verified = {**BASE, "RUSHES_DATABASE_URL": "postgres://u:p@host/d?sslmode=verify-full"}
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    for told in ({"PGSSLROOTCERT": "/own.pem"}, {"HOME": str(tmp_path)}):
        assert "sslrootcert" not in load({**verified, **told}).database_url


@pytest.mark.parametrize(("said", "waits_s"), [("", 3), ("?connect_timeout=15", "15")])
def test_a_database_that_takes_long_to_wake_up_is_waited_for_as_its_address_says(said: str, waits_s: object) -> None:
    url = load({**BASE, "RUSHES_DATABASE_URL": f"postgres://u:p@host/d{said}"}).database_url
    engine = postgres.engine_of(sa.make_url(url), threads=1)
    told: dict[str, object] = {}

    @sa.event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, ___: object, arguments: dict[str, object]) -> None:
        told.update(arguments)
        raise sa.exc.InterfaceError("", {}, Exception("nobody is there"))

    with pytest.raises(sa.exc.InterfaceError):
        engine.connect()
    assert told["connect_timeout"] == waits_s


def test_a_password_is_hidden_as_it_is_and_as_it_is_written() -> None:
    urls = {"RUSHES_DATABASE_URL": "postgres://u:p%40ssword@host/d", "RUSHES_REDIS_URL": "redis://:s%2Fcret@host"}
    assert {"p@ssword", "p%40ssword", "s/cret", "s%2Fcret"} <= load({**BASE, **urls}).secrets


@pytest.mark.parametrize(
    ("reader", "url", "said"),
    [
        (server_urls.of_broker, "rediss://:hidden@h/0?ssl_cert_reqs=maybe", "none of required, optional, none"),
        (server_urls.of_broker, "redis://:hidden@h/0?ssl_cert_reqs=none", "begin it with rediss://"),
        (server_urls.of_database, "postgresql://u:hidden@h/d?schema=public", "does not know: 'schema'"),
        (server_urls.of_database, "mysql://u:hidden@h/d", "neither PostgreSQL nor SQLite"),
    ],
)
def test_what_is_wrong_with_one_is_said_without_its_password(reader: object, url: str, said: str) -> None:
    assert callable(reader)
    with pytest.raises(server_urls.BadUrl, match=said) as caught:
        reader(url, "/etc/ssl/all.pem")
    assert "hidden" not in str(caught.value)
