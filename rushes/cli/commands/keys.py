"""`rushes keys`: who may call the API."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.errors import BadRequest
from jobs.intake import api_keys, new_jobs
from jobs.intake.api_keys import Scope
from rushes.cli import machine, options
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from storage.outbound.guard import masked


@click.group()
def command() -> None:
    """API keys of this installation.

    They work on this machine's database: the environment's, or that of the data folder.
    """


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    default=Scope.WRITE.value,
    show_default=True,
    help="read: look at everything. write: also order, cancel and retry. admin: also what administers the service.",
)
@click.option("--notify-url", metavar="URL", help="Where notices of its jobs go, unless a job names another place.")
@options.data_dir
@options.as_json
def create(name: str, scope: str, notify_url: str | None, data_dir: Path, as_json: bool) -> None:
    """Make a key for NAME. It is shown once, and kept as a digest only."""
    name = name.strip()
    if not api_keys.is_name(name):
        raise Failure(api_keys.NAMES, failures.USAGE)
    settings = machine.settings_for_database(data_dir)
    if notify_url is not None:
        try:
            new_jobs.check_notify_url(notify_url, settings)
        except BadRequest as error:
            raise Failure(" ".join(error.fields["notify_url"]), failures.USAGE) from error
    with machine.database(settings) as database:
        key_id, key = api_keys.create(database, name, Scope(scope), notify_url=notify_url)
    if as_json:
        told = {"id": key_id, "name": name, "key": key, "scope": scope}
        output.as_json({**told, "notify_url": notify_url and masked(notify_url)})
        return
    output.plain(key)
    output.note(f"{key_id} for {name}, of scope {scope}; it will not be shown again")


@command.command("list")
@options.data_dir
@options.as_json
def list_(data_dir: Path, as_json: bool) -> None:
    """All keys, oldest first."""
    with machine.database(machine.settings_for_database(data_dir)) as database, database.read() as db:
        rows = [{**row, "notify_url": row["notify_url"] and masked(row["notify_url"])} for row in api_keys.every(db)]
    keys = [{n: v.isoformat() if hasattr(v, "isoformat") else v for n, v in row.items()} for row in rows]
    if as_json:
        output.as_json(keys)
        return
    names = ("id", "name", "scope", "created_at", "last_used_at", "revoked_at", "notify_url")
    output.table(
        [name.removesuffix("_at") for name in names], [[key[name] for name in names] for key in keys], spare=()
    )


@command.command()
@click.argument("key_id", metavar="ID")
@options.data_dir
@options.as_json
def revoke(key_id: str, data_dir: Path, as_json: bool) -> None:
    """Take a key back, at once and for good."""
    with machine.database(machine.settings_for_database(data_dir)) as database:
        if not api_keys.revoke(database, key_id):
            raise Failure(f"no live key has the id {key_id}", failures.NOT_FOUND, hint="see `rushes keys list`")
    if as_json:
        output.as_json({"id": key_id, "revoked": True})
    else:
        output.note(f"{key_id} is revoked")
