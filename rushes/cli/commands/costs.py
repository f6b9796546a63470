"""`rushes costs`: what the orders came to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from rushes.cli import options
from rushes.cli.service.api import connect
from rushes.cli.terminal import output
from rushes.cli.terminal.output import Colored
from rushes.provider_words import dollars

# Lines that want somebody's attention once there is something on them, and what to read of them.
MARKED = {"paid_not_delivered": "red", "uncertain": "yellow"}
HEAD = ["orders", "US$", "without a price"]


@click.command()
@click.option("--from", "since", metavar="DAY", help="The first day, YYYY-MM-DD in UTC; 29 days before the last one.")
@click.option("--to", "until", metavar="DAY", help="The last day; today if left out.")
@click.option("--provider", metavar="NAME", help="Only this gateway.")
@options.data_dir
@options.as_json
def command(since: str | None, until: str | None, provider: str | None, data_dir: Path, as_json: bool) -> None:
    """What the orders of some days came to, by gateway, day and what became of the money.

    US dollars are what the gateway reported, else what was expected. Two lines want somebody: paid_not_delivered (made
    and charged, without a video in the bucket) and uncertain (nobody knows whether it was charged).
    """
    asked = {"from": since, "to": until, "provider": provider}
    told = connect(data_dir).get("/v1/costs", asked)
    if as_json:
        output.as_json(told)
        return
    rows = [
        [each["day"], each["provider"], _line(each["line"], each["attempts"]), *_sums(each)] for each in told["data"]
    ]
    if sys.stdout.isatty():
        output.note(f"{told['from']} to {told['to']} (UTC)")
    if rows:
        output.table(["day", "gateway", "line", *HEAD], rows, right=HEAD)
    totals = [[_line(each["line"], each["attempts"]), *_sums(each)] for each in told["totals"]]
    if sys.stdout.isatty():
        output.table(["in all", *HEAD], totals, right=HEAD)
    else:  # a second table would be taken for more rows of the first
        for line, orders, usd, _ in totals:
            output.note(f"{told['from']} to {told['to']}: {line}: {orders}, {usd}")


def _line(line: str, orders: int) -> Colored:
    color = MARKED.get(line) if orders else None
    return Colored(f"{line} !" if color and sys.stdout.isatty() else line, color or "")


def _sums(each: dict[str, Any]) -> list[Any]:
    return [each["attempts"], dollars(each["usd"]), each["unpriced"] or None]
