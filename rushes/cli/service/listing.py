"""The filters of lists of jobs, and a list of them in pages or as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from rushes.cli import options
from rushes.cli.service.api import Api
from rushes.cli.terminal import output

_OPTIONS = (
    click.option("--provider", metavar="NAME", help="Only jobs whose latest order is at this gateway."),
    click.option("--mode", help="Only jobs of this mode, such as image-to-video."),
    click.option("--created-after", metavar="TIME", help="Only jobs created then or later: ISO 8601 with a zone."),
    click.option("--created-before", metavar="TIME", help="Only jobs created earlier: ISO 8601 with a zone."),
    click.option(
        "--metadata",
        multiple=True,
        metavar="KEY=VALUE",
        callback=options.pairs,
        help="Only jobs with this entry; repeatable, all must match.",
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


def show(
    api: Api,
    head: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[Any]],
    *,
    whole: bool,
    as_json: bool,
    metadata: Sequence[tuple[str, str]],
    right: Sequence[str] = (),
    **asked: Any,
) -> None:
    """Jobs, newest first: JSON as the service gives it, or a table of rows. Raises Failure."""
    chosen = asked | {f"metadata.{key}": value for key, value in metadata}
    if whole:
        if chosen["cursor"] is not None:
            raise click.UsageError("--all begins at the first page; leave --cursor out.")
        del chosen["limit"]  # of a page, whose size is nobody's business here
        _show_all(api, chosen, head, row, as_json, right)
        return
    page = api.get("/v1/jobs", chosen)
    if as_json:
        output.as_json(page)
        return
    output.table(head, [row(job) for job in page["data"]], right=right)
    if page["has_more"]:
        output.note(f"there are more: --cursor {page['next_cursor']}, or --all")


def _show_all(
    api: Api,
    chosen: Mapping[str, Any],
    head: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[Any]],
    as_json: bool,
    right: Sequence[str],
) -> None:
    found = api.each("/v1/jobs", chosen)
    if not as_json:
        output.table(head, [row(job) for job in found], right=right)
        return
    for job in found:
        output.as_json(job, line=True)
