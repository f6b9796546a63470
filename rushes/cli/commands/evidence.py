"""`rushes evidence`: one file with everything that proves a job's orders."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from jobs.visible import visible_json
from rushes.cli import options
from rushes.cli.service.api import connect
from rushes.cli.terminal import output
from rushes.cli.terminal.failures import Failure
from rushes.local.folder import write_new_private


@click.command()
@options.row_id("job", "job_01K…")
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where it is written; a file that is there is never replaced.  [default: evidence-ID.json]",
)
@options.data_dir
@options.as_json
def command(row_id: str, path: Path | None, data_dir: Path, as_json: bool) -> None:
    """Write all that proves a job's orders into one file, for a dispute with a gateway.

    Each request as it was sent and what was answered, callbacks with headers and bytes, the job's history, notices,
    what the bucket shows of the video, times and checksums. Secrets are masked. The file explains itself, and names
    what is not kept any more. It is for you alone to read: prompts and links stand in it.
    """
    path = path or Path(f"evidence-{row_id}.json")
    if path.exists():
        raise _is_there(path)
    told = connect(data_dir).get(f"/v1/jobs/{row_id}/evidence")
    text = visible_json(told, indent=2) + "\n"
    try:
        write_new_private(path, text)
    except FileExistsError as error:
        raise _is_there(path) from error
    except OSError:  # a half of it proves nothing, and would stand in the way of the next try
        path.unlink(missing_ok=True)
        raise
    written = text.encode()
    if as_json:
        sha256 = hashlib.sha256(written).hexdigest()
        output.as_json({"id": row_id, "file": str(path), "bytes": len(written), "sha256": sha256})
        return
    output.plain(str(path))
    holds = ", ".join(output.counted(len(told[name]), name[:-1]) for name in ("orders", "callbacks", "notices"))
    output.note(f"{output.size(len(written))}: {holds}; made {told['made_at']}")
    for missing in told["not_kept"]:
        output.note(f"not in it: {missing['what']} ({missing['why']})", dim=True)


def _is_there(path: Path) -> Failure:
    return Failure(f"{path} is there already, and is left as it is", hint="move it away, or name another by --output")
