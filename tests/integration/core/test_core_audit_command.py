"""`rushes audit`, `rushes db backup` and `rushes db restored`, as scripts call them."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from workshop import Workshop

from jobs.machine.states import State
from jobs.store.tables import jobs
from rushes.cli import main
from storage.keys import sidecar_key

Rushes = Callable[..., Result]


@pytest.fixture
def rushes(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rushes:
    """A command on the workshop's installation."""
    for name, value in workshop.env.items():
        monkeypatch.setenv(name, value)
    config = workshop.bucket.config
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(config.access_key))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(config.secret_key))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def lose_alarms(workshop: Workshop) -> None:
    with workshop.database.write() as db:
        db.execute(sa.update(jobs).values(alarm_at=None))


def test_what_balances_ends_well_and_says_so(workshop: Workshop, sandbox: Any, rushes: Rushes) -> None:
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    result = rushes("audit")
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert "accepted 1 = 1 archived, 0 failed, 0 cancelled, 0 live" in result.stderr
    assert "it balances" in result.stderr


def test_what_does_not_balance_has_a_status_and_says_what_to_do(workshop: Workshop, rushes: Rushes) -> None:
    job_id = workshop.create(provider="evolink")
    lose_alarms(workshop)
    result = rushes("audit")
    assert result.exit_code == 1
    line = f"live_without_alarm\t{job_id}\tqueued, with neither alarm nor holder\t`--repair` sets its alarm"
    assert result.stdout.splitlines() == [line]
    told = json.loads(rushes("audit", "--json").stdout)
    assert (told["balances"], told["left"], told["counts"]) == (False, 1, {"live_without_alarm": 1})
    assert told["account"] == {"accepted": 1, "live": 1, "states": {"queued": 1}}


def test_a_repair_that_leaves_nothing_ends_well_and_the_next_audit_finds_nothing(
    workshop: Workshop, rushes: Rushes
) -> None:
    workshop.create(provider="evolink")
    lose_alarms(workshop)
    result = rushes("audit", "--repair", "--json")
    assert result.exit_code == 0
    assert [found["done"] for found in json.loads(result.stdout)["findings"]] == ["its alarm is set"]
    assert json.loads(rushes("audit", "--json").stdout)["findings"] == []


def test_a_missing_sidecar_is_found_by_the_command_as_well(workshop: Workshop, sandbox: Any, rushes: Rushes) -> None:
    job_id = workshop.create(provider="evolink")
    key = sidecar_key(workshop.until(job_id, State.ARCHIVED).job.archive_key)
    workshop.bucket._client.delete_object(Bucket=workshop.bucket.config.bucket, Key=key)
    assert rushes("audit").exit_code == 1
    assert rushes("audit", "--repair", "--deep").exit_code == 0
    assert rushes("audit", "--deep").exit_code == 0


def test_a_bucket_that_does_not_answer_has_a_status_of_its_own(
    workshop: Workshop, rushes: Rushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSHES_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    result = rushes("audit")
    assert (result.exit_code, result.stdout) == (8, "")
    listed = f"{workshop.bucket.config.prefix}videos/"
    assert result.stderr.splitlines()[0].startswith(f"error: the bucket cannot be used: list {listed}")


@pytest.mark.both_databases
def test_a_backup_is_a_private_whole_database_and_says_when_it_was_taken(
    workshop: Workshop, rushes: Rushes, tmp_path: Path
) -> None:
    file = tmp_path / "copy.db"
    job_id = workshop.create(provider="evolink")
    result = rushes("db", "backup", str(file))
    if not workshop.database.is_sqlite:
        assert result.exit_code == 2
        assert "pg_dump --format=custom" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    assert datetime.fromisoformat(result.stdout.strip()) <= datetime.now(UTC)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    copy = sqlite3.connect(file)
    assert copy.execute("SELECT id FROM jobs").fetchall() == [(job_id,)]
    copy.close()
    again = rushes("db", "backup", str(file))
    assert again.exit_code == 2
    assert f"error: {file} is there already" in again.stderr
    told = json.loads(rushes("db", "backup", str(tmp_path / "other.db"), "--json").stdout)
    assert set(told) == {"file", "as_of"}
    assert rushes("db", "backup", str(tmp_path / "no" / "where.db")).exit_code == 1


@pytest.mark.both_databases
def test_a_database_is_said_to_be_restored_once(workshop: Workshop, rushes: Rushes) -> None:
    job_id = workshop.create(provider="evolink")
    as_of = datetime.now(UTC).isoformat()
    result = rushes("db", "restored", "--as-of", as_of, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"live": {"queued": 1}, "unconfirmed": 1}
    assert workshop.state(job_id) is State.UNCONFIRMED


@pytest.mark.parametrize(
    ("as_of", "status", "words"),
    [
        ("yesterday", 2, "'yesterday' is no time with a zone"),
        ("2026-11-21T16:00:00", 2, "hint: for example --as-of 2026-11-21T16:00:00Z"),
        ("2999-01-01T00:00:00Z", 1, "is in the future"),
        ("2020-01-01T00:00:00Z", 1, "A job was last written at"),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    workshop: Workshop, rushes: Rushes, as_of: str, status: int, words: str
) -> None:
    job_id = workshop.create(provider="evolink")
    result = rushes("db", "restored", "--as-of", as_of)
    assert (result.exit_code, result.stdout) == (status, "")
    assert words in result.stderr
    assert workshop.state(job_id) is State.QUEUED


def test_when_the_backup_was_taken_must_be_said(rushes: Rushes) -> None:
    assert rushes("db", "restored").exit_code == 2
