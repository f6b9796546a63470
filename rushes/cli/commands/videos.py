"""`rushes videos`: what is archived, and what a person lets be archived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rushes.cli import options
from rushes.cli.ordering.several import Several
from rushes.cli.service import downloads, listing, waiting
from rushes.cli.service.api import connect
from rushes.cli.service.listing import Columns
from rushes.cli.terminal import output
from rushes.cli.terminal.progress import Bars


@click.group()
def command() -> None:
    """Archived videos of the service at RUSHES_URL, and films that the proof refused."""


@command.command("list")
@listing.filters
@options.data_dir
@options.as_json
def list_(data_dir: Path, as_json: bool, **chosen: Any) -> None:
    """The newest videos first, a page at a time. With --json: their jobs."""

    def row(job: dict[str, Any]) -> list[Any]:
        video = job["video"]
        size = f"{video['width']}×{video['height']}" if video["width"] is not None else "?"
        length = f"{video['duration_s']:g}" if video["duration_s"] is not None else "?"
        return [job["id"], length, size, video["bytes"], f"s3://{video['bucket']}/{video['key']}"]

    head = ["job", "seconds", "size", "bytes", "where"]
    columns = Columns(head, row, right=("seconds", "bytes"), spare=("where", "bytes"))
    listing.show(connect(data_dir), columns, as_json=as_json, state="archived", **chosen)


@command.command()
@options.row_id("job", "job_01K…")
@click.option("--poster", is_flag=True, help="Of its first frame, a JPEG, instead.")
@options.data_dir
@options.as_json
def link(row_id: str, poster: bool, data_dir: Path, as_json: bool) -> None:
    """Print a link to a job's video that anyone may use for an hour."""
    found = connect(data_dir).link(f"/v1/jobs/{row_id}/{'poster' if poster else 'video'}")
    if as_json:
        output.as_json({"id": row_id, "url": found})
    else:
        output.plain(found)


@command.command()
@options.job_ids
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("."),
    show_default=True,
    help="Where they are saved, as ID.mp4.",
)
@options.data_dir
@options.as_json
def download(job_ids: list[str], folder: Path, data_dir: Path, as_json: bool) -> None:
    """Save videos, each checked by its SHA-256. Prints their paths.

    A download that was broken off goes on where it stopped; a video that is there already is not fetched again.
    """
    api, several = connect(data_dir), Several()
    with Bars() as bars:
        for job_id in job_ids:
            with several.one(job_id):
                job, path = api.get(f"/v1/jobs/{job_id}"), downloads.path_of(job_id, folder)
                downloads.bring(api, job, path, bars)
                if as_json:
                    output.as_json({"id": job_id, "file": str(path)}, line=True)
                else:
                    output.plain(str(path))
    several.end()


@command.command()
@options.job_ids
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait for so long at most; exit status 6.")
@options.data_dir
@options.as_json
def accept(job_ids: list[str], timeout: float | None, data_dir: Path, as_json: bool) -> None:
    """Archive films that the proof refused, as they are: your key's id stands on job and object in place of the proof.

    `rushes attention` lists them, with the reason. Waits until they are archived. A film that plays and comes first is
    archived instead.
    """
    api, several = connect(data_dir), Several()
    for job_id in job_ids:
        with several.one(job_id):
            api.post(f"/v1/jobs/{job_id}/video/accept")
            job = waiting.follow(api, job_id, timeout_s=timeout, show=lambda now: None)[job_id]
            waiting.judge(job)
            if as_json:
                output.as_json(job, line=True)
            elif job["accepted_by"] is None:
                output.note(f"{job_id}  a film that plays came first, and is archived")
            else:
                output.note(f"{job_id}  archived as it is, accepted by {job['accepted_by']}")
    several.end()
