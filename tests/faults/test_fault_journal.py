"""What a gateway answered and the database did not get: a killed worker, a full disk, a damaged folder, a backup."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from plant import ROLES, Plant
from proving import prove
from rows_backup import Backup
from tcp_proxy import Trap
from wire_words import commit_of

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

ACCEPTANCE = commit_of("UPDATE jobs SET state", "generating")
REFUSAL = commit_of("UPDATE attempts SET outcome", "refused")
GONE = "job_01M8JCWKCXT33NWWCEWT89QZKV"  # no database knows it


@pytest.fixture(autouse=True)
def clear_folder(plant: Plant) -> Iterator[None]:
    """Entries of one test are no news of another's."""
    yield
    for path in journal(plant).glob("*"):
        path.unlink()


@pytest.fixture
def full_disk(plant: Plant) -> Iterator[Path]:
    """The worker's data folder is a file system of its own that has no room; gives what takes all of it."""
    folder = plant.folder_of("worker")
    plant.kill("worker")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(folder)]
    refused = subprocess.run(mount, capture_output=True, text=True, check=False).stderr
    if refused:
        plant.start("worker")
        assert "permi" in refused or "superuser" in refused, refused  # whatever else went wrong is no reason to skip
        pytest.skip(f"whoever runs this may mount no file system: {refused}")
    try:
        (folder / "spool").mkdir()
        ballast = folder / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"0" * 4096):
                pass
        plant.start("worker")
        plant.await_alive("worker")
        yield ballast
    finally:
        if "worker" in plant.supervisor.pids:
            plant.kill("worker")
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def journal(plant: Plant) -> Path:
    return plant.folder_of("worker") / "journal"


def entries(plant: Plant) -> list[Path]:
    return sorted(journal(plant).glob("*.json"))


def lose_callbacks(plant: Plant, *providers: str) -> None:
    """The journal alone can tell."""
    for provider in providers:
        if PROVIDERS[provider].callbacks is not None:
            plant.stand_ins.fault(provider, "lose_callback")


def caught(plant: Plant, trap: Trap, answers: int = 1) -> None:
    """Wait until answers are kept, and the first one's write is held before it happens."""
    assert trap.caught.wait(60)
    plant.await_(lambda: len(entries(plant)) == answers, f"{answers} answers in the journal")


def await_empty(plant: Plant) -> None:
    plant.await_(lambda: not entries(plant), "an empty journal")


@pytest.mark.parametrize("provider", ["gravitex", *(prove(name) for name in PROVIDERS if name != "gravitex")])
def test_a_worker_killed_between_the_answer_and_its_first_write_leaves_the_task_to_the_next(
    plant: Plant, provider: str
) -> None:
    lose_callbacks(plant, provider)
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False)
    job_id = plant.book.order(provider)
    caught(plant, trap)
    plant.kill("worker")
    attempt = plant.book.case(job_id).attempts[1]
    assert (plant.book.state(job_id), attempt.task_id) == (State.SUBMITTING, None)
    plant.start("worker")
    [case] = plant.book.await_archived(job_id)
    [task] = plant.book.sold(job_id)
    assert (case.attempts[1].task_id, case.attempts[1].sends) == (task["task_id"], 1)
    await_empty(plant)


@pytest.mark.prove
def test_a_worker_killed_between_a_refusal_and_its_first_write_has_the_order_sent_on_by_the_next(plant: Plant) -> None:
    plant.stand_ins.fault("gravitex", "refuse", status=429, retry_after=1)
    trap = plant.to_database["worker"].trap(REFUSAL, after=False)
    job_id = plant.book.order("gravitex")
    caught(plant, trap)
    plant.kill("worker")
    plant.start("worker")
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1


@pytest.mark.prove
def test_two_workers_that_bring_the_same_answer_at_once_write_it_once(plant: Plant) -> None:
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False)
    job_id = plant.book.order("easyrouter")
    caught(plant, trap)
    plant.kill("worker")
    [task] = plant.book.sold(job_id)
    bringing = plant.to_database["worker"].trap(commit_of("UPDATE attempts SET", task["task_id"]), after=False)
    plant.start("worker")
    assert bringing.caught.wait(60)
    plant.start("worker-2")
    plant.await_(lambda: waits_for_a_row(plant), "the second one's wait for the first one's row")
    bringing.release()
    [case] = plant.book.await_archived(job_id)
    assert (case.attempts[1].task_id, case.attempts[1].sends) == (task["task_id"], 1)
    # Where a question came between, the job learns that it was accepted, and that it has been made, in one move.
    history = plant.book.history(job_id)
    assert ([history.count(event) for event in ("answered", "finish")], history.count("accept") <= 1) == ([1, 1], True)
    await_empty(plant)


def waits_for_a_row(plant: Plant) -> bool:
    """Whether somebody who brings news waits for somebody else's transaction."""
    is_waiting = "wait_event_type = 'Lock' AND position('FOR UPDATE' IN query) > 0"
    with plant.database.read() as db:
        return bool(db.exec_driver_sql(f"SELECT count(*) FROM pg_stat_activity WHERE {is_waiting}").scalar_one())


@pytest.mark.prove
@pytest.mark.parametrize("disk", ["has room", "is full"])
def test_a_database_away_for_longer_than_a_step_waits_has_nothing_asked_again_that_was_answered(
    plant: Plant, disk: str, request: pytest.FixtureRequest
) -> None:
    """With room a new worker brings what the old one was told; without, the old one must live, and does."""
    if disk == "is full":
        request.getfixturevalue("full_disk")
    providers = ["gravitex", "apiframe"]  # by the second one's key a lost order would be sent again
    lose_callbacks(plant, *providers)
    for provider in providers:
        plant.stand_ins.fault(provider, "late_answer", seconds=1)
    job_ids = [plant.book.order(provider) for provider in providers]
    for job_id in job_ids:
        plant.book.await_sold(job_id)
    since = len(plant.lines)
    plant.to_database["worker"].refuse()

    def given_up() -> bool:
        lines = [line for line in plant.lines[since:] if "database_unavailable" in line and '"jobs.submit"' in line]
        return all(any(job_id in line for line in lines) for job_id in job_ids)

    plant.await_(given_up, "the end of the steps' patience")
    if disk == "has room":
        assert len(entries(plant)) == len(job_ids)
        synced = "\n".join(line for line in plant.lines[since:] if "answer_in_journal" in line)
        assert all(plant.book.sold(job_id)[0]["task_id"] in synced for job_id in job_ids), "no log has it"
        plant.kill("worker")
        plant.to_database["worker"].heal()
        plant.start("worker")
    else:
        assert entries(plant) == []
        plant.to_database["worker"].heal()
    for case in plant.book.await_archived(*job_ids):
        [task] = plant.book.sold(case.job.id)
        assert (case.attempts[1].task_id, case.attempts[1].sends) == (task["task_id"], 1)
    await_empty(plant)


@pytest.mark.prove
def test_with_a_full_disk_an_order_goes_on_and_nothing_stays_in_its_folder(plant: Plant, full_disk: Path) -> None:
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False, then="cut", times=3)
    job_id = plant.book.order("gravitex")
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()
    assert len(plant.book.sold(job_id)) == 1
    assert list(journal(plant).glob("*")) == []


@pytest.mark.prove
def test_a_disk_that_has_room_again_keeps_what_it_did_not_take(plant: Plant, full_disk: Path) -> None:
    """The first write fails after that, and its worker is killed."""
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False)
    job_id = plant.book.order("gravitex")
    assert trap.caught.wait(60)
    assert entries(plant) == []
    full_disk.unlink()
    plant.to_database["worker"].refuse()
    plant.await_(lambda: entries(plant), "the answer in the journal")
    plant.kill("worker")
    plant.to_database["worker"].heal()
    plant.start("worker")
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1


def test_with_a_full_disk_and_a_killed_worker_a_person_finds_the_task_in_the_log(plant: Plant, full_disk: Path) -> None:
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False)
    job_id = plant.book.order("gravitex")
    assert trap.caught.wait(60)
    plant.kill("worker")
    plant.start("worker")
    [case] = plant.book.await_ended(job_id)
    assert case.job.error_code == "submit_unconfirmed"
    assert (job_id, "uncertain_money") in attention(plant)
    [line] = [line for line in plant.lines if "answer_not_in_journal" in line and job_id in line]
    task_id = json.loads(line.partition(": ")[2])["task_id"]
    url = f"{plant.url}/v1/jobs/{job_id}/attempts/1/settle"
    requests.post(url, json={"task_id": task_id}, headers=headers(plant), timeout=20).raise_for_status()
    plant.book.await_state(job_id, State.ARCHIVED)
    assert [task["task_id"] for task in plant.book.sold(job_id)] == [task_id]


@pytest.mark.prove
def test_damage_in_the_folder_keeps_no_answer_back_and_one_of_a_job_that_is_gone_is_shown(plant: Plant) -> None:
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False)
    job_id = plant.book.order("gravitex")
    caught(plant, trap)
    plant.kill("worker")
    [entry] = entries(plant)
    kept: dict[str, Any] = json.loads(entry.read_text())
    of_gone = {**kept, "answer": {**kept["answer"], "job_id": GONE}}
    (journal(plant) / "gone.json").write_text(json.dumps(of_gone))
    (journal(plant) / "half.json").write_text(entry.read_text()[:100])
    (journal(plant) / "odd.json").write_text(json.dumps({**kept, "answer": {**kept["answer"], "said": None}}))
    (journal(plant) / "half.draft").write_text(entry.read_text()[:100])
    entry.rename(entry.with_suffix(".draft"))  # killed before it gave the entry its name
    plant.start("worker")
    plant.book.await_archived(job_id)
    assert (GONE, "unknown_job") in attention(plant)
    left = sorted(path.name for path in journal(plant).iterdir())
    assert left == ["gone.json", "half.draft", "half.unreadable", "odd.unreadable"]


@pytest.mark.prove
def test_a_database_put_back_from_a_backup_is_told_what_the_journal_holds_and_orders_nothing_twice(
    plant: Plant,
) -> None:
    plant.kill("worker")
    routes: list[str | list[str]] = [
        "gravitex",
        "evolink",
        ["gravitex", "evolink"],
    ]  # of the last one evolink is guessed
    lose_callbacks(plant, "evolink")
    job_ids = [plant.book.order(route) for route in routes]
    backup = Backup(plant)
    trap = plant.to_database["worker"].trap(ACCEPTANCE, after=False, times=len(routes))
    plant.start("worker")
    caught(plant, trap, len(routes))
    plant.kill(*ROLES)
    plant.database.engine.dispose()
    backup.put_back()
    restored = ["rushes", "db", "restored", "--as-of", backup.taken_at.isoformat()]
    command = [str(Path(sys.executable).parent / restored[0]), *restored[1:]]
    done = subprocess.run(command, env=plant.environment_of("web"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [plant.book.state(job_id) for job_id in job_ids] == [State.UNCONFIRMED] * len(job_ids)
    for role in ROLES:
        plant.start(role)
    plant.book.await_archived(*job_ids)
    assert [len(plant.book.sold(job_id)) for job_id in job_ids] == [1] * len(job_ids)
    await_empty(plant)


def attention(plant: Plant) -> list[tuple[str, str]]:
    answer = requests.get(f"{plant.url}/v1/attention", headers=headers(plant), timeout=20)
    answer.raise_for_status()
    return [(item["job_id"], item["reason"]) for item in answer.json()["data"]]


def headers(plant: Plant) -> dict[str, str]:
    return {"Authorization": f"Bearer {plant.key}"}
