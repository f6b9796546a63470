"""`rushes env`: where the service of this data folder is, for a shell and for pipelines."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rushes.cli import machine, options
from rushes.cli.terminal import output
from rushes.cli.terminal.failures import Failure
from rushes.local.folder import BadFolder, read_local


@click.command()
@options.data_dir
@options.as_json
def command(data_dir: Path, as_json: bool) -> None:
    """Print address, API key and broker of what `rushes up` serves here: eval "$(rushes env)".

    The key and the broker's password are shown; whoever has them may order.
    """
    try:
        kept = read_local(data_dir)
    except BadFolder as error:
        raise Failure(str(error)) from error
    served, key = kept.get("served", {}), kept.get("api_key", {})
    if not served.get("url") or not key.get("key"):
        hint = "`rushes up` serves one; --data-dir says where another is"
        raise Failure(f"nothing has been served from {data_dir} yet", hint=hint)
    broker = machine.settings_for_broker(data_dir).redis_url
    found = {"RUSHES_URL": served["url"], "RUSHES_API_KEY": key["key"], "RUSHES_REDIS_URL": broker}
    if as_json:
        output.as_json(found)
        return
    for name, value in found.items():
        output.plain(f"export {name}={shlex.quote(value)}")
