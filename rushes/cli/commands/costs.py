"""`rushes costs`: what the orders came to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
OF_METADATA = "metadata."


@click.command()
@click.option("--from", "since", metavar="DAY", help="The first day, YYYY-MM-DD in UTC; 29 days before the last one.")
@click.option("--to", "until", metavar="DAY", help="The last day; today if left out.")
@click.option("--provider", metavar="NAME", help="Only this gateway.")
@click.option("--batch", metavar="NAME", help="Only this batch.")
@click.option("--key", metavar="KEY", help="Only what was asked for with this API key: its id, or its name.")
@click.option(
    "--by",
    metavar="GROUP",
    multiple=True,
    callback=options.names,
    help="Sum apart by day, provider, key, batch or metadata.NAME; may be several. Day and provider if left out.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for spreadsheets, and nothing else, on stdout.")
@options.data_dir
@options.as_json
def command(data_dir: Path, as_json: bool, as_csv: bool, by: tuple[str, ...], **chosen: str | None) -> None:
    """What the orders of some days came to, by gateway, day and what became of the money.

    US dollars are what the gateway reported, else what was expected. Two lines want somebody: paid_not_delivered (made
    and charged, without a video in the bucket) and uncertain (nobody knows whether it was charged).

    \b
    rushes costs --by key --from 2026-11-01      a bill for each API key
    rushes costs --by metadata.project --csv     a table for spreadsheets
    """
    if as_json and as_csv:
        raise click.UsageError("Choose one of --json and --csv.")
    since, until = chosen.pop("since"), chosen.pop("until")
    asked = {"from": since, "to": until, **chosen, "by": list(by) or None}
    service = connect(data_dir)
    if as_csv:
        for line in service.text("/v1/costs", {**asked, "format": "csv"}, "text/csv").splitlines():
            output.plain(line)
        return
    told = service.get("/v1/costs", asked)
    if as_json:
        output.as_json(told)
        return
    rows = [
        [*(_group(each, name) for name in told["by"]), _line(each["line"], each["attempts"]), *_sums(each)]
        for each in told["data"]
    ]
    if sys.stdout.isatty():
        output.note(f"{told['from']} to {told['to']} (UTC)")
    if rows:
        output.table([*map(_head, told["by"]), "line", *HEAD], rows, right=HEAD)
    totals = [[_line(each["line"], each["attempts"]), *_sums(each)] for each in told["totals"]]
    if sys.stdout.isatty():
        output.table(["in all", *HEAD], totals, right=HEAD)
    else:  # a second table would be taken for more rows of the first
        for line, orders, usd, _ in totals:
            output.note(f"{told['from']} to {told['to']}: {line}: {orders}, {usd}")


def _head(group: str) -> str:
    return {"provider": "gateway"}.get(group, group.removeprefix(OF_METADATA))


def _group(each: Mapping[str, Any], name: str) -> str | None:
    """Of a key what it is called, where it is."""
    if name == "key":
        name = "key_name" if each["key_name"] else "key"
    found: str | None = each[name] if name in each else each["metadata"][name.removeprefix(OF_METADATA)]
    return found


def _line(line: str, orders: int) -> Colored:
    color = MARKED.get(line) if orders else None
    return Colored(f"{line} !" if color and sys.stdout.isatty() else line, color or "")


def _sums(each: dict[str, Any]) -> list[Any]:
    return [each["attempts"], dollars(each["usd"]), each["unpriced"] or None]
