"""`rushes submit`: ask for a video, or for what it would cost."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import click

from jobs import strict_json
from rushes.cli import failures, options, output, quoting, waiting
from rushes.cli.api import connect
from rushes.cli.failures import Failure

WITHOUT_PROMPT = "video-edit"  # the one mode that may do without


def _pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [value.partition("=") for value in values]
    if bad := [value for value, (name, equals, _) in zip(values, pairs, strict=True) if not equals or not name]:
        raise click.BadParameter(f"{bad[0]!r} should read {parameter.metavar}")
    return [(name, value) for name, _, value in pairs]


@click.command()
@click.argument("prompt", required=False)
@click.option("--provider", "providers", multiple=True, help="A gateway; several stand in order of preference.")
@click.option(
    "--mode", help="text-to-video unless something else is said; image-to-video, reference-to-video, video-edit."
)
@click.option(
    "--media",
    multiple=True,
    metavar="TYPE=URL",
    callback=_pairs,
    help="A file that goes in: first_frame, last_frame, first_clip, driving_audio, reference_image, reference_video,"
    " reference_voice or video. Repeatable; the order counts.",
)
@click.option("--resolution", help="720p or 1080p.")
@click.option("--ratio", help="16:9, 9:16, 1:1, 4:3 or 3:4.")
@click.option("--duration", type=int, help="Seconds; 0 in video-edit: the length of the input.")
@click.option("--seed", type=int, help="The same seed and request give about the same video.")
@click.option("--negative-prompt", help="What must not be seen.")
@click.option("--audio-setting", help="In video-edit: origin keeps the input's sound, auto does not have to.")
@click.option("--shot-type", help="single or multi.")
@click.option("--prompt-extend/--no-prompt-extend", default=None, help="Whether the model may rewrite the prompt.")
@click.option("--watermark/--no-watermark", default=None, help="Whether the video bears the model's mark.")
@click.option("--notify-url", help="Told about the job's end, by a signed POST.")
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", callback=_pairs, help="Kept with the job; repeatable.")
@click.option(
    "--request",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A whole request as JSON; - is stdin. Whatever is said beside it is stronger.",
)
@click.option("--idempotency-key", help="The same key and request give the same job. One is made up otherwise.")
@click.option("--dry-run", is_flag=True, help="Buy nothing: say where it would go, at what price, and why.")
@click.option("--wait", is_flag=True, help="Stay until the job has ended; exit status 5 if without a video.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: give up after this long.")
@options.data_dir
@options.as_json
def command(
    prompt: str | None,
    providers: tuple[str, ...],
    media: list[tuple[str, str]],
    metadata: list[tuple[str, str]],
    file: str | None,
    idempotency_key: str | None,
    dry_run: bool,
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
    if dry_run and wait:
        raise click.UsageError("--dry-run buys nothing, so there is nothing to --wait for.")
    request = _read(file, prompt)
    request |= {name: value for name, value in asked.items() if value is not None}
    if prompt is not None:
        request["prompt"] = sys.stdin.read().strip() if prompt == "-" else prompt
    if providers:
        request["provider"] = providers[0] if len(providers) == 1 else list(providers)
    if media:
        request["media"] = [{"type": kind, "url": url} for kind, url in media]
    if metadata:
        request["metadata"] = dict(metadata)
    if "prompt" not in request and request.get("mode") != WITHOUT_PROMPT:
        raise click.UsageError(f"PROMPT is missing; only --mode {WITHOUT_PROMPT} may do without.")
    api = connect(data_dir)
    if dry_run:
        quote = api.quote(request)
        if as_json:
            output.as_json(quote)
        else:
            quoting.show(quote)
        return
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


def _read(file: str | None, prompt: str | None) -> dict[str, Any]:
    """The request in a file; without one, an empty request."""
    if file is None:
        return {}
    if file == prompt == "-":
        raise click.UsageError("PROMPT and --request cannot both be read from stdin.")
    with click.open_file(file, "rb") as opened:
        raw = opened.read()
    try:
        request = strict_json.loads(raw)
    except strict_json.BadJson as error:
        raise Failure(f"{file}: {error}", failures.USAGE) from error
    if not isinstance(request, dict):
        raise Failure(f"{file}: a request is a JSON object", failures.USAGE)
    return request
