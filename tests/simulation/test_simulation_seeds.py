"""A thousand seeds: up to five jobs each, or hundreds, under every fault there is; and what they exercise.

`make test` takes the first of them; whether all that there is was exercised is judged where all have run.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sim_coverage import Coverage
from sim_rules import RULES
from sim_run import simulate

from jobs.store import cases, leases

SEEDS, CHUNKS = 1_000, 40
EACH = SEEDS // CHUNKS
SAMPLED = 4  # chunks


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """A folder that all test processes of this run see."""
    folder = tmp_path_factory.getbasetemp().parent / f"simulation-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "chunk", [pytest.param(n, marks=() if n < SAMPLED else pytest.mark.prove) for n in range(CHUNKS)]
)
def test_no_rule_breaks_under_any_fault(chunk: int, shared: Path) -> None:
    coverage, began = Coverage(), time.process_time()
    for seed in range(chunk * EACH, (chunk + 1) * EACH):
        run = simulate(seed)
        assert run.violation is None, run.report
        coverage.add(run)
    rate = EACH / (time.process_time() - began)
    print(f"{rate:.1f} seeds a second of processor time")  # noqa: T201 - `pytest -rP` shows it
    draft = shared / f"{chunk}.draft"
    draft.write_text(json.dumps(coverage.as_json()))
    draft.rename(shared / f"{chunk}.json")  # at once, as another process may be about to read all of them
    parts = list(shared.glob("*.json"))
    if len(parts) == CHUNKS:  # the last to end has all of it before it
        whole = Coverage()
        for part in parts:
            whole.merge(json.loads(part.read_text()))
        assert not whole.missing(), f"never seen in {SEEDS} seeds: {whole.missing()}\n{whole}"


# What makes orders meet each other's tasks, and what makes it hard to tell whose these are.
MEETINGS = {
    "told of another's task": ("submit_unanswered", "callback_of_another", "answer_late"),
    "commits lost and a key replaced": ("commits_lost", "key_replaced", "callback_late", "callback_twice"),
    "a backup put back": (
        "backup_restored",
        "submit_unanswered",
        "callback_of_another",
        "person_settles",
        "callback_late",
    ),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", [range(10), pytest.param(range(10, 160), marks=pytest.mark.prove)], ids=str)
@pytest.mark.parametrize("faults", MEETINGS.values(), ids=list(MEETINGS))
def test_no_rule_breaks_where_orders_meet_at_one_gateway(faults: tuple[str, ...], seeds: range) -> None:
    for seed in seeds:
        run = simulate(seed, only=faults, crowded=True)
        assert run.violation is None, run.report


def test_a_seed_is_the_same_run_every_time() -> None:
    first = next(run for run in map(simulate, range(100)) if len(run.story) > 50)  # one in which much happens
    second = simulate(first.seed)
    assert first.story == second.story
    assert (first.faults, first.moves, first.virtual_s) == (second.faults, second.moves, second.virtual_s)


def test_what_a_write_tells_is_what_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    write, strange, told = leases._write, [], 0

    def compared(db: Any, case: Any, *more: Any) -> Any:
        nonlocal told
        written = write(db, case, *more)
        if written is not None:
            told += 1
            strange.extend([written] if written != cases.read_case(db, case.job.id) else [])
        return written

    monkeypatch.setattr(leases, "_write", compared)
    for seed in range(10):
        assert simulate(seed).violation is None
    assert told > 200
    assert not strange


def test_a_broken_rule_is_told_with_its_story_and_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.store.leases.mark_sending", lambda *_, **__: True)
    run = simulate(0)
    assert run.violation is not None
    assert RULES["marked-first"] in run.report
    assert "accepted" in run.report
    assert run.report.endswith("Again: make simulate SEED=0")


def test_a_quiet_run_archives_every_job() -> None:
    run = simulate(1, only=("client_asks_twice",))
    assert run.violation is None, run.report
    ended = Counter(event.value for (_, event), n in run.moves.items() for _ in range(n))
    assert ended["store"] == ended["claim"] >= 1
