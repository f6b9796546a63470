"""`rushes tail`: what happens to all jobs, as it happens."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from jobs.reports.happenings import Happening
from rushes.cli import options
from rushes.cli.service.api import Api, connect
from rushes.cli.terminal import failures, happenings, output

LOOK_EVERY_S = 1.0


@click.command()
@options.data_dir
@options.as_json
def command(data_dir: Path, as_json: bool) -> None:
    """Show what happens to all jobs, from now on, until Ctrl-C. With --json: a line for each move."""
    try:
        _follow(connect(data_dir), as_json)
    except KeyboardInterrupt:
        sys.exit(failures.INTERRUPTED)


def _follow(api: Api, as_json: bool) -> None:
    after = api.get("/v1/events")["next"]
    while True:
        told = api.get("/v1/events", {"after": after})
        for move in told["data"]:
            if as_json:
                output.as_json(move, line=True)
            else:
                output.plain(_line(move), fg=happenings.COLORS.get(move["state"]))
        if told["next"] == after:
            api.pause(LOOK_EVERY_S)
        after = told["next"]


def _line(move: dict[str, Any]) -> str:
    happening = Happening(**{**move, "at": datetime.fromisoformat(move["at"])})
    return f"{happenings.local_time(happening.at)}  {happenings.sentence(happening)}"
