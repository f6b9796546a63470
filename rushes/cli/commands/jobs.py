"""`rushes jobs`: what became of requests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from rushes.cli import options
from rushes.cli.ordering import whole_batch
from rushes.cli.ordering.several import Several
from rushes.cli.service import listing, settling, waiting
from rushes.cli.service.api import connect
from rushes.cli.service.listing import Columns
from rushes.cli.terminal import output
from rushes.provider_words import dollars


@click.group()
def command() -> None:
    """Jobs of the service at RUSHES_URL."""


@command.command("list")
@click.option("--state", multiple=True, help="Only jobs in this state; repeatable.")
@click.option("--overdue", is_flag=True, help="Only jobs past their expected time.")
@click.option("--needs-person", is_flag=True, help="Only jobs that somebody should look at.")
@listing.filters
@options.data_dir
@options.as_json
def list_(
    state: tuple[str, ...], overdue: bool, needs_person: bool, data_dir: Path, as_json: bool, **chosen: Any
) -> None:
    """The newest jobs first, a page at a time."""
    names = ("id", "state", "provider", "attempt", "created_at")

    def row(job: dict[str, Any]) -> list[Any]:
        return [job[name] for name in names]

    chosen |= {"overdue": "true" if overdue else None, "needs_person": "true" if needs_person else None}
    columns = Columns([*names[:-1], "created"], row, spare=("attempt", "created"))
    listing.show(connect(data_dir), columns, as_json=as_json, state=list(state) or None, **chosen)


@command.command()
@options.row_id("job", "job_01K…")
@options.data_dir
@options.as_json
def show(row_id: str, data_dir: Path, as_json: bool) -> None:
    """One job, and its history."""
    api = connect(data_dir)
    job = api.get(f"/v1/jobs/{row_id}")
    events = api.get(f"/v1/jobs/{row_id}/events")["data"]
    if as_json:
        output.as_json({**job, "events": events})
        return
    output.table(["job", ""], [[name, value] for name, value in _facts(job)])
    if job["attempts"]:
        output.table(
            ["order", "gateway", "outcome", "money", "US$", "task"], [*map(_order, job["attempts"])], right=["US$"]
        )
    names = ("at", "event", "attempt", "from_state", "to_state")
    output.table([*names[:-2], "from", "to"], [[event[name] for name in names] for event in events])


@command.command()
@options.some_job_ids
@click.option("--batch", metavar="NAME", help="All jobs of this batch instead, with one line of progress and a sum.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after this long; exit status 6.")
@options.data_dir
@options.as_json
def watch(job_ids: list[str], batch: str | None, timeout: float | None, data_dir: Path, as_json: bool) -> None:
    """Follow jobs to their ends. With --json: a line for each change."""
    if bool(job_ids) == (batch is not None):
        raise click.UsageError("Name jobs by their ids, or a batch by --batch NAME.")
    api, several = connect(data_dir), Several()
    if batch is not None:
        ended = whole_batch.follow(api, batch, timeout_s=timeout, as_json=as_json)
    else:

        def shown(job: dict[str, Any]) -> None:
            if as_json:
                output.as_json(job, line=True)
            else:
                waiting.note(job)

        ended = waiting.follow(api, *job_ids, timeout_s=timeout, show=shown)
    for job in ended.values():
        with several.one(job["id"]):
            waiting.judge(job)
    several.end()


@command.command()
@options.job_ids
@options.data_dir
@options.as_json
def cancel(job_ids: list[str], data_dir: Path, as_json: bool) -> None:
    """Cancel jobs that no gateway has accepted yet. What has been accepted is paid, and will be archived."""
    api, several = connect(data_dir), Several()
    for job_id in job_ids:
        with several.one(job_id):
            job = api.post(f"/v1/jobs/{job_id}/cancel")
            _tell(job, "cancelled" if job["state"] == "cancelled" else "cancelled if no gateway accepts it", as_json)
    several.end()


@command.command()
@options.job_ids
@click.option(
    "--accept-double-charge", is_flag=True, help="Order once more even where an earlier order may have been paid."
)
@click.option("--yes", is_flag=True, help="With --accept-double-charge: do not ask back.")
@options.data_dir
@options.as_json
def retry(job_ids: list[str], accept_double_charge: bool, yes: bool, data_dir: Path, as_json: bool) -> None:
    """Try failed jobs again: the copying if that is what failed, else with a new order. Take up those set aside."""
    if yes and not accept_double_charge:
        raise click.UsageError("--yes answers what --accept-double-charge asks; add it, or leave --yes out.")
    if accept_double_charge and not yes and at_terminal():
        click.confirm(f"{output.counted(len(job_ids), 'video')} may be paid twice. Order?", abort=True, err=True)
    api, several = connect(data_dir), Several()
    for job_id in job_ids:
        with several.one(job_id):
            _tell(api.retry(job_id, accept_double_charge=accept_double_charge), "tried again", as_json)
    several.end()


@command.command()
@options.row_id("job", "job_01K…")
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="Which order; needed where several may be meant."
)
@click.option(
    "--task-id",
    metavar="T",
    help="Its task is T; waits until the gateway was asked. Of two orders that were told T it is this one's.",
)
@click.option("--not-made", is_flag=True, help="Its answer was lost, and the gateway made nothing of it.")
@click.option("--charged", is_flag=True, help="It is closed, and was charged.")
@click.option("--not-charged", is_flag=True, help="It is closed, and was not charged.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait for so long at most; exit status 6.")
@options.data_dir
@options.as_json
def settle(
    row_id: str,
    attempt: int | None,
    task_id: str | None,
    not_made: bool,
    charged: bool,
    not_charged: bool,
    timeout: float | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Say what you found out about an order: its task, that it was not made, or whether it was charged.

    What the gateway says later outweighs it. A job whose order was not made is ordered anew: if that is wrong, it may
    be paid twice.
    """
    given: list[dict[str, Any]] = [{"task_id": task_id}] if task_id is not None else []
    given += [{"made": False}] * not_made + [{"charged": True}] * charged + [{"charged": False}] * not_charged
    if len(given) != 1:
        raise click.UsageError("Say one thing: --task-id T, --not-made, --charged or --not-charged.")
    (said,) = given
    api = connect(data_dir)
    number = settling.order_meant(api.get(f"/v1/jobs/{row_id}"), attempt, about_money="charged" in said)
    job = api.post(f"/v1/jobs/{row_id}/attempts/{number}/settle", said)
    if task_id is not None:
        job = settling.answered(api, job, number, task_id, timeout_s=timeout)
    _tell(job, f"order {number} is {settling.words(job, number)}", as_json)


def at_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _tell(job: dict[str, Any], done: str, as_json: bool) -> None:
    if as_json:
        output.as_json(job, line=True)
    else:
        output.note(f"{job['id']}  {done}")


def _facts(job: dict[str, Any]) -> list[tuple[str, Any]]:
    """A job's fields in one list, inner ones under dotted names; what is empty is left out, orders stand apart."""
    facts: list[tuple[str, Any]] = []
    for name, value in job.items():
        if name == "waiting" and value:
            facts.append((name, _waiting(value)))
        elif name == "request" and value:
            facts += _request(value)
        elif isinstance(value, dict):
            facts += [(f"{name}.{inner}", v) for inner, v in value.items() if v is not None]
        elif value is not None and name != "attempts":
            facts.append((name, value))
    return facts


def _request(taken: dict[str, Any]) -> list[tuple[str, Any]]:
    """What was asked for; the mode and the metadata stand by themselves."""
    said = {name: value for name, value in taken.items() if name not in ("mode", "media", "metadata")}
    facts = [(f"request.{name}", value) for name, value in said.items() if value is not None]
    for item in taken["media"]:
        facts.append((f"request.{item['type']}", item["url"]))
        if item.get("reference_voice"):
            facts.append(("request.reference_voice", item["reference_voice"]))
    return facts


def _waiting(why: dict[str, Any]) -> str:
    """Why a job waits, in a sentence. An older service tells neither place nor limit."""
    said = f"{why['reason']} ({why['code']})"
    if why.get("position"):
        said += f", number {why['position']} in line"
    if why["until"]:
        said += f"; looked at again at {why['until']}"
    return f"{said}; fails unless accepted by {why['start_by']}" if why.get("start_by") else said


def _order(attempt: dict[str, Any]) -> list[Any]:
    """An order's line. A link shows where a paid video was not delivered."""
    cost = attempt["cost"]
    reported, expected = dollars(cost["reported_usd"]), dollars(cost["estimated_usd"])
    about = "" if cost["estimate_exact"] else "at most "
    usd = reported or (f"{about}{expected}, expected" if expected else None)
    outcome = f"{attempt['outcome']}: {attempt['link']}" if attempt["link"] else attempt["outcome"]
    standing = f"{cost['standing']}, says a person" if attempt.get("settled") else cost["standing"]
    return [attempt["number"], attempt["provider"], outcome, standing, usd, attempt["task_id"] or _named(attempt)]


def _named(attempt: dict[str, Any]) -> str | None:
    """The task that a person named for an order without one. An older service tells of none."""
    named = attempt.get("named")
    return named and f"{named['task_id']}? {named['reason'] or named['state']}"
