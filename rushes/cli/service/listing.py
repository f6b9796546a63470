"""The filters of lists of jobs, and a list of them in pages or as a whole."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from rushes.cli import options
from rushes.cli.service.api import Api
from rushes.cli.terminal import output

PROMPT = "prompt"  # the last column
LONGEST_BEGINNING = 120  # characters of a prompt

_OPTIONS = (
    click.option("--provider", metavar="NAME", help="Only jobs whose latest order is at this gateway."),
    click.option("--mode", help="Only jobs of this mode, such as image-to-video."),
    click.option("--created-after", metavar="TIME", help="Only jobs created then or later: ISO 8601 with a zone."),
    click.option("--created-before", metavar="TIME", help="Only jobs created earlier: ISO 8601 with a zone."),
    click.option("--batch", metavar="NAME", help="Only jobs of this batch."),
    click.option("--prompt", metavar="TEXT", help="Only jobs whose prompt holds this text, in capitals or not."),
    click.option(
        "--metadata",
        multiple=True,
        metavar="KEY=VALUE",
        callback=options.pairs,
        help="Only jobs with this entry; repeatable, all must match.",
    ),
    click.option(
        "--column",
        "entries",
        multiple=True,
        metavar="KEY",
        callback=options.names,
        help="Show this entry of the metadata too; repeatable.",
    ),
    options.limit,
    options.cursor,
    click.option("--all", "whole", is_flag=True, help="Every page. With --json: a line for each job."),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, for a command that hands them on to `show`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Columns:
    """How a list shows a job: the heads, and a row's cells. `right` are set to the right, `spare` left out first."""

    head: Sequence[str]
    row: Callable[[dict[str, Any]], Sequence[Any]]
    right: Sequence[str] = ()
    spare: Sequence[str] = ()


def show(
    api: Api,
    columns: Columns,
    *,
    whole: bool,
    as_json: bool,
    metadata: Sequence[tuple[str, str]],
    entries: Sequence[str],
    **asked: Any,
) -> None:
    """Jobs, newest first: JSON as the service gives it, or a table. Raises Failure.

    The table ends in a column for each of the metadata's `entries`, and one of how the prompt begins.
    """
    chosen = asked | {f"metadata.{key}": value for key, value in metadata}
    if whole:
        if chosen["cursor"] is not None:
            raise click.UsageError("--all begins at the first page; leave --cursor out.")
        del chosen["limit"]  # of a page, whose size is nobody's business here
        found = api.each("/v1/jobs", chosen)
        if not as_json:
            _table(columns, entries, list(found))
            return
        for job in found:
            output.as_json(job, line=True)
        return
    page = api.get("/v1/jobs", chosen)
    if as_json:
        output.as_json(page)
        return
    while page["has_more"] and not page["data"]:  # what is searched for is rare
        page = api.get("/v1/jobs", {**chosen, "cursor": page["next_cursor"]})
    _table(columns, entries, page["data"])
    if page["has_more"]:
        output.note(f"there are more: --cursor {page['next_cursor']}, or --all")


def _table(columns: Columns, entries: Sequence[str], jobs: Sequence[dict[str, Any]]) -> None:
    rows = [
        [*columns.row(job), *(job["metadata"].get(name) for name in entries), beginning(job.get("request"))]
        for job in jobs
    ]
    head = [*columns.head, *entries, PROMPT]
    output.table(head, rows, right=columns.right, spare=columns.spare, cut=PROMPT)


def beginning(request: Mapping[str, Any] | None) -> str | None:
    """How a prompt begins, on one line. An older service does not tell it."""
    prompt = request and request.get("prompt")
    return textwrap.shorten(prompt, LONGEST_BEGINNING, placeholder="…") if prompt else None
