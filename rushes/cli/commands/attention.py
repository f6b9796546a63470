"""`rushes attention`: what needs a person."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.machine.error_codes import REASONS
from jobs.reports.attention import MOST
from rushes.cli import options
from rushes.cli.service.api import connect
from rushes.cli.terminal import output


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
    names = ("reason", "job_id", "provider", "detail", "then")
    if told["data"]:
        output.table(
            ["reason", "job", "gateway", "what", "to do"], [[each[name] for name in names] for each in told["data"]]
        )
    else:
        output.note("nothing needs a person")
    if told["has_more"]:
        output.note(f"there are more: --limit {MOST}, or --reason with one of {', '.join(told['counts'])}")
