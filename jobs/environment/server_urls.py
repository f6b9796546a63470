"""Addresses of databases and brokers, as vendors print them, in the one form that every library here reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:  # large, and not wanted where no database is named
    import sqlalchemy as sa

# What printed addresses of PostgreSQL say to other programs: to Prisma and Rails about poolers, to asyncpg and
# node-postgres about statements and TLS, to Supabase's and Vercel's own.
TO_OTHERS = (
    *("pgbouncer", "connection_limit", "pool_timeout", "sslaccept", "prepared_statements"),
    *("statement_cache_size", "prepared_statement_cache_size", "uselibpqcompat", "supa", "workaround"),
)
POSTGRESQL = ("postgresql", "postgres")
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SYSTEM = "system"  # libpq's word for the public authorities, which it looks for where its own wheel was built
PORT = 5432
VERIFICATION = ("required", "optional", "none")  # of a broker's certificate: redis-py's words, which Celery reads too


class BadUrl(ValueError):
    """What is wrong with an address, and what would be right. It tells no part of the address."""


def of_database(url: str, authorities: str, *, names_own: bool = False) -> str:
    """SQLAlchemy's URL of a database; `postgres://` is `postgresql://`, whatever driver it is for. Raises BadUrl.

    Where a certificate is to be verified and no authority is named, those of the file `authorities` vouch for it;
    `names_own`: libpq is told its own in another place.
    """
    import sqlalchemy as sa

    try:
        made = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise BadUrl("is neither PostgreSQL nor SQLite") from None
    backend = made.get_backend_name()
    if backend == "sqlite":
        return made.render_as_string(hide_password=False)
    if backend not in POSTGRESQL:
        raise BadUrl("is neither PostgreSQL nor SQLite")
    made = made.set(drivername="postgresql+psycopg").difference_update_query(TO_OTHERS)
    made = _verified(_with_sslmode(made), authorities, names_own=names_own)
    _check_words(made)
    return made.render_as_string(hide_password=False)


def places_of_database(url: str) -> Iterator[tuple[str, int]]:
    """The hosts and ports that a URL names, be it in its parameters, as libpq reads them; nothing of one it is none."""
    if not url:
        return
    import sqlalchemy as sa

    try:
        made = sa.make_url(url)
        hosts = [made.host or "", *_listed(made, "host"), *_listed(made, "hostaddr")]
        ports = [made.port or PORT, *map(int, filter(str.isdecimal, _listed(made, "port")))]
    except (sa.exc.ArgumentError, ValueError):
        return
    for host in hosts:
        name, _, port = host.rpartition(":") if host.count(":") == 1 else (host, "", "")
        if name and not name.startswith("/"):  # a folder with a socket is no place in the network
            yield from ((name, each) for each in ([int(port)] if port.isdecimal() else ports))


def of_broker(url: str, authorities: str) -> str:
    """A broker's URL with `ssl_cert_reqs` where it wants TLS: without that Celery refuses it. Raises BadUrl.

    A certificate is verified unless the URL says otherwise; where it names no authority, those of the file
    `authorities` vouch for it. `CERT_REQUIRED`, Celery's word, is redis-py's `required`.
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
    said |= {"ssl_cert_reqs": word}
    if word != VERIFICATION[-1] and not said.keys() & {"ssl_ca_certs", "ssl_ca_path", "ssl_ca_data"}:
        said |= {"ssl_ca_certs": authorities}
    return parts._replace(query=urlencode(said, safe="/:")).geturl()


def _with_sslmode(url: sa.URL) -> sa.URL:
    """`ssl=true` and its kin, which other drivers read, in libpq's word."""
    said = [value.lower() for value in _listed(url, "ssl")]
    url = url.difference_update_query(("ssl",))
    if not said or "sslmode" in url.query:
        return url
    word = said[-1] if said[-1] in SSLMODES else "require" if said[-1] in ("true", "1") else None
    return url.update_query_dict({"sslmode": word}) if word else url


def _verified(url: sa.URL, authorities: str, *, names_own: bool) -> sa.URL:
    modes, files = _listed(url, "sslmode"), _listed(url, "sslrootcert")
    if SYSTEM in files:
        return url.update_query_dict({"sslmode": SSLMODES[-1], "sslrootcert": authorities})
    if modes and modes[-1].startswith("verify-") and not files and not names_own:
        return url.update_query_dict({"sslrootcert": authorities})
    return url


def _listed(url: sa.URL, name: str) -> Sequence[str]:
    """A parameter's values: it may stand there several times, and a value may be a list."""
    return [part for value in url.normalized_query.get(name, ()) for part in value.split(",")]


def _check_words(url: sa.URL) -> None:
    """Raises BadUrl for a parameter that PostgreSQL's own library does not know."""
    import psycopg  # slow, and not wanted for SQLite
    from psycopg.conninfo import make_conninfo

    for name in url.query:
        try:
            make_conninfo("", **{name: "1"})
        except psycopg.Error:
            raise BadUrl(f"has a parameter that PostgreSQL's library does not know: {name!r}") from None
