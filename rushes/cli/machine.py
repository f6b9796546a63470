"""The settings of this machine: the environment, completed from what `rushes up` keeps in the data folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import BadSettings, JobsError
from jobs.settings import Settings, load
from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure
from rushes.local.folder import BadFolder, read_local

if TYPE_CHECKING:  # what the database needs stays in the memory of `rushes up`, and most commands need none
    from jobs.store.database import Database

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
    from jobs.store import migrate
    from jobs.store.database import Database

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
    except JobsError as error:
        failure = _of_database(error)
        if failure is None:
            raise
        raise failure from error


def _of_database(error: JobsError) -> Failure | None:
    """The failure that an error of the database is, if it is one."""
    from jobs.store.database import DatabaseUnavailable, DiskFull
    from jobs.store.migrate import SchemaOutdated

    if isinstance(error, DiskFull):
        return Failure(f"the database's disk is full: {error}", failures.UNREACHABLE, hint="make room on it")
    if isinstance(error, DatabaseUnavailable):
        hint = "is it running, and is this the data folder (--data-dir) or RUSHES_DATABASE_URL that you mean?"
        return Failure(f"the database cannot be used: {error}", failures.UNREACHABLE, hint=hint)
    if isinstance(error, SchemaOutdated):
        return Failure(str(error).partition(":")[0], hint="run `rushes db upgrade`")
    return None


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
