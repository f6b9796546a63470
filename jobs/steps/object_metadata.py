"""What the object of a video says of itself: the names and values of its S3 metadata, which are ASCII."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from jobs import gate
from jobs.machine.case import Case
from jobs.machine.changes import JobChanges
from jobs.request.generation import Film
from storage.bucket import StoredVideo
from storage.proof.probe import VideoFacts

_PLAIN = string.punctuation.replace("%", "")  # and letters and digits: all else is percent-encoded
_ENCODED_WORD = "=?"  # how one of RFC 2047 begins, which some stores decode
_SHA256 = re.compile("[0-9a-f]{64}")
_NUMBER = re.compile("[1-9][0-9]{0,8}")
_SIZE = re.compile("[0-9]{1,9}x[0-9]{1,9}")
_DECIMAL = re.compile(r"-?[0-9]{1,20}\.[0-9]{1,9}")
_JOB_ID = _KEY_ID = re.compile("[!-~]{1,40}")


class BadMetadata(Exception):
    """The object says nothing of itself that could be ours; the message says what."""


@dataclass(frozen=True)
class Said:
    """Whose video an object is. `task_id` is None where the order bore none any more."""

    job_id: str
    attempt: int
    task_id: str | None
    accepted_by: str | None = None  # who took it in place of the proof; None: it was proven


def write(case: Case, sha256: str, video: VideoFacts | None, *, accepted_by: str | None = None) -> dict[str, str]:
    """The metadata of a case's video. What a person accepted bears who, and may lack what the film would show."""
    number = case.job.attempt
    task_id = case.attempts[number].task_id or ""
    return of_video(case.job.id, number, task_id, sha256, video, accepted_by=accepted_by)


def of_video(
    job_id: str, attempt: int, task_id: str, sha256: str, video: VideoFacts | None, *, accepted_by: str | None = None
) -> dict[str, str]:
    """The metadata of a video: names and values in ASCII, as a header can carry them."""
    whose = {
        "rushes-job": job_id,
        "rushes-attempt": str(attempt),
        "rushes-task": _in_ascii(task_id),
        "rushes-sha256": sha256,
    }
    if accepted_by is not None:
        whose["rushes-accepted-by"] = accepted_by
    if video is None:
        return whose
    return whose | {
        "rushes-duration-s": f"{video.duration_s:.3f}",
        "rushes-size": f"{video.width}x{video.height}",
        "rushes-fps": f"{video.fps:.3f}",
    }


def read(stored: StoredVideo) -> Said:
    """Raises BadMetadata."""
    said = stored.metadata
    try:
        task_id = unquote(said.get("rushes-task", ""), errors="strict")
    except UnicodeDecodeError as e:
        raise BadMetadata("rushes-task is not percent-encoded UTF-8") from e
    if task_id and gate.name(task_id) is None:
        raise BadMetadata("rushes-task is no id that can be kept")
    job_id, attempt = _value(said, "rushes-job", _JOB_ID), _value(said, "rushes-attempt", _NUMBER)
    return Said(job_id, int(attempt), task_id or None, said.get("rushes-accepted-by"))


def bearer(case: Case, said: Said) -> int | None:
    """The order that bears an object's task, if one does: since a restore that may be another one than it names."""
    of_task = (a.number for a in case.attempts.values() if said.task_id is not None and a.task_id == said.task_id)
    return next(of_task, None)


def video_columns(stored: StoredVideo) -> JobChanges:
    """A video's columns of its job's row. Raises BadMetadata."""
    said = stored.metadata
    accepted_by = _value(said, "rushes-accepted-by", _KEY_ID) if "rushes-accepted-by" in said else None
    known: JobChanges = {
        "bytes": stored.bytes,
        "sha256": _value(said, "rushes-sha256", _SHA256),
        "accepted_by": accepted_by,
        "duration_s": None,
        "width": None,
        "height": None,
        "fps": None,
    }
    if accepted_by is not None and "rushes-size" not in said:
        return known
    width, _, height = _value(said, "rushes-size", _SIZE).partition("x")
    return {
        **known,
        "duration_s": float(_value(said, "rushes-duration-s", _DECIMAL)),
        "width": int(width),
        "height": int(height),
        "fps": float(_value(said, "rushes-fps", _DECIMAL)),
    }


def film(stored: StoredVideo) -> Film:
    """What the video is like. Raises BadMetadata."""
    columns = video_columns(stored)
    duration_s, width, height = columns["duration_s"], columns["width"], columns["height"]
    if duration_s is None or width is None or height is None:
        raise BadMetadata("it does not say what the film is like")
    return Film(duration_s, width, height)


def _in_ascii(task_id: str) -> str:
    """An id as a header can carry it, there and back: other characters, blanks and % are percent-encoded."""
    return quote(task_id, safe=_PLAIN).replace(_ENCODED_WORD, f"%3D{_ENCODED_WORD[1]}")


def _value(said: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = said.get(name, "")
    if not form.fullmatch(value):
        raise BadMetadata(f"{name} is {gate.words(value, 60)!r}")
    return value
