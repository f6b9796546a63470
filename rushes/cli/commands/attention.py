"""`rushes attention`: what needs a person."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jobs.machine.error_codes import REASONS
from jobs.reports.attention_items import MOST
from rushes.cli import options
from rushes.cli.service.api import connect
from rushes.cli.terminal import output

# Heads, and the fields below them.
SHOWN = {
    "reason": "reason",
    "job": "job_id",
    "gateway": "provider",
    "what": "detail",
    "to do": "then",
    "command": "command",
    "order": "attempt",
    "ordered": "ordered_at",
    "key": "account",
    "task": "task_id",
    "prompt": "prompt",
    "link": "link",
}


@click.command()
@click.option("--reason", metavar="CODE", help=f"Only this one: {', '.join(REASONS)}.")
@click.option("--limit", type=click.IntRange(1, MOST), default=100, show_default=True)
@options.data_dir
@options.as_json
def command(reason: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """What the service will not, or cannot, settle by itself, and what you can do about it.

    Orders whose answer was lost, money of which nobody knows, links that die, videos that were paid for and not
    delivered, gateways without credit or with a refused key, rows that steps stumble over.
    """
    asked = {"reason": reason, "limit": limit}
    told = connect(data_dir).get("/v1/attention", asked)
    if as_json:
        output.as_json(told)
        return
    if not told["data"]:
        output.note("nothing needs a person")
    elif sys.stdout.isatty():  # as a table for each, since no terminal is as wide as all of it
        for each in told["data"]:
            facts = [[head, each[name]] for head, name in SHOWN.items() if each[name] is not None]
            output.table(facts[0], facts[1:])
    else:
        output.table(list(SHOWN), [[each[name] for name in SHOWN.values()] for each in told["data"]])
    if told["has_more"]:
        output.note(f"there are more: --limit {MOST}, or --reason with one of {', '.join(told['counts'])}")
