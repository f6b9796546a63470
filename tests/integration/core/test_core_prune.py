"""`rushes db prune` on an installation that has worked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from workshop import Workshop

from jobs.machine.job_json import job_json
from jobs.machine.states import State
from jobs.store.tables import events, jobs
from jobs.upkeep import audit
from rushes.cli import main

pytestmark = pytest.mark.both_databases

Rushes = Callable[..., Result]


@pytest.fixture
def rushes(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rushes:
    """A command on the workshop's installation."""
    for name, value in workshop.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(workshop.bucket.config.access_key))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(workshop.bucket.config.secret_key))
    return lambda *arguments: CliRunner().invoke(main, ["db", "prune", *arguments])


def grow_old(workshop: Workshop, days: int) -> None:
    """As if everything had happened that long ago."""
    earlier = timedelta(days=days)
    with workshop.database.write() as db:
        for row in db.execute(sa.select(jobs.c.id, jobs.c.created_at, jobs.c.ended_at)).all():
            times = {"created_at": row.created_at - earlier, "ended_at": row.ended_at and row.ended_at - earlier}
            db.execute(sa.update(jobs).where(jobs.c.id == row.id).values(**times))


def test_a_pruned_installation_still_balances_and_shows_its_jobs(
    workshop: Workshop, sandbox: Any, rushes: Rushes
) -> None:
    archived = workshop.create(provider="evolink")
    workshop.until(archived, State.ARCHIVED)
    live = workshop.create(provider="gravitex")
    grow_old(workshop, 200)
    untouched = workshop.history(live)
    before = job_json(workshop.case(archived))
    told = json.loads(rushes("--dry-run", "--json").stdout)
    assert (told["dry_run"], told["histories"], told["requests"]) == (True, 1, 1)
    assert json.loads(rushes("--json").stdout) == {**told, "dry_run": False}
    assert job_json(workshop.case(archived)) == before
    assert audit.audit(workshop.resources, deep=True).balances
    assert workshop.history(live) == untouched


def test_people_are_told_in_words(workshop: Workshop, sandbox: Any, rushes: Rushes) -> None:
    assert rushes().stderr == "deleted nothing\n"
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    grow_old(workshop, 200)
    with workshop.database.read() as db:
        count = db.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
    said = f"the history of 1 job ({count} events), what was sent with 1 order\n"
    assert rushes("--dry-run").stderr == f"would delete {said}"
    result = rushes()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"deleted {said}")
