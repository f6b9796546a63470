"""`rushes notices`: what pipelines were told, and telling them again."""

from __future__ import annotations

from pathlib import Path

import click

from rushes.cli import machine, options
from rushes.cli.service import trying
from rushes.cli.service.api import connect
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure

# Heads of the list, and the fields below them.
COLUMNS = {
    "id": "id",
    "event": "type",
    "job": "job_id",
    "state": "state",
    "tries": "tries",
    "last error": "last_error",
    "created": "created_at",
}


@click.group()
def command() -> None:
    """Notices of the service at RUSHES_URL: signed POSTs that tell pipelines of their jobs."""


@command.command("list")
@click.option("--job", "job_id", metavar="ID", help="Only those of this job.")
@click.option("--state", help="Only those that are waiting, delivered, or failed: given up.")
@click.option("--type", "kind", metavar="EVENT", help="Only this event, such as job.failed.")
@options.limit
@options.cursor
@options.data_dir
@options.as_json
def list_(
    job_id: str | None,
    state: str | None,
    kind: str | None,
    limit: int,
    cursor: str | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """The newest notices first, a page at a time."""
    asked = {"job_id": job_id, "state": state, "type": kind, "limit": limit, "cursor": cursor}
    output.page(connect(data_dir).get("/v1/notices", asked), COLUMNS, json_wanted=as_json)


@command.command()
@options.row_id("notice", "ntc_01K…")
@options.data_dir
@options.as_json
def show(row_id: str, data_dir: Path, as_json: bool) -> None:
    """One notice, and each of its tries. With --json: its body too."""
    notice = connect(data_dir).get(f"/v1/notices/{row_id}")
    if as_json:
        output.as_json(notice)
        return
    facts = [[name, value] for name, value in notice.items() if name not in ("body", "history") and value is not None]
    output.table(["notice", ""], facts)
    names = ("number", "at", "status", "error", "took_s")
    rows = [[each[name] for name in names] for each in notice["history"]]
    output.table(["try", "at", "status", "error", "seconds"], rows, right=["seconds"])


@command.command()
@options.row_id("notice", "ntc_01K…", required=False)
@click.option("--all-failed", is_flag=True, help="Every notice that was given up, instead of one by its ID.")
@click.option("--job", "job_id", metavar="ID", help="With --all-failed: only those of this job.")
@click.option("--since", metavar="TIME", help="With --all-failed: only those written then or later; ISO 8601, a zone.")
@options.data_dir
@options.as_json
def replay(
    row_id: str | None, all_failed: bool, job_id: str | None, since: str | None, data_dir: Path, as_json: bool
) -> None:
    """Send a notice once more, delivered or not, or all that were given up.

    They go out under the ids that they had, on a timetable that starts anew.
    """
    if all_failed is (row_id is not None):
        raise Failure("say which: an ID, or --all-failed", failures.USAGE, hint="`rushes notices list --state failed`")
    if (job_id or since) and not all_failed:
        raise Failure("--job and --since choose among all that failed: add --all-failed", failures.USAGE)
    api = connect(data_dir)
    if row_id is not None:
        notice = api.post(f"/v1/notices/{row_id}/replay")
        output.as_json(notice) if as_json else output.note(f"{row_id} goes to {notice['url']} once more")
        return
    chosen = {"job_id": job_id, "since": since}
    told = api.post("/v1/notices/replay", {name: value for name, value in chosen.items() if value is not None})
    output.as_json(told) if as_json else output.note(f"{output.counted(told['replayed'], 'notice')} go out once more")


@command.command("test")
@click.argument("url")
@options.data_dir
@options.as_json
def test_(url: str, data_dir: Path, as_json: bool) -> None:
    """Send a signed notice of the type `test` to URL, once, from this machine, and tell what the receiver answers.

    It is signed with this installation's secrets and goes only where its notices may go; it is kept nowhere.
    """
    answer = trying.send(url, machine.settings_for_notices(data_dir))
    if as_json:
        output.as_json(answer.told)
    elif answer.error is None:
        output.note(f"{url} answered {answer.status} after {answer.took_s:g} s: it takes our notices")
    if answer.error is not None:
        raise Failure(f"{url}: {answer.error}", failures.FAILED, hint=answer.hint)
