"""Addresses as vendors print them."""

from __future__ import annotations

import pytest

from jobs.environment import server_urls
from jobs.settings import load

BASE = {"RUSHES_S3_BUCKET": "videos"}


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("redis://:pw@host:6379/0", "redis://:pw@host:6379/0"),
        ("rediss://host/0", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://default:p%40w@host:6380", "rediss://default:p%40w@host:6380?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=CERT_NONE", "rediss://host/0?ssl_cert_reqs=none"),
        ("rediss://host/0?ssl_cert_reqs=Optional", "rediss://host/0?ssl_cert_reqs=optional"),
        (
            "rediss://host/0?ssl_ca_certs=/etc/ssl/own.pem",
            "rediss://host/0?ssl_ca_certs=/etc/ssl/own.pem&ssl_cert_reqs=required",
        ),
    ],
)
def test_a_broker(printed: str, read: str) -> None:
    assert load({**BASE, "RUSHES_REDIS_URL": printed}).redis_url == read


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("postgres://u:p%40w@host:5432/d", "postgresql+psycopg://u:p%40w@host:5432/d"),
        (
            "postgresql://u:p@h-pooler.example/d?sslmode=require&channel_binding=require",
            "postgresql+psycopg://u:p@h-pooler.example/d?channel_binding=require&sslmode=require",
        ),
        (
            "postgres://u.ref:p@pooler.example:6543/postgres?sslmode=require&supa=base-pooler.x&pgbouncer=true",
            "postgresql+psycopg://u.ref:p@pooler.example:6543/postgres?sslmode=require",
        ),
        ("postgresql://u:p@h/d?options=endpoint%3Dep-1", "postgresql+psycopg://u:p@h/d?options=endpoint%3Dep-1"),
        ("sqlite:////srv/rushes.db", "sqlite:////srv/rushes.db"),
    ],
)
def test_a_database(printed: str, read: str) -> None:
    assert load({**BASE, "RUSHES_DATABASE_URL": printed}).database_url == read


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
        reader(url)
    assert "hidden" not in str(caught.value)
