"""What gateways have answered to POSTs, in files, until the database has it: a paid task's id is in no other place.

An entry is written as soon as the answer is there, so that a process that is killed then leaves it behind. It is
synced to the disk when the database does not take it, and goes once that has committed it. Whoever has the folder may
bring it. What a full disk does not take is in the log, and in the memory of the process that was answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from jobs.machine.outcome import PostAnswer
from jobs.machine.rows import AttemptOutcome, Standing

DRAFT, ENTRY, UNREADABLE = ".draft", ".json", ".unreadable"

log = structlog.get_logger()


class Journal:
    """Answers in a folder. Nothing here raises: what cannot be kept there stands in the log and in memory."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time):
        self._folder, self._clock = folder, clock
        self._unwritten: dict[Path, tuple[float, PostAnswer]] = {}  # what the disk did not take

    def keep(self, answer: PostAnswer) -> None:
        """Write an entry; it is whole, or not there."""
        entry, kept_at = self._entry(answer), self._clock()
        draft = entry.with_suffix(DRAFT)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(json.dumps({"kept_at": kept_at, "answer": asdict(answer)}, default=_written))
            draft.rename(entry)
        except OSError as e:
            self._unwritten[entry] = (kept_at, answer)
            log.error("answer_not_in_journal", **told(answer), reason=str(e))
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        else:
            self._unwritten.pop(entry, None)

    def sync(self, answer: PostAnswer) -> None:
        """Have the disk keep it, as the database does not take it now. There may be room by now if there was none."""
        entry = self._entry(answer)
        if entry in self._unwritten:
            self.keep(answer)
        if entry in self._unwritten:
            return
        log.warning("answer_in_journal", **told(answer))
        try:
            for path in (entry, self._folder):
                opened = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)
        except OSError as e:
            log.error("answer_not_in_journal", **told(answer), reason=str(e))

    def drop(self, answer: PostAnswer) -> None:
        """The database has it."""
        entry = self._entry(answer)
        self._unwritten.pop(entry, None)
        try:
            for path in (entry, entry.with_suffix(DRAFT)):
                path.unlink(missing_ok=True)
        except OSError as e:
            log.warning("journal_not_cleared", **told(answer), reason=str(e))

    def left(self, *, older_than_s: float) -> Iterator[PostAnswer]:
        """Answers whose writers have had their time, the oldest first. One from the future is older than the clock."""
        now = self._clock()
        try:
            files = [path for path in self._folder.iterdir() if path.suffix in (DRAFT, ENTRY)]
        except OSError:  # no answer was ever kept here
            files = []
        entries = [entry for path in files if (entry := self._read(path)) is not None]
        entries += list(self._unwritten.values())
        for kept_at, answer in sorted(entries, key=lambda entry: entry[0]):
            if not 0 <= now - kept_at < older_than_s:
                yield answer

    def _entry(self, answer: PostAnswer) -> Path:
        """One file for each POST: after a backup was put back another may bear the same numbers."""
        name = f"{answer.job_id}-{answer.attempt}-{answer.send}-{answer.left_at:%Y%m%dT%H%M%S%f}"
        return self._folder / f"{name}{ENTRY}"

    def _read(self, path: Path) -> tuple[float, PostAnswer] | None:
        try:
            kept = json.loads(path.read_text())
            return float(kept["kept_at"]), _answer(kept["answer"])
        except FileNotFoundError:  # its writer, or another reader, has just dropped it
            return None
        except OSError as e:  # too many open files, for one: it says nothing of the entry
            log.error("journal_not_read", file=str(path), reason=str(e))
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as e:
            if path.suffix == DRAFT:  # its writer is at it, or was killed
                return None
            log.error("journal_entry_unreadable", file=str(path), reason=str(e))
            with contextlib.suppress(OSError):  # another reader has done so
                path.rename(path.with_suffix(UNREADABLE))
            return None


def told(answer: PostAnswer) -> dict[str, Any]:
    """For the log, which has the task's id also where the disk is full."""
    of = {"job": answer.job_id, "attempt": answer.attempt, "provider": answer.provider, "account": answer.account}
    return {**of, "task_id": answer.said.get("task_id"), "outcome": answer.said.get("outcome")}


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    raise TypeError(type(value).__name__)


def _answer(kept: dict[str, Any]) -> PostAnswer:
    said: dict[str, Any] = {
        name: _time(value) if isinstance(value, dict) else value for name, value in kept["said"].items()
    }
    for name, enum in (("outcome", AttemptOutcome), ("standing", Standing)):
        if name in said:
            said[name] = enum(said[name])
    return PostAnswer(**{**kept, "left_at": _time(kept["left_at"]), "said": said})


def _time(written: dict[str, str]) -> datetime:
    return datetime.fromisoformat(written["at"])
