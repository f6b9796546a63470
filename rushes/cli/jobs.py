"""`rushes jobs`: what became of requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from rushes.cli import failures, options, output, waiting
from rushes.cli.api import connect
from rushes.cli.failures import Failure
from rushes.gateway_words import dollars


@click.group()
def command() -> None:
    """Jobs of the service at RUSHES_URL."""


def _job_id(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value or quote(value, safe="") != value:
        raise Failure(f"{value!r} is no job's id", failures.NOT_FOUND, hint="ids look like job_01K…")
    return value


job_id = click.argument("job_id", metavar="ID", callback=_job_id)


@command.command("list")
@click.option("--state", help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--cursor", help="Where to go on: `next_cursor` of the page before.")
@options.data_dir
@options.as_json
def list_(state: str | None, limit: int, cursor: str | None, data_dir: Path, as_json: bool) -> None:
    """The newest jobs first, a page at a time."""
    asked = {"state": state, "limit": limit, "cursor": cursor}
    page = connect(data_dir).get("/v1/jobs", {name: value for name, value in asked.items() if value is not None})
    if as_json:
        output.as_json(page)
        return
    names = ("id", "state", "provider", "attempt", "created_at")
    output.table([*names[:-1], "created"], [[job[name] for name in names] for job in page["data"]])
    if page["has_more"]:
        output.note(f"there are more: --cursor {page['next_cursor']}")


@command.command()
@job_id
@options.data_dir
@options.as_json
def show(job_id: str, data_dir: Path, as_json: bool) -> None:
    """One job, and its history."""
    api = connect(data_dir)
    job = api.get(f"/v1/jobs/{job_id}")
    events = api.get(f"/v1/jobs/{job_id}/events")["data"]
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
@job_id
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after this long; exit status 6.")
@options.data_dir
@options.as_json
def watch(job_id: str, timeout: float | None, data_dir: Path, as_json: bool) -> None:
    """Follow a job to its end. With --json: a line for each change."""

    def shown(job: dict[str, Any]) -> None:
        if as_json:
            output.as_json(job, line=True)
        else:
            waiting.note(job)

    waiting.judge(waiting.follow(connect(data_dir), job_id, timeout_s=timeout, show=shown))


def _facts(job: dict[str, Any]) -> list[tuple[str, Any]]:
    """A job's fields in one list, inner ones under dotted names; what is empty is left out, orders stand apart."""
    facts: list[tuple[str, Any]] = []
    for name, value in job.items():
        if name == "waiting" and value:
            facts.append((name, f"{value['reason']} ({value['code']}); looked at again at {value['until']}"))
        elif isinstance(value, dict):
            facts += [(f"{name}.{inner}", v) for inner, v in value.items() if v is not None]
        elif value is not None and name != "attempts":
            facts.append((name, value))
    return facts


def _order(attempt: dict[str, Any]) -> list[Any]:
    """An order's line. A link shows where a paid video was not delivered."""
    cost = attempt["cost"]
    reported, expected = dollars(cost["reported_usd"]), dollars(cost["estimated_usd"])
    about = "" if cost["estimate_exact"] else "at most "
    usd = reported or (f"{about}{expected}, expected" if expected else None)
    outcome = f"{attempt['outcome']}: {attempt['link']}" if attempt["link"] else attempt["outcome"]
    return [attempt["number"], attempt["provider"], outcome, cost["standing"], usd, attempt["task_id"]]
