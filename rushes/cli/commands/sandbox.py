"""`rushes sandbox`: `python -m sandbox` under a shorter name. Nobody imports the sandbox: it is the other side."""

from __future__ import annotations

import os
import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    help="Run the stand-in for the five gateways; `rushes sandbox --help` tells its flags and faults.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Become the sandbox, with the same flags."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments])  # noqa: S606  # no shell is what we want
