"""`rushes sandbox`: `python -m sandbox` under a shorter name. Nobody imports the sandbox: it is the other side."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

from rushes.cli.terminal.failures import Failure


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    help="Run the stand-in for the five gateways; `rushes sandbox --help` tells its flags and faults.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Become the sandbox, with the same flags."""
    if find_spec("PIL") is None:
        hint = "install the extra as well: rushes[cli,local]; the image of docker-compose.yml is without it"
        raise Failure("`rushes sandbox` needs Pillow to draw its films, and it is not installed", hint=hint)
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments])  # noqa: S606  # no shell is what we want
