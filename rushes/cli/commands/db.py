"""`rushes db`: the database's schema, its backups, and what it need not keep for ever."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from jobs import logs
from jobs.broker import ringing_app
from jobs.buckets import bucket
from jobs.machine.times import iso_s
from jobs.ringer import CeleryRinger
from jobs.store import migrate
from jobs.upkeep import restore
from jobs.upkeep.prune import Pruned, Pruning
from jobs.upkeep.prune_aside import prune_aside
from jobs.upkeep.restore import NotRestored
from jobs.worker.bootstrap import worker_resources
from rushes.cli import machine, options
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from storage.errors import BucketUnavailable

EXAMPLE = "2026-11-21T16:00:00Z"
ROLE = "restore"  # how its leases would be signed


@click.group()
def command() -> None:
    """The database: that of the environment, or of the data folder."""


@command.command()
@options.data_dir
@options.as_json
def upgrade(data_dir: Path, as_json: bool) -> None:
    """Bring the schema up to this version. Safe to repeat, and for two at once."""
    settings = machine.settings_for_database(data_dir)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with machine.database(settings, checked=False) as database:
        migrate.upgrade(database)
    _say("up to date", as_json)


@command.command()
@options.data_dir
@options.as_json
def check(data_dir: Path, as_json: bool) -> None:
    """Say whether the schema is what this version expects."""
    with machine.database(machine.settings_for_database(data_dir)) as database:
        found = [str(difference) for difference in migrate.differences(database)]
    if found:
        raise Failure("\n".join(["the tables differ from this version's:", *found]))
    _say("up to date", as_json)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.data_dir
@options.as_json
def backup(file: Path, data_dir: Path, as_json: bool) -> None:
    """Copy a SQLite database, as it is at this moment, to FILE. The service may go on working.

    Keep the time that is printed with the copy: `rushes db restored --as-of` wants it. For PostgreSQL use pg_dump,
    at the server's own address and not at a pooler's.
    """
    with machine.database(machine.settings_for_database(data_dir)) as database:
        if not database.is_sqlite:
            hint = (
                "note the time in UTC (`date -u +%FT%TZ`), then run pg_dump --format=custom --file=FILE, at the"
                " server's own address and not at a pooler's"
            )
            raise Failure("this database is PostgreSQL, which brings its own backups", failures.USAGE, hint=hint)
        try:
            taken_at = database.back_up(file)
        except FileExistsError as error:
            raise Failure(f"{file} is there already", failures.USAGE, hint="choose another name") from error
    as_of = iso_s(taken_at)
    if as_json:
        output.as_json({"file": str(file), "as_of": as_of})
    else:
        output.plain(as_of)
        output.note(f"{file} holds the database of this moment; to use it: docs/restore.md")


@command.command()
@click.option("--as-of", required=True, metavar="TIME", help=f"When the backup was taken, as {EXAMPLE}.")
@options.data_dir
@options.as_json
def restored(as_of: str, data_dir: Path, as_json: bool) -> None:
    """Say that a backup was put back. Run it once, before any process starts; docs/restore.md has all the steps.

    Jobs that may have been ordered since the backup become unconfirmed: they wait for their gateway's callback, and are
    not ordered again. All of it is one transaction.
    """
    moment = _moment(as_of)
    settings = machine.settings_for_work(data_dir)
    logs.configure("WARNING")
    with machine.database(settings):
        pass  # reachable, and at this version
    resources = worker_resources(settings, CeleryRinger(ringing_app(settings)), ROLE)
    try:
        with machine.told():
            done = restore.restored(resources, as_of=moment)
    except NotRestored as error:
        raise Failure(str(error)) from error
    finally:
        resources.client.close()
        resources.database.close()
    if as_json:
        output.as_json({"live": done.live, "unconfirmed": done.unconfirmed})
        return
    found = ", ".join(f"{count} {state}" for state, count in sorted(done.live.items())) or "none"
    output.note(f"live jobs in the backup: {found}; {done.unconfirmed} are unconfirmed now")
    output.note("next: `rushes audit --repair`")


@command.command()
@click.option("--dry-run", is_flag=True, help="Count what would go, and delete nothing.")
@options.data_dir
@options.as_json
def prune(dry_run: bool, data_dir: Path, as_json: bool) -> None:
    """Delete what nobody needs any more, and pack what rests, in small steps. The service may go on working.
    `rushes up` does it by itself, every hour; elsewhere run it daily, from cron.

    Old callbacks (RUSHES_KEEP_CALLBACKS_D), the events and notices of jobs that ended long ago and what their gateways
    were sent (RUSHES_KEEP_HISTORY_D), idempotency keys (RUSHES_KEEP_IDEMPOTENCY_KEYS_D), and films that are kept aside
    in the bucket (RUSHES_KEEP_ASIDE_D). Jobs, their orders and all money stay, so costs and audits come out as before;
    so do archived videos. A live job loses nothing.

    What stays of a history is packed into one row when its job has rested for a day (RUSHES_PACK_HISTORY_D). Nothing is
    lost by that, and it is read as before.
    """
    settings, films = machine.settings_for_pruning(data_dir), 0
    trouble: BucketUnavailable | None = None
    with machine.database(settings) as database:
        done = Pruning(database, settings, dry_run).run()
        try:
            films = prune_aside(database, bucket(settings), settings, dry=dry_run)
        except BucketUnavailable as error:
            trouble = error
    if as_json:
        output.as_json({"dry_run": dry_run, **asdict(done), "films": films})
    else:
        output.note(f"{'would delete' if dry_run else 'deleted'} {counted(done, films)}")
        if done.packed_histories:
            packed = output.counted(done.packed_histories, "job")
            output.note(f"{'would pack' if dry_run else 'packed'} the history of {packed}")
    if trouble is not None:
        hint = "films that are kept aside need s3:ListBucket and s3:DeleteObject below contested/ and unproven/"
        raise Failure(f"not all films that are kept aside could go: {trouble}", failures.UNREACHABLE, hint=hint)


def counted(done: Pruned, films: int) -> str:
    """What went, in words; `nothing` if nothing did."""
    told = {
        output.counted(done.callbacks, "callback"): done.callbacks,
        f"the history of {output.counted(done.histories, 'job')} ({done.events} events)": done.histories,
        f"what was sent with {output.counted(done.requests, 'order')}": done.requests,
        output.counted(done.notices, "notice"): done.notices,
        output.counted(done.idempotency_keys, "idempotency key"): done.idempotency_keys,
        f"{output.counted(films, 'film')} kept aside": films,
    }
    return ", ".join(words for words, count in told.items() if count) or "nothing"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Failure(f"{text!r} is no time with a zone", failures.USAGE, hint=f"for example --as-of {EXAMPLE}")
    return moment.astimezone(UTC)


def _say(status: str, as_json: bool) -> None:
    if as_json:
        output.as_json({"status": status})
    else:
        output.note(f"the database is {status}")
