"""`rushes submit`: ask for a video, for many, or for what they would cost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from jobs.request import strict_json
from jobs.request.fields import FIELDS, ChoiceField, Field, NumberField
from jobs.request.schema import fault_of_batch
from rushes.cli import options
from rushes.cli.ordering import batches, filenames, orders, quoting
from rushes.cli.ordering import many as many_orders
from rushes.cli.ordering.filenames import BadPattern, Pattern
from rushes.cli.ordering.orders import Ending
from rushes.cli.service.api import Api, connect
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure

WITHOUT_PROMPT = "video-edit"  # the one mode that may do without


def _key(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not batches.is_key(value):
        raise click.BadParameter(f"{value!r} {batches.WANTED}")
    return value


def _batch(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (fault := fault_of_batch(value)):
        raise click.BadParameter(fault)
    return value


def _pattern(ctx: click.Context, parameter: click.Parameter, value: str) -> Pattern:
    try:
        return Pattern(value)
    except BadPattern as error:
        raise click.BadParameter(str(error)) from error


def _fields_of_the_video(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each field that a request can have of the video, in the order of their table."""
    for field in reversed(FIELDS):
        if field.name != "prompt":  # the argument
            command = _option(field)(command)
    return command


def _option(field: Field) -> Callable[[Callable[..., None]], Callable[..., None]]:
    name = field.name.replace("_", "-")
    match field:
        case ChoiceField(is_switch=True):
            return click.option(f"--{name}/--no-{name}", default=None, help=field.help)
        case NumberField():
            return click.option(f"--{name}", type=int, help=field.help)
    return click.option(f"--{name}", help=field.help)


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
    callback=options.pairs,
    help="A file that goes in: first_frame, last_frame, first_clip, driving_audio, reference_image, reference_video,"
    " reference_voice or video. Repeatable; the order counts.",
)
@_fields_of_the_video
@click.option("--notify-url", help="Told about the job's end, by a signed POST.")
@click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", callback=options.pairs, help="Kept with the job; repeatable."
)
@click.option(
    "--request",
    "single",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A whole request as JSON; - is stdin. Whatever is said beside it is stronger.",
)
@click.option(
    "--like",
    metavar="JOB",
    callback=options.job_id,
    help="The request of this job, ordered anew. Whatever is said beside it is stronger.",
)
@click.option(
    "--file",
    "many",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Many requests, a JSON object a line; - is stdin. What a line leaves out is as said beside it. A line may have"
    " an idempotency_key.",
)
@click.option(
    "--batch",
    metavar="NAME",
    callback=_batch,
    help="The run that it belongs to; with --file, called as the file unless said. In one batch a file buys each of its"
    " lines once, however often it is given.",
)
@click.option(
    "--idempotency-key", callback=_key, help="The same key and request give the same job. One is made up otherwise."
)
@click.option("--dry-run", is_flag=True, help="Buy nothing: say where it would go, at what price, and why.")
@click.option("--wait", is_flag=True, help="Stay until the job has ended; exit status 5 if without a video.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: give up after this long.")
@click.option(
    "--download",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Wait, and save each video there, checked by its SHA-256, as soon as it has come.",
)
@click.option(
    "--name",
    "pattern",
    metavar="PATTERN",
    default=filenames.USUAL,
    show_default=True,
    callback=_pattern,
    help="With --file and --download: what the files are called, such as {line:04}-{metadata.scene}. There are id,"
    " line, batch, mode, provider and metadata.KEY.",
)
@options.data_dir
@options.as_json
def command(
    prompt: str | None,
    providers: tuple[str, ...],
    media: list[tuple[str, str]],
    metadata: list[tuple[str, str]],
    single: str | None,
    like: str | None,
    many: str | None,
    batch: str | None,
    idempotency_key: str | None,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    folder: Path | None,
    pattern: Pattern,
    data_dir: Path,
    as_json: bool,
    **asked: Any,
) -> None:
    """Ask for a video of PROMPT; `-` reads it from stdin. Prints the job's id.

    Repeats by itself while the service cannot be reached, always under one idempotency key: no video is bought twice.

    With --file, asks for many. A line that is no JSON object is told before anything is sent; one that the service
    refuses is told with its number, and the others go on. What is bought is said before it is; the same file again, or
    with lines added, mended or moved, buys the new lines alone. --json prints a line for each job, with its `line`.
    """
    wait = wait or folder is not None
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is about waiting; add --wait.")
    if dry_run and wait:
        raise click.UsageError("--dry-run buys nothing, so there is nothing to wait for.")
    ending = Ending(wait, timeout, folder, as_json)
    said = {name: value for name, value in asked.items() if value is not None}
    if providers:
        said["provider"] = providers[0] if len(providers) == 1 else list(providers)
    if media:
        said["media"] = [{"type": kind, "url": url} for kind, url in media]
    if metadata:
        said["metadata"] = dict(metadata)
    if many is not None:
        if any(each is not None for each in (prompt, single, like, idempotency_key)):
            alone = "--file brings prompts and keys; leave PROMPT, --request, --like and --idempotency-key out."
            raise click.UsageError(alone)
        name = batch or batches.name_of(many)
        if fault := fault_of_batch(name):
            raise click.UsageError(f"No batch can be called {name!r}, as the file is; add --batch NAME. {fault}")
        lines = batches.read(many, name, said)
        if folder is not None:
            many_orders.check_names(lines, pattern)
        api = connect(data_dir)
        if dry_run:
            many_orders.quote_all(api, lines, as_json=as_json)
        else:
            many_orders.order_all(api, lines, name, ending, pattern)
        return
    if pattern.text != filenames.USUAL:
        raise click.UsageError("--name is about many videos; add --file.")
    if batch is not None:
        said["batch"] = batch
    if like is not None and single is not None:
        raise click.UsageError("--like and --request both bring a whole request; leave one out.")
    begun = _read(single, prompt)
    api = connect(data_dir)
    begun |= {} if like is None else _request_of(api, like, said)
    request = {**begun, **said}
    if prompt is not None:
        request["prompt"] = sys.stdin.read().strip() if prompt == "-" else prompt
    if "prompt" not in request and request.get("mode") != WITHOUT_PROMPT:
        raise click.UsageError(f"PROMPT is missing; only --mode {WITHOUT_PROMPT} may do without.")
    if dry_run:
        _quote(api, request, as_json)
    else:
        orders.order(api, request, idempotency_key or batches.fresh_key(), ending)


def _request_of(api: Api, job_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """A job's request, as a new one: in no batch, unless one is said. Raises Failure."""
    taken: dict[str, Any] = api.get(f"/v1/jobs/{job_id}")["request"]
    masked = [item["type"] for item in taken["media"] for value in item.values() if value.endswith("?…")]
    if masked and "media" not in said:
        hint = "give them anew with --media TYPE=URL; a key that may only read is not shown them"
        raise Failure(f"what signs the links of {job_id} is not known: {', '.join(masked)}", failures.USAGE, hint=hint)
    return {name: value for name, value in taken.items() if name != "batch"}


def _quote(api: Api, request: dict[str, Any], as_json: bool) -> None:
    quote = api.quote(request)
    if as_json:
        output.as_json(quote)
    else:
        quoting.show(quote)


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
        raise Failure(f"{file}: a request is a JSON object; many of them are --file's", failures.USAGE)
    return request
