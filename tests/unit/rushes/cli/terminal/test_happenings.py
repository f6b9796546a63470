from __future__ import annotations

import errno
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.machine.states import State
from jobs.reports.happenings import Happening
from rushes.cli.terminal.happenings import SAID, PersonsLog, in_words, sentence
from rushes.local.output import LogFile


def line(level: str, event: str, **more: str) -> str:
    return json.dumps({"event": event, "level": level, "logger": "jobs", "timestamp": "2026-11-29T04:50:19Z", **more})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (line("info", "asked"), None),
        (line("warning", "bucket_unavailable", reason="timed out"), "warning: bucket_unavailable reason=timed out"),
        (line("error", "step_raised", job="job_1", exception="Traceback"), "error: step_raised job=job_1"),
        (line("warning", "said", reason="\x1b[2Jgone"), "warning: said reason=\\x1b[2Jgone"),
        ("[INFO] Started worker-1", None),
        ("[ERROR] no port", "[ERROR] no port"),
        ("", None),
        ("(web was killed by SIGKILL; starting it again in 1 s)",) * 2,
        ("7", None),
        ("worker: Warm shutdown (MainProcess)", None),
        ("Error: \x1b]0;title\x07", "Error: \\x1b]0;title\\x07"),
    ],
)
def test_a_person_sees_what_is_wrong_in_words_and_nothing_that_a_terminal_obeys(said: str, words: str | None) -> None:
    assert in_words(said) == words


def test_every_line_goes_into_the_file_and_what_is_wrong_to_the_person(tmp_path: Path) -> None:
    shown: list[tuple[str, str]] = []
    path = tmp_path / "logs" / "service.log"
    log = PersonsLog(LogFile(path), lambda name, words: shown.append((name, words)))
    for level in ("info", "warning"):
        log("worker", line(level, level))
    assert shown == [("worker", "warning: warning")]
    assert [words.split()[1] for words in path.read_text().splitlines()] == ["worker", "worker"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_wrong_is_shown_also_where_the_file_takes_no_more() -> None:
    def full(name: str, line: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shown: list[str] = []
    with pytest.raises(OSError, match="No space left"):
        PersonsLog(full, lambda name, words: shown.append(words))("worker", line("error", "disk_full"))
    assert shown == ["error: disk_full"]


def test_a_log_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "valkey.log"
    log = LogFile(path, most_bytes=500)
    for _ in range(200):
        log("valkey", "x" * 50)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["valkey.log", "valkey.log.1"]
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 1200


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_words(state: State) -> None:
    assert state.value in SAID
    told = Happening(
        1, datetime(2026, 11, 29, tzinfo=UTC), "job_1", state.value, "evolink", "bad_video", "videos/1.mp4"
    )
    assert sentence(told).startswith("job_1 ")
