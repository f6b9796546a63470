"""`rushes db`: the database's schema."""

from __future__ import annotations

from pathlib import Path

import click

from jobs import schema
from rushes.cli import machine, options, output
from rushes.cli.failures import Failure


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
        schema.upgrade(database)
    _say("up to date", as_json)


@command.command()
@options.data_dir
@options.as_json
def check(data_dir: Path, as_json: bool) -> None:
    """Say whether the schema is what this version expects."""
    with machine.database(machine.settings_for_database(data_dir)) as database:
        found = [str(difference) for difference in schema.differences(database)]
    if found:
        raise Failure("\n".join(["the tables differ from this version's:", *found]))
    _say("up to date", as_json)


def _say(status: str, as_json: bool) -> None:
    if as_json:
        output.as_json({"status": status})
    else:
        output.note(f"the database is {status}")
