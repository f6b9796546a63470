"""Addresses of databases and brokers, as vendors print them, in the one form that every library here reads. Pure."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa

# What printed addresses of PostgreSQL say to other programs: to Prisma about poolers, to Supabase's own.
TO_OTHERS = ("pgbouncer", "connection_limit", "pool_timeout", "supa")
POSTGRESQL = ("postgresql", "postgres")
VERIFICATION = ("required", "optional", "none")  # of a broker's certificate: redis-py's words, which Celery reads too


class BadUrl(ValueError):
    """What is wrong with an address, and what would be right. It tells no part of the address."""


def of_database(url: str) -> str:
    """SQLAlchemy's URL of a database. `postgres://` is `postgresql://`. Raises BadUrl."""
    try:
        made = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise BadUrl("is neither PostgreSQL nor SQLite") from None
    backend, _, driver = made.drivername.partition("+")
    if backend == "sqlite":
        return made.render_as_string(hide_password=False)
    if backend not in POSTGRESQL:
        raise BadUrl("is neither PostgreSQL nor SQLite")
    made = made.set(drivername=f"postgresql+{driver or 'psycopg'}").difference_update_query(TO_OTHERS)
    _check_words(made)
    return made.render_as_string(hide_password=False)


def of_broker(url: str) -> str:
    """A broker's URL with `ssl_cert_reqs` where it wants TLS: without that Celery refuses it. Raises BadUrl.

    A certificate is verified unless the URL says otherwise. `CERT_REQUIRED`, Celery's word, is redis-py's `required`.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        if "ssl_" in parts.query:
            raise BadUrl("speaks of certificates without TLS; begin it with rediss://")
        return url
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    word = said.get("ssl_cert_reqs", "").lower().removeprefix("cert_") or VERIFICATION[0]
    if word not in VERIFICATION:
        raise BadUrl(f"has an ssl_cert_reqs that is none of {', '.join(VERIFICATION)}")
    return parts._replace(query=urlencode(said | {"ssl_cert_reqs": word}, safe="/:")).geturl()


def _check_words(url: sa.URL) -> None:
    """Raises BadUrl for a parameter that PostgreSQL's own library does not know."""
    import psycopg  # slow, and not wanted for SQLite
    from psycopg.conninfo import make_conninfo

    for name in url.query:
        try:
            make_conninfo("", **{name: "1"})
        except psycopg.Error:
            raise BadUrl(f"has a parameter that PostgreSQL's library does not know: {name!r}") from None
