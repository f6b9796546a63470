"""The command `rushes` itself: help that teaches, errors in one form. Imports nothing heavy: `--help` must be quick."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.exceptions import NoSuchCommand

from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure

# name → module, and what the list of commands says
COMMANDS = {
    "init": ("rushes.cli.commands.init", "Write the .env that docker-compose.yml reads, with made-up secrets."),
    "up": ("rushes.cli.commands.up", "Run the whole service on this machine."),
    "service": ("rushes.cli.commands.service", "Let systemd run the service."),
    "demo": ("rushes.cli.commands.demo", "See five videos made and archived, in a minute, without any key."),
    "sandbox": ("rushes.cli.commands.sandbox", "Run the stand-in for the five gateways alone."),
    "submit": ("rushes.cli.commands.submit", "Ask for a video."),
    "jobs": ("rushes.cli.commands.jobs", "List, show, watch, cancel, retry and settle jobs."),
    "evidence": ("rushes.cli.commands.evidence", "Write all that proves a job's orders into one file."),
    "tail": ("rushes.cli.commands.tail", "Show what happens to all jobs, as it happens."),
    "videos": ("rushes.cli.commands.videos", "List, link and download what is archived."),
    "notices": ("rushes.cli.commands.notices", "What pipelines were told; tell them again."),
    "callbacks": ("rushes.cli.commands.callbacks", "What gateways called back with; let it count again."),
    "providers": ("rushes.cli.commands.providers", "What the gateways can do, cost, and how they stand."),
    "costs": ("rushes.cli.commands.costs", "What the orders came to."),
    "attention": ("rushes.cli.commands.attention", "What needs a person."),
    "audit": ("rushes.cli.commands.audit", "Hold the account, and the database against the bucket."),
    "keys": ("rushes.cli.commands.keys", "Create, list and revoke API keys."),
    "db": ("rushes.cli.commands.db", "Bring the database up to date, check, back up, prune."),
    "doctor": ("rushes.cli.commands.doctor", "Check this installation, and say what to mend."),
    "sweep": ("rushes.cli.commands.sweep", "Run what is due, here and now, without Celery."),
    "env": ("rushes.cli.commands.env", "Print the address, key and broker of what `rushes up` serves, for a shell."),
    "completion": ("rushes.cli.commands.completion", "Print a shell's completion script."),
}

_CODES = "\n".join(f"  {code:<4} {meaning}" for code, meaning in failures.MEANINGS.items())
EPILOG = f"""\b
Examples:
  rushes demo                              five videos from five stand-ins, archived
  rushes up --sandbox                      the service, with stand-ins for the gateways
  RUSHES_EVOLINK_API_KEY=… rushes up       the service, with a real gateway
  rushes submit "A red fox in snow" --wait
  rushes submit "A red fox in snow" --dry-run       where it would go, and for how much
  rushes submit "It turns its head" --mode image-to-video --media first_frame=https://…
  rushes submit --file shots.jsonl --download videos
  rushes jobs list --state failed --metadata film=dunes
  rushes submit --like job_01K… --seed 7   the same once more, with another seed
  rushes jobs watch --batch shots.jsonl
  rushes jobs list --json | jq .data[].state
  rushes videos download job_01K…
  rushes providers evolink                 what one gateway can do, and how it stands
  rushes costs --from 2026-11-01           what became of the money, by gateway and day
  rushes attention                         what needs a person
  rushes jobs settle job_01K… --not-made   what you found out about a lost order
  rushes audit --repair                    is everything accounted for?
  rushes doctor                            what is wrong here, and how to mend it
  rushes keys create render-farm --json

\b
Where:
  RUSHES_URL        the service (default: what `rushes up` served last, else http://127.0.0.1:8080)
  RUSHES_API_KEY    your key (default: the one `rushes up` keeps in its data folder)
  RUSHES_DATA_DIR   the data folder (default: .rushes)
  NO_COLOR          set to anything: no colors

\b
Exit status:
{_CODES}"""


class Root(click.Group):
    """Knows its commands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(COMMANDS[cmd_name][0])
        except ModuleNotFoundError as error:
            hint = "install the extras as well: rushes[cli,local]"
            raise Failure(f"`rushes {cmd_name}` needs {error.name}, which is not installed", hint=hint) from error
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:  # click would propose none, as it knows only what is imported
            raise NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """As click's, with our form of errors and our exit statuses."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        # Else the interpreter looks for cycles in all that was imported before it ends: 0.3 s for nothing.
        atexit.register(gc.freeze)
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(failures.USAGE)
        except click.UsageError as error:
            place = error.ctx.command_path if error.ctx else "rushes"
            _fail(Failure(error.format_message(), failures.USAGE, hint=f"see `{place} --help`"))
        except click.ClickException as error:
            _fail(Failure(error.format_message()))
        except click.Abort:
            _fail(Failure("interrupted", failures.INTERRUPTED))
        except Failure as failure:
            _fail(failure)
        except BrokenPipeError:
            # Whoever read us has heard enough (`| head`); Python must not complain about it at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except OSError as error:  # a folder that cannot be made, a full disk
            _fail(Failure(str(error)))
        sys.exit(status if isinstance(status, int) else failures.OK)


def _fail(failure: Failure) -> NoReturn:
    output.failure(failure)
    sys.exit(failure.code)


@click.command(cls=Root, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rushes", message="%(package)s %(version)s")
def main() -> None:
    """Rushes brings generated video home: it asks paid gateways for videos, and sees to it that each one that was paid
    for ends up, whole and playable, in your S3 bucket.
    """
