"""`rushes service`: the service under systemd."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rushes.cli import options
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.local import accounts, systemd
from rushes.local.systemd import Unit, UnitError

SETTINGS = """\
# Settings of the Rushes service on this machine, NAME=value, one a line (docs/settings.md). Read when it starts.
#RUSHES_EVOLINK_API_KEY=
#RUSHES_EVOLINK_DAILY_USD=50
"""


@click.group()
def command() -> None:
    """Let systemd run `rushes up`: start it with the machine, and start it again when it ends."""


@command.command()
@click.option("--system/--user", default=None, help="A unit of the machine or your own; as root the first is assumed.")
@click.option("--run-as", metavar="USER", help="Who runs it, with --system: root if not said.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@options.data_dir
@options.as_json
def install(system: bool | None, run_as: str | None, port: int, data_dir: Path, as_json: bool) -> None:
    """Write a systemd unit for `rushes up`, once `systemd-analyze verify` takes it, and say what to do next.

    Nothing is started. Settings and gateways' keys belong in a file that only its owner can read; it is made, with
    nothing set, where there is none. A unit that somebody else has written or changed is never overwritten.
    """
    system = os.geteuid() == 0 if system is None else system
    account = _account(run_as) if run_as else None
    if run_as and not system:
        raise click.UsageError("--run-as goes with --system; your own unit is run by you.")
    data_dir = data_dir.absolute()
    settings = systemd.environment_file(system=system)
    program = Path(sys.executable).parent / "rushes"
    if not program.exists():
        own = "install it into an environment of its own: python3 -m venv /opt/rushes, and pip install there"
        raise Failure(f"there is no {program}, by which the service starts its processes", hint=own)
    called = [str(program), "up", "--port", str(port), "--data-dir", str(data_dir)]
    path = systemd.folder(system=system) / systemd.UNIT
    try:
        text = Unit(called, data_dir, settings, system, account.pw_name if account else None).text
        is_verified = systemd.verify(text, system=system)
        with _folder_for(account, program, data_dir) as made_folder:
            was_there = systemd.put(text, path)
    except UnitError as error:
        hint = "move it away, or change it by a drop-in instead: systemctl edit rushes" if path.exists() else None
        raise Failure(str(error), hint=hint) from error
    made = [str(place) for place in (made_folder, _make_settings(settings)) if place]
    run = "systemctl" if system else "systemctl --user"
    following = [f"{run} daemon-reload", f"{run} enable --now rushes"]
    if not system:
        following.append("loginctl enable-linger   # it then runs while you are logged out as well")
    if as_json:
        told = {"unit": str(path), "settings": str(settings), "verified": is_verified, "made": made}
        output.as_json({**told, "renewed": was_there, "next": following})
        return
    output.note(f"{'renewed' if was_there else 'wrote'} {path}")
    output.note("systemd-analyze verify takes it" if is_verified else "not checked: there is no systemd-analyze here")
    for place in made:
        output.note(f"made {place}")
    output.note(f"settings and keys go into {settings}; then:")
    for line in following:
        click.echo(line)


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise Failure(f"there is no user {name!r} on this machine", failures.USAGE) from error


@contextmanager
def _folder_for(account: pwd.struct_passwd | None, program: Path, path: Path) -> Iterator[Path | None]:
    """The data folder, where the service can run, and whether it was made; it goes again if nothing comes of it."""
    made = _make_folder(path, account)
    try:
        if (fault := accounts.fault(program, path, account)) is not None:
            who = account.pw_name if account else pwd.getpwuid(os.geteuid()).pw_name
            hint = "name a folder of its own, below folders that it may enter: --data-dir /var/lib/rushes"
            raise Failure(f"{who} cannot run the service: {fault}", hint=hint)
        yield made
    except BaseException:
        if made:
            made.rmdir()
        raise


def _make_folder(path: Path, account: pwd.struct_passwd | None) -> Path | None:
    if path.exists():
        return None
    path.mkdir(mode=0o700, parents=True)
    if account is not None and os.geteuid() == 0:
        os.chown(path, account.pw_uid, account.pw_gid)
    return path


def _make_settings(path: Path) -> Path | None:
    """A file for settings. systemd reads it as root, or as whose unit it is."""
    if path.exists():
        return None
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(SETTINGS)
    return path
