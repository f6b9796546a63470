"""`rushes submit`: ask for a video."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import click

from rushes.cli import failures, options, output, waiting
from rushes.cli.api import connect
from rushes.cli.failures import Failure


def _pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if bad := [name for name, equals, _ in pairs if not equals or not name]:
        raise click.BadParameter(f"{bad[0]!r} should read KEY=VALUE")
    return {name: value for name, _, value in pairs}


@click.command()
@click.argument("prompt")
@click.option("--provider", "providers", multiple=True, help="A gateway; several stand in order of preference.")
@click.option("--mode", help="text-to-video unless something else is said.")
@click.option("--resolution", help="720p or 1080p.")
@click.option("--ratio", help="16:9, 9:16, 1:1, 4:3 or 3:4.")
@click.option("--duration", type=int, help="Seconds.")
@click.option("--seed", type=int, help="The same seed and request give about the same video.")
@click.option("--negative-prompt", help="What must not be seen.")
@click.option("--notify-url", help="Told about the job's end, by a signed POST.")
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", callback=_pairs, help="Kept with the job; repeatable.")
@click.option("--idempotency-key", help="The same key and request give the same job. One is made up otherwise.")
@click.option("--wait", is_flag=True, help="Stay until the job has ended; exit status 5 if without a video.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: give up after this long.")
@options.data_dir
@options.as_json
def command(
    prompt: str,
    providers: tuple[str, ...],
    metadata: dict[str, str],
    idempotency_key: str | None,
    wait: bool,
    timeout: float | None,
    data_dir: Path,
    as_json: bool,
    **asked: Any,
) -> None:
    """Ask for a video of PROMPT; `-` reads it from stdin. Prints the job's id.

    Repeats by itself while the service cannot be reached, always under one idempotency key: no video is bought twice.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is about waiting; add --wait.")
    request: dict[str, Any] = {"prompt": sys.stdin.read().strip() if prompt == "-" else prompt}
    request |= {name: value for name, value in asked.items() if value is not None}
    if providers:
        request["provider"] = providers[0] if len(providers) == 1 else list(providers)
    if metadata:
        request["metadata"] = metadata
    api = connect(data_dir)
    key = idempotency_key or f"cli-{secrets.token_hex(16)}"
    try:
        job = api.submit(request, key)
    except Failure as failure:
        if failure.code != failures.UNREACHABLE:
            raise
        hint = f"it may have been kept all the same; with --idempotency-key {key} the same command asks only once"
        raise Failure(str(failure), failure.code, hint=hint) from failure
    if wait:
        if not as_json:
            click.echo(job["id"])
        job = waiting.follow(api, job["id"], timeout_s=timeout, show=waiting.note)
    if as_json:
        output.as_json(job)
    elif not wait:
        click.echo(job["id"])
    elif job["video"]:
        output.note(f"s3://{job['video']['bucket']}/{job['video']['key']}")
    if wait:
        waiting.judge(job)
