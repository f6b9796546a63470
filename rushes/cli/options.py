"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure

as_json = click.option("--json", "as_json", is_flag=True, help="Print data as JSON, and nothing else, on stdout.")
data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="RUSHES_DATA_DIR",
    default=Path(".rushes"),
    show_default=True,
    help="The data folder of `rushes up`.",
)
limit = click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
cursor = click.option("--cursor", help="Where to go on: `next_cursor` of the page before.")


def row_id(what: str, example: str, *, required: bool = True) -> Callable[..., Any]:
    """The argument ID, which becomes a part of a path."""

    def checked(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        return None if value is None else _part_of_path(value, what, example)

    return click.argument("row_id", metavar="ID" if required else "[ID]", required=required, callback=checked)


def job_ids(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument ID..., each of a job and once."""
    return _job_ids(command, required=True)


def job_id(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """An option that names a job."""
    return None if value is None else _part_of_path(value, "job", "job_01K…")


def some_job_ids(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same where there may be none."""
    return _job_ids(command, required=False)


def _job_ids(command: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    def checked(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
        return [_part_of_path(value, "job", "job_01K…") for value in dict.fromkeys(values)]

    metavar = "ID..." if required else "[ID]..."
    return click.argument("job_ids", metavar=metavar, nargs=-1, required=required, callback=checked)(command)


def _part_of_path(value: str, what: str, example: str) -> str:
    """Raises Failure for what would lead elsewhere."""
    if not value or quote(value, safe="") != value:
        raise Failure(f"{value!r} is no {what}'s id", failures.NOT_FOUND, hint=f"ids look like {example}")
    return value


def pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    """NAME=VALUE, repeated: as pairs."""
    split = [value.partition("=") for value in values]
    if bad := [value for value, (name, equals, _) in zip(values, split, strict=True) if not equals or not name]:
        raise click.BadParameter(f"{bad[0]!r} should read {parameter.metavar}")
    return [(name, value) for name, _, value in split]


def names(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Names, repeated, each once."""
    if "" in values:
        raise click.BadParameter("a name has at least one character")
    return tuple(dict.fromkeys(values))
