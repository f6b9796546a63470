"""docs/benchmarks.md, as `make bench` writes it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
HELPERS = {"arena", "fast_gateway", "figures", "plain_pipeline", "plain_receiver", "run"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`benchmarks/run.py`, which is in no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("run", BENCHMARKS / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("figures", None)


def lines(run: ModuleType, name: str, *figures: tuple[str, bool], taken: str) -> list[str]:
    told = [run.Figure(what, "3 ms | at most 4", "2 ms", is_held) for what, is_held in figures]
    found: list[str] = run.rows_of(name, told, taken)
    return found


def test_every_benchmark_is_run_by_it(run: ModuleType) -> None:
    assert set(run.NAMES) == {file.stem for file in BENCHMARKS.glob("*.py")} - HELPERS


def test_the_page_has_lines_of_every_benchmark(run: ModuleType) -> None:
    assert list(run.known(run.PAGE.read_text(encoding="utf-8"))) == list(run.NAMES)


def test_new_lines_take_the_place_of_that_benchmarks_old_ones_and_leave_the_others(run: ModuleType) -> None:
    page = f"before\n{run.BEGIN}\n{run.END}\nafter\n"
    first = {name: lines(run, name, (name, True), taken="2026-01-01") for name in ("help", "receiver")}
    page = run.written(page, first, "On a machine.")
    assert run.known(page) == first
    again = lines(run, "help", ("one", True), ("two", False), taken="2026-02-02")
    page = run.written(page, {**run.known(page), "help": again}, "On another.")
    assert run.known(page) == {"receiver": first["receiver"], "help": again}
    command = "`python benchmarks/help.py`"
    assert again[1] == f"| two | 3 ms \\| at most 4 | **2 ms: not reached** | 2026-02-02 | {command} |"
    assert (page.startswith("before\n"), page.endswith("\nafter\n")) == (True, True)
    assert ("On another." in page, "On a machine." in page) == (True, False)
