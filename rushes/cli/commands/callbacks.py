"""`rushes callbacks`: what gateways called back with, and letting it count once more."""

from __future__ import annotations

from pathlib import Path

import click

from rushes.cli import options
from rushes.cli.service.api import connect
from rushes.cli.terminal import output

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
