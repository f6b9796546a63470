"""`rushes up`: the whole service on this machine, until it is told to stop."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from jobs.settings import misspelt
from rushes.cli import machine, options
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.local import own_key, pruner, stack
from rushes.local.folder import FolderError
from rushes.local.output import LogFile, OnLine
from rushes.local.plan import Flags, real_providers
from rushes.local.stack import PortTaken, Running
from rushes.local.supervisor import Ended


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@options.data_dir
@click.option("--sandbox", is_flag=True, help="Let the sandbox stand in for every gateway that has no API key.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="Divide the sandbox's durations by this.")
@options.as_json
def command(port: int, data_dir: Path, sandbox: bool, speed: float | None, as_json: bool) -> None:
    """Run the whole service on this machine: database, broker, bucket, web and workers, in one data folder.

    A gateway is used once its key is set (RUSHES_EVOLINK_API_KEY and so on). A database, broker or bucket that the
    environment names (RUSHES_DATABASE_URL, RUSHES_REDIS_URL, RUSHES_S3_BUCKET) is used instead of a local one. The log
    goes to stderr; where that is a terminal, it goes into the data folder, and the terminal shows what happens to jobs
    and what is wrong. SIGTERM and Ctrl-C stop everything in good order.

    Once all are ready, a process that dies is started again, after 1 s at first and up to 30 s later. At the sixth
    death of one without five minutes of being well in between, everything stops with status 1, and a service manager
    should start it again. So it should not after status 2 (a setting is wrong) and 9 (the database could not be brought
    up to date).
    """
    if speed and not sandbox:
        raise click.UsageError("--speed is about the sandbox; add --sandbox.")
    if not sandbox and not real_providers(os.environ):
        hint = "set RUSHES_EVOLINK_API_KEY or another gateway's key, or add --sandbox to try it without one"
        said = "\n".join([*misspelt(os.environ), "no gateway has an API key, so nobody could make a video"])
        raise Failure(said, failures.USAGE, hint=hint)
    flags = Flags(port, sandbox, speed or 1.0)
    on_line: OnLine = output.ProcessLog()
    for_a_person = sys.stderr.isatty() and not as_json
    if for_a_person:
        from rushes.cli.terminal import happenings  # asks the database, whose libraries stay in memory: 25 MB

        on_line = happenings.PersonsLog(LogFile(data_dir / "logs" / "service.log"), on_line)
    try:
        with (
            machine.told(),
            stack.running(data_dir, flags, os.environ, on_line=on_line, say=_say) as service,
            ExitStack() as beside,
        ):
            _announce(service, as_json)
            if for_a_person:
                beside.enter_context(happenings.followed(service.settings, happenings.show))
            beside.enter_context(pruner.pruning(service.plan, _say))
            service.supervisor.wait()
    except Ended as end:
        _say(end.why)
        if end.finish == stack.RELEASE and end.status != failures.UNREACHABLE:
            hint = "nothing tries that again by itself: see above for why, and then run `rushes db upgrade`"
            raise Failure(end.why, failures.NOT_MIGRATED, hint=hint) from end
        if not end.asked:
            raise Failure(end.why) from end
    except PortTaken as error:
        raise Failure(str(error), hint="choose another with --port") from error
    except FolderError as error:
        raise Failure(str(error)) from error


def _say(text: str) -> None:
    output.note(f"{'rushes':<9} | {text}", bold=True)


def _announce(service: Running, as_json: bool) -> None:
    planned, key = service.plan, service.api_key
    callback_key = next(iter(service.settings.callback_keys))
    if as_json:
        facts = {"url": service.url, "api_key": key.key if key.fresh else None, "callback_key": callback_key}
        output.as_json({**facts, "real": list(planned.real), "simulated": list(planned.simulated)}, line=True)
        return
    rushes, key_file = _program(), shlex.quote(str(planned.data_dir / own_key.FILE))
    here = "" if planned.data_dir == Path(".rushes").absolute() else f" --data-dir {shlex.quote(str(planned.data_dir))}"
    lines = [f"Rushes is up at {service.url}"]
    lines.append(f"in a browser       {service.url}/   (the console; sign in with the API key)")
    if key.fresh:
        lines.append(f"API key            {key.key}   (shown once; it is kept in {planned.data_dir / own_key.FILE})")
    else:
        lines.append(f"API key            in {planned.data_dir / own_key.FILE}")
    lines.append(f"API reference      {service.url}/docs   (it asks for a password: the API key)")
    lines.append(f"callback key       {callback_key}")
    lines.append(f"gateways           {', '.join(planned.real) or 'none'}")
    if planned.simulated:
        lines.append(f"stand-ins          {', '.join(planned.simulated)}")
    if service.settings.public_url is None:
        lines.append("callbacks          none: RUSHES_PUBLIC_URL is not set, so gateways are asked instead")
    if (logs := planned.data_dir / "logs").exists():
        lines.append(f"logs               {logs}")
    body = '{"prompt": "A red fox in snow", "resolution": "720p", "duration": 2}'
    lines += [
        "",
        f'submit with        {rushes} submit "A red fox in snow" --resolution 720p --duration 2 --wait{here}',
        f'or with            curl {service.url}/v1/jobs -H "Authorization: Bearer $(cat {key_file})" \\',
        f"                     -H 'Content-Type: application/json' -d '{body}'",
    ]
    if planned.real:
        lines.append("                   A real gateway takes money for it; --dry-run and ?dry_run=true ask how much.")
    output.plain("\n".join(["", *lines, ""]))
    if service.settings.allow_private_addresses:
        warning = "PRIVATE ADDRESSES ARE ALLOWED: links may lead into this network. For development only."
        output.note(f"warning: {warning}", fg="red", bold=True)
    sys.stdout.flush()


def _program() -> str:
    """How a shell in this folder calls us."""
    own = Path(sys.executable).parent / "rushes"
    found = shutil.which("rushes")
    if found and Path(found).resolve() == own.resolve():
        return "rushes"
    return shlex.quote(str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own))
