"""`rushes demo`: the whole service in a temporary folder, one video from each gateway's stand-in, and the end."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import click

from rushes.cli import machine, options
from rushes.cli.demo import stage, videos_page
from rushes.cli.demo.takes import Performance
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.local import stack
from rushes.local.plan import Flags
from rushes.local.ports import free_ports
from rushes.local.stack import Running
from rushes.local.supervisor import Ended

SPEED = 10  # a generation takes 3 s
QUICK = {"RUSHES_POLL_INTERVAL_S": "1", "RUSHES_SWEEP_INTERVAL_S": "1"}
LINES_TOLD = 20
VIDEOS = "/console/videos"


@click.command()
@click.option("--keep-running", is_flag=True, help="Leave the service running at the end, for a browser, until Ctrl-C.")
@click.option("--keep-data", is_flag=True, help="Keep the data folder, and say where it is.")
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where the videos, posters and a page that shows them are saved.",
)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the table into an SVG file.")
@options.as_json
def command(keep_running: bool, keep_data: bool, folder: Path, picture: Path | None, as_json: bool) -> None:
    """See the whole service at work on this machine, in a minute, without any key.

    Starts a database, a broker, a bucket, the five gateways' stand-ins and every process of the service; asks each
    gateway for a video; waits until all are archived; saves them; stops everything. Touches no installation of yours.
    """
    began = time.monotonic()

    def tell(performance: Performance) -> None:
        takes = performance.takes
        if as_json:
            output.as_json([take.as_json() for take in takes])
        else:
            stage.print_table(takes)
        if picture:
            stage.draw(takes, picture)
        if troubles := [f"{take.provider} ({take.job['id']}): {take.trouble}" for take in takes if take.trouble]:
            raise Failure("\n".join(troubles), hint="with --keep-data the log stays in demo.log of the data folder")
        output.note(f"{len(takes)} videos in {folder}, {time.monotonic() - began:.0f} s in all")
        if page := videos_page.write(folder, takes):
            output.note(f"see them at {page.resolve().as_uri()}")

    data_dir = Path(tempfile.mkdtemp(prefix="rushes-demo-"))
    try:
        if keep_running:
            _perform(
                data_dir,
                folder,
                then=lambda service, performance: _stay(service, lambda: tell(performance), as_json=as_json),
            )
        else:
            tell(_perform(data_dir, folder))
            output.note(
                "`make demo KEEP=1`, or `rushes demo --keep-running`, leaves the console running to look around in"
            )
    finally:
        if keep_data:
            output.note(f"the data folder is {data_dir}")
        else:
            shutil.rmtree(data_dir, ignore_errors=True)


def _stay(service: Running, tell: Callable[[], None], *, as_json: bool) -> None:
    """Tell of the takes and where they can be seen, until somebody ends it."""
    tell()
    address = f"{service.url}{VIDEOS}"
    if as_json:
        output.as_json({"url": address, "api_key": service.api_key.key}, line=True)
    else:
        output.plain(f"in a browser       {address}\nsign in with       {service.api_key.key}")
    sys.stdout.flush()
    output.note("Ctrl-C stops everything, and deletes what was made here")
    try:
        service.supervisor.wait()
    except Ended as end:
        if not end.asked:
            raise
        output.note("stopping …")


def _perform(data_dir: Path, folder: Path, then: Callable[[Running, Performance], None] | None = None) -> Performance:
    """Everything between the start and the stop of the service. `then`: what comes before the stop."""
    # A real gateway's key, database or bucket in the environment has no place in a demo.
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("RUSHES_", "AWS_"))} | QUICK
    latest: deque[str] = deque(maxlen=LINES_TOLD)
    with stage.Stage() as shown, (data_dir / "demo.log").open("w", encoding="utf-8") as log:

        def keep(name: str, line: str) -> None:
            latest.append(f"{name:<9} | {line}")
            log.write(f"{name:<9} | {line}\n")

        flags = Flags(free_ports(1)[0], sandbox=True, speed=SPEED)
        try:
            with machine.told(), stack.running(data_dir, flags, environ, on_line=keep, say=shown.say) as service:
                performance = Performance(service, folder)
                shown.say("asking five gateways for a video each …")
                performance.submit()
                shown.say("making and archiving …")
                performance.follow(lambda: shown.show(performance.takes))
                shown.say("saving …")
                performance.save(lambda: shown.show(performance.takes))
                if then is not None:
                    shown.end()
                    then(service, performance)
                shown.say("stopping …")
        except Ended as end:
            if end.asked:
                raise Failure(end.why, failures.INTERRUPTED) from end
            raise Failure("\n".join([end.why, *latest])) from end
    return performance
