"""The settings of this machine: the environment, completed from what `rushes up` keeps in the data folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import BadSettings
from jobs.settings import Settings, load
from jobs.store import migrate
from jobs.store.database import Database, DatabaseUnavailable, DiskFull
from jobs.store.migrate import SchemaOutdated
from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure
from rushes.local.folder import BadFolder, read_local

DATABASE = frozenset({"RUSHES_DATABASE_URL", "RUSHES_DATABASE_URL_FILE"})
NOTICES = frozenset(
    f"RUSHES_{name}{end}"
    for name in ("NOTICE_SECRETS", "NOTIFY_HOSTS", "ALLOW_PRIVATE_ADDRESSES")
    for end in ("", "_FILE")
)
BROKER = frozenset({"RUSHES_REDIS_URL", "RUSHES_REDIS_URL_FILE"})
STORE = frozenset(
    f"{name}{end}"
    for name in ("RUSHES_S3_BUCKET", "RUSHES_S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    for end in ("", "_FILE")
)


def settings_for_database(data_dir: Path) -> Settings:
    """For commands that touch the database alone."""
    return _settings(data_dir, needs=DATABASE)


def settings_for_notices(data_dir: Path) -> Settings:
    """For whoever sends a notice from here."""
    return _settings(data_dir, needs=NOTICES)


def settings_for_broker(data_dir: Path) -> Settings:
    """For whoever sends Celery's messages to the service."""
    return _settings(data_dir, needs=BROKER)


def settings_for_pruning(data_dir: Path) -> Settings:
    """For commands that touch the database and the bucket."""
    return _settings(data_dir, needs=DATABASE | STORE)


def settings_for_work(data_dir: Path) -> Settings:
    """For commands that talk to gateways and the bucket as well."""
    return _settings(data_dir, needs=None)


@contextmanager
def database(settings: Settings, *, checked: bool = True) -> Iterator[Database]:
    """The database, at this code's version if `checked`. Its troubles end the command."""
    opened = Database(settings.database_url, threads=1)
    try:
        with told():
            if checked:
                migrate.check(opened)
            yield opened
    finally:
        opened.close()


@contextmanager
def told() -> Iterator[None]:
    """What the core raises, as failures of a command."""
    try:
        yield
    except BadSettings as error:
        raise Failure(str(error), failures.USAGE) from error
    except DatabaseUnavailable as error:
        if isinstance(error, DiskFull):
            raise Failure(
                f"the database's disk is full: {error}", failures.UNREACHABLE, hint="make room on it"
            ) from error
        hint = "is it running, and is this the data folder (--data-dir) or RUSHES_DATABASE_URL that you mean?"
        raise Failure(f"the database cannot be used: {error}", failures.UNREACHABLE, hint=hint) from error
    except SchemaOutdated as error:
        raise Failure(str(error).partition(":")[0], hint="run `rushes db upgrade`") from error


def _settings(data_dir: Path, *, needs: frozenset[str] | None) -> Settings:
    environ = {**os.environ, "RUSHES_DATA_DIR": str(data_dir)}
    try:
        kept = read_local(data_dir)
    except BadFolder as error:
        raise Failure(str(error)) from error
    if kept:
        from rushes.local.plan import Flags, plan  # needs the extra `local`, which a container has no use for

        served = kept.get("served", {})
        outside = [name for name in served.get("outside", []) if needs is None or name in needs]
        if missing := [name for name in outside if not os.environ.get(name)]:
            told_ = f"`rushes up` got {', '.join(missing)} from its environment; here it is not set"
            raise Failure(told_, failures.USAGE, hint="set it here too, so that both mean the same")
        flags = Flags(served.get("port", 8080), served.get("sandbox", False), served.get("speed", 1.0))
        bin_dir = Path(sys.executable).parent
        environ = dict(plan(environ, kept, flags, data_dir=data_dir, bin_dir=bin_dir).service)
    try:
        return load(environ)
    except BadSettings as error:
        hint = f"{data_dir} holds no installation of `rushes up` (--data-dir), which makes up whatever is not set"
        raise Failure(str(error), failures.USAGE, hint=None if kept else hint) from error
