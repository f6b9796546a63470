from __future__ import annotations

import sys

import click
import pytest

from rushes.cli.terminal import output, progress
from rushes.cli.terminal.progress import Bars


def test_elsewhere_than_on_a_terminal_a_line_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SAY_EVERY_S", 0)
    with Bars() as bars, bars.open("ordering", 3) as advance:
        advance(1)
        advance(2)
    assert not bars.live
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()) == ("", ["ordering: 1 of 3 …", "ordering: 3 of 3 …"])


def test_short_work_is_not_talked_about(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars, bars.open("ordering", 3) as advance:
        advance(3)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_on_stderr_and_notes_stand_above_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bars() as bars:
        with bars.open("job_1", 2_500_000, words=output.size) as advance:
            advance(1_000_000)
            output.note("something else")
            output.plain("data")
        assert bars.live
    shown = capsys.readouterr()
    said = click.unstyle(shown.err)
    assert shown.out == "data\n"
    assert "1 MB of 2.5 MB" in said
    assert "something else" in said.replace("\r", "\n").splitlines()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (12_345_678, "12.3 MB"),
        (5e9, "5.0 GB"),
        (5e12, "5,000.0 GB"),
    ],
)
def test_sizes_read_as_people_say_them(number: float, words: str) -> None:
    assert output.size(number) == words


def test_one_thing_has_no_plural() -> None:
    assert [output.counted(number, "job") for number in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
