"""Bringing a video home: by its presigned link, from where an earlier try stopped, proven by its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import requests

from rushes.cli.service.api import Api
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.cli.terminal.progress import Bars

READ_BYTES = 256 << 10
PAUSES_S = (0.5, 1, 2, 4)  # after tries that bring nothing

Heard = Callable[[int], None]


def path_of(job_id: str, folder: Path) -> Path:
    """Where a job's video is saved where nothing else is said."""
    return folder / f"{job_id}.mp4"


def save(api: Api, job: dict[str, Any], path: Path, heard: Heard) -> bool:
    """Save an archived job's video; False: it is there already.

    What has come so far stands beside it as `.part`, and is gone on with, now or at the next call. `heard` is told how
    many bytes came, those of an earlier call first, and less than none where they turn out to be useless.
    Raises Failure, OSError.
    """
    if not job["video"]:
        raise Failure(f"{job['id']} is {job['state']}; it has no video", hint=f"`rushes jobs watch {job['id']}` waits")
    wanted = job["video"]["sha256"]
    if path.exists():
        if _digest(path) == wanted:
            return False
        raise Failure(f"{path} is there, and is another file", hint="move it away, or choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.touch()
    with part.open("r+b") as file:
        _complete(api, job, file, heard)
    found = _digest(part)
    if found != wanted:
        part.unlink()
        raise Failure(f"{job['id']} came with the SHA-256 {found}, not {wanted}", hint="the same command starts anew")
    os.replace(part, path)
    return True


def bring(
    api: Api, job: dict[str, Any], path: Path, bars: Bars, *, is_wanted: Callable[[], bool] = lambda: True
) -> Path:
    """Save an archived job's video, with a bar, and say where it is. Raises Failure, OSError.

    Once it `is_wanted` no more it ends with a Failure; what has come is kept.
    """
    total = job["video"]["bytes"] if job["video"] else 0
    with bars.open(job["id"], total, words=output.size) as advance:

        def heard(count: int) -> None:
            if not is_wanted():
                raise Failure(f"{job['id']}: its download was broken off", failures.INTERRUPTED)
            advance(count)

        came = save(api, job, path, heard)
    output.note(f"{path}  {output.size(total)}{'' if came else ', there already'}")
    return path


def _complete(api: Api, job: dict[str, Any], file: IO[bytes], heard: Heard) -> None:
    """Append what is missing. A link that has expired, or a line that breaks, is followed by a new link."""
    total, tries = job["video"]["bytes"], 0
    best = file.seek(0, os.SEEK_END)
    heard(best)
    if best > total:
        heard(-_empty(file))
    while file.tell() < total:
        trouble: requests.RequestException | None = None
        try:
            _receive(api, job["id"], file, total, heard)
        except requests.RequestException as error:
            trouble = error
        tries = 0 if file.tell() > best else tries + 1
        best = max(best, file.tell())
        if tries > len(PAUSES_S):
            said = f"{job['id']}: the bucket's link breaks off at {best} of {total} bytes"
            hint = "what has come is kept; the same command goes on from there"
            raise Failure(said, failures.UNREACHABLE, hint=hint) from trouble
        if tries:
            api.pause(PAUSES_S[tries - 1])


def _receive(api: Api, job_id: str, file: IO[bytes], total: int, heard: Heard) -> None:
    begun = file.tell()
    link = api.link(f"/v1/jobs/{job_id}/video")
    with api.fetch(link, {"Range": f"bytes={begun}-"} if begun else {}) as answer:
        if answer.status_code == requests.codes.ok and begun:  # a store that knows no ranges
            heard(-_empty(file))
        answer.raise_for_status()
        for piece in answer.iter_content(READ_BYTES):
            file.write(piece)
            heard(len(piece))
            if file.tell() > total:
                raise Failure(f"{job_id}: the bucket holds more than {total} bytes", hint="`rushes audit` tells more")


def _empty(file: IO[bytes]) -> int:
    """Throw away what has come; how much that was."""
    count = file.tell()
    file.seek(0)
    file.truncate()
    return count


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
