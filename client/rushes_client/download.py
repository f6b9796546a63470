"""A video from the bucket to a file: goes on where it was cut off, proves the whole, then puts it in place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests

from rushes_client.connection import CONNECT_S, Connection, log
from rushes_client.errors import ChecksumMismatch, NotArchived, Unavailable
from rushes_client.records import Job, Video

READ_BYTES = 64 << 10  # what a break of the connection costs at most

Progress = Callable[[int, int], object]


def download(connection: Connection, job: Job, path: Path, on_progress: Progress | None = None) -> Path:
    """Bring an archived job's video to `path`, by way of `<path>.part`, which stays if this is cut off.

    Raises NotArchived, FileExistsError, ChecksumMismatch, Unavailable, OSError.
    """
    job.raise_unless_archived()
    video = job.video
    if video is None:
        raise NotArchived(f"The service does not say where the video of {job.id} is.", job=job)
    tell = on_progress or _silent
    if path.exists():
        if not _holds(path, video):
            raise FileExistsError(f"{path} holds something else; move it away, or choose another name.")
        tell(video.bytes, video.bytes)
        return path
    draft = path.with_name(f"{path.name}.part")
    leftover = draft.exists()
    found = _filled(connection, job.id, video, draft, tell)
    if found != video.sha256 and leftover:  # it was another video's, or was cut off in the middle of a write
        draft.unlink()
        found = _filled(connection, job.id, video, draft, tell)
    if found != video.sha256:
        draft.unlink()
        raise ChecksumMismatch(f"The video of {job.id} came with the SHA-256 {found}, not {video.sha256}.", job=job)
    os.replace(draft, path)
    return path


def _filled(connection: Connection, job_id: str, video: Video, draft: Path, tell: Progress) -> str:
    """Fetch what the draft lacks. The SHA-256 of all that it holds then; it is longer than the video only if it was."""
    with draft.open("r+b" if draft.exists() else "x+b") as file:
        digest = hashlib.file_digest(file, "sha256")
        done = file.tell()
        tell(done, video.bytes)
        for piece in _rest(connection, job_id, video, done):
            # Written where it belongs, not appended: a second download to the same path writes the same bytes there.
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            tell(done, video.bytes)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _rest(connection: Connection, job_id: str, video: Video, done: int) -> Iterator[bytes]:
    """The video from byte `done` on, over as many links as it takes. Raises Unavailable when no byte comes for long."""
    tries, end = 0, connection.monotonic() + connection.patience_s
    while done < video.bytes:
        link = connection.ask("GET", f"/v1/jobs/{job_id}/video").headers.get("Location", "")
        try:
            for piece in _pieces(link, done, video.bytes, connection.timeout_s):
                done += len(piece)
                tries, end = 0, connection.monotonic() + connection.patience_s
                yield piece
            trouble = "it ended early"
        except _Refused as refused:
            trouble = str(refused)
        except requests.RequestException as error:
            trouble = type(error).__name__  # its text would show the signed link
        if done < video.bytes:
            pause_s = connection.backoff_s(tries)
            if connection.monotonic() + pause_s > end:
                where = f"{done} of {video.bytes} bytes of {job_id} came from {urlsplit(link).hostname}"
                raise Unavailable(f"{where}, then none for {connection.patience_s:g} s: {trouble}. Ask again to go on.")
            log.warning("The video of %s: %s. Going on at byte %d in %.1f s.", job_id, trouble, done, pause_s)
            tries += 1
            connection.pause(pause_s)


class _Refused(Exception):
    """The store answered, but not with what was asked for."""


def _pieces(link: str, done: int, total: int, timeout_s: float) -> Iterator[bytes]:
    """Bytes `done` to `total` as one answer brings them, or fewer. Raises _Refused, requests.RequestException."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    # The link is its own proof. Neither our key nor a netrc's entry may go along; stores refuse two proofs.
    with requests.get(link, headers=headers, auth=_nobody, timeout=(CONNECT_S, timeout_s), stream=True) as answer:
        if answer.status_code == requests.codes.partial_content:
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                raise _Refused("the store sent another range than the one asked for")
            skip = 0
        elif answer.status_code == requests.codes.ok:
            skip = done
        else:
            raise _Refused(f"the store answered {answer.status_code}")
        left = total - done
        for piece in answer.iter_content(READ_BYTES):
            kept = piece[skip:][:left]
            skip = max(0, skip - len(piece))
            left -= len(kept)
            if kept:
                yield kept
            if not left:
                return


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _silent(done: int, total: int) -> None: ...


def _holds(path: Path, video: Video) -> bool:
    with path.open("rb") as file:
        same_length = path.stat().st_size == video.bytes
        return same_length and hashlib.file_digest(file, "sha256").hexdigest() == video.sha256
