"""The journal's folder: what processes that are killed, a full disk and damage leave in it."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from jobs.machine.outcome import PostAnswer
from jobs.store import journal as module
from jobs.store.journal import Journal

AT = datetime(2026, 11, 28, tzinfo=UTC)


def answer(number: int = 0) -> PostAnswer:
    return PostAnswer("job", 1, "gravitex", "a", 1, AT + timedelta(seconds=number), {"task_id": f"t-{number}"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_posts_that_bear_the_same_numbers_since_a_backup_was_put_back_are_kept_each(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    answers = [answer(0), answer(1)]
    for each in answers:
        journal.keep(each)
    assert list(journal.left(older_than_s=0)) == answers
    journal.drop(answers[0])
    assert list(journal.left(older_than_s=0)) == answers[1:]


def test_what_a_writer_left_that_was_killed_before_it_gave_the_entry_its_name_is_found(tmp_path: Path) -> None:
    Journal(tmp_path).keep(answer())
    [entry] = tmp_path.iterdir()
    entry.rename(entry.with_suffix(".draft"))
    [found] = Journal(tmp_path).left(older_than_s=0)
    assert found == answer()
    Journal(tmp_path).drop(found)
    assert names(tmp_path) == []


def test_a_draft_that_is_not_whole_is_left_to_its_writer(tmp_path: Path) -> None:
    Journal(tmp_path).keep(answer())
    [entry] = tmp_path.iterdir()
    whole = entry.read_text()
    draft = entry.with_suffix(".draft")
    entry.rename(draft)
    draft.write_text(whole[:-20])
    assert list(Journal(tmp_path).left(older_than_s=0)) == []
    assert names(tmp_path) == [draft.name]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"kept_at": 1, "answer": {',
        b"\xff\x00",
        b"null",
        b"[]",
        b'{"kept_at": 1}',
        b'{"kept_at": 1, "answer": {"said": null, "left_at": {"at": "2026-11-28"}}}',
        b'{"kept_at": 1, "answer": {"said": {"outcome": "eaten"}, "left_at": {"at": "2026-11-28"}}}',
        b'{"kept_at": 1, "answer": {"said": {}, "left_at": {"at": "yesterday"}}}',
    ],
)
def test_an_entry_that_is_none_is_set_aside_and_keeps_no_other_back(tmp_path: Path, content: bytes) -> None:
    journal = Journal(tmp_path)
    journal.keep(answer())
    (tmp_path / "damaged.json").write_bytes(content)
    assert list(journal.left(older_than_s=0)) == [answer()]
    assert "damaged.unreadable" in names(tmp_path)
    assert "damaged.json" not in names(tmp_path)


def test_an_entry_that_cannot_be_opened_now_is_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with too many files open can still rename some."""

    def none_left(*_: Any, **__: Any) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    journal = Journal(tmp_path)
    journal.keep(answer())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", none_left)
        assert list(journal.left(older_than_s=0)) == []
    assert list(journal.left(older_than_s=0)) == [answer()]


class TestWhereTheDiskTakesNothing:
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Journal:
        (tmp_path / "full").write_text("")
        return Journal(tmp_path / "full" / "journal")

    def test_this_process_has_it_until_it_is_dropped(self, journal: Journal) -> None:
        journal.keep(answer())
        assert list(journal.left(older_than_s=0)) == [answer()]
        journal.drop(answer())
        assert list(journal.left(older_than_s=0)) == []

    def test_it_is_written_after_all_if_there_is_room_when_the_database_fails(
        self, journal: Journal, tmp_path: Path
    ) -> None:
        journal.keep(answer())
        (tmp_path / "full").unlink()
        journal.sync(answer())
        assert list(Journal(tmp_path / "full" / "journal").left(older_than_s=0)) == [answer()]
        assert list(journal.left(older_than_s=0)) == [answer()], "once"


def test_entry_and_folder_are_synced_when_the_database_does_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed machine leaves shows in no test; that the disk is asked to keep it does."""
    monkeypatch.setattr(module, "log", structlog.get_logger())  # one that no earlier test has bound to its own output
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.readlink(f"/proc/self/fd/{opened}")))
    journal = Journal(tmp_path)
    journal.keep(answer())
    assert synced == []
    with structlog.testing.capture_logs() as logged:
        journal.sync(answer())
    [entry] = tmp_path.iterdir()
    assert synced == [str(entry), str(tmp_path)]
    assert [(line["event"], line["task_id"]) for line in logged] == [("answer_in_journal", "t-0")]
