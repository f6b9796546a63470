"""`rushes callbacks`: what gateways called back with, and letting it count once more."""

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

# Heads of the list, and the fields below them.
COLUMNS = {
    "id": "id",
    "gateway": "provider",
    "job": "job_id",
    "order": "attempt",
    "answered": "status",
    "received": "received_at",
    "read": "read_at",
}
FIGURES = ["told", "asked", "late", "lost", "called after", "found after"]


@click.group()
def command() -> None:
    """Kept callbacks of the service at RUSHES_URL."""


@command.command("list")
@click.option("--job", "job_id", metavar="ID", help="Only those of this job.")
@click.option("--provider", metavar="NAME", help="Only this gateway's.")
@click.option("--readable/--unreadable", default=None, help="Only those whose body is, or is not, what is documented.")
@click.option("--unread/--read", default=None, help="Only those on which the job has yet to act, or has acted.")
@options.limit
@options.cursor
@options.data_dir
@options.as_json
def list_(
    job_id: str | None,
    provider: str | None,
    readable: bool | None,
    unread: bool | None,
    limit: int,
    cursor: str | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """The newest callbacks first, a page at a time."""
    asked = {"job_id": job_id, "provider": provider, "limit": limit, "cursor": cursor}
    flags = {"readable": readable, "unread": unread}
    asked |= {name: str(flag).lower() for name, flag in flags.items() if flag is not None}
    output.page(connect(data_dir).get("/v1/callbacks", asked), COLUMNS, json_wanted=as_json)


@command.command()
@click.option("--from", "since", metavar="DAY", help="The first day, YYYY-MM-DD in UTC; 6 days before the last one.")
@click.option("--to", "until", metavar="DAY", help="The last day; today if left out.")
@click.option("--provider", metavar="NAME", help="Only this gateway.")
@options.data_dir
@options.as_json
def figures(since: str | None, until: str | None, provider: str | None, data_dir: Path, as_json: bool) -> None:
    """How the ends of orders came to be known: how many by callback, how many had to be asked.

    Of those that were asked although they were to be called back: how many callbacks came late, and how many never, of
    all that were to come. And how long after the end of the task half of the callbacks, and nineteen of twenty, were
    here; and so for ends that were found by asking, as far as the gateway tells when a task ended.
    """
    told = connect(data_dir).get("/v1/callbacks/figures", {"from": since, "to": until, "provider": provider})
    if as_json:
        output.as_json(told)
        return
    if sys.stdout.isatty():
        output.note(f"{told['from']} to {told['to']} (UTC)")
    if not told["data"]:
        output.note("no gateway told the end of an order in these days")
        return
    output.table(["gateway", *FIGURES], [_figures(each) for each in told["data"]], right=FIGURES)


def _figures(each: Mapping[str, Any]) -> list[Any]:
    loss, lost = each["loss_ratio"], str(each["lost"])
    share = Colored(f"{lost} ({loss:.1%})", "yellow" if each["lost"] else "") if loss is not None else None
    delays = (each["called_after_s"], each["found_after_s"])
    return [each["provider"], each["told"], each["asked"], each["late"], share, *map(_delay, delays)]


def _delay(delay: Mapping[str, float] | None) -> str | None:
    """Of half of them, and of nineteen of twenty."""
    return None if delay is None else f"{_seconds(delay['p50'])} / {_seconds(delay['p95'])} s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 1000 else f"{seconds:,.0f}"


@command.command()
@options.row_id("callback", "cbk_123")
@options.data_dir
@options.as_json
def show(row_id: str, data_dir: Path, as_json: bool) -> None:
    """One callback, with the headers that were kept and its body as it came."""
    callback = connect(data_dir).get(f"/v1/callbacks/{row_id}")
    if as_json:
        output.as_json(callback)
        return
    headers = [[f"header {name}", value] for name, value in callback.pop("headers").items()]
    facts = [[name, value] for name, value in callback.items() if value is not None]
    output.table(["callback", ""], [*facts[:-2], *headers, *facts[-2:]])


@command.command()
@options.row_id("callback", "cbk_123")
@options.data_dir
@options.as_json
def replay(row_id: str, data_dir: Path, as_json: bool) -> None:
    """Let a callback count as one that has just come: its job asks the gateway again."""
    callback = connect(data_dir).post(f"/v1/callbacks/{row_id}/replay")
    if as_json:
        output.as_json(callback)
    else:
        output.note(f"{callback['job_id']} asks {callback['provider']} again: `rushes jobs watch {callback['job_id']}`")
