"""Asks a confined helper process (probe_helper.py) whether a video plays, and believes it no more than it must."""

import contextlib
import json
import math
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from storage.errors import BadVideo, StorageError

HELPER = Path(__file__).with_name("probe_helper.py")
# Beyond the child's own wall clock: a start of Python and PyAV on a busy machine.
PATIENCE_S = 10
STARTED = b"+"  # the child's first word
MAX_REPLY_BYTES = 8 << 20
JPEG_MAGIC = b"\xff\xd8\xff"
STOP_S = 2


@dataclass(frozen=True)
class VideoFacts:
    """What the container and its samples say. The length is that of the pictures, sizes are in pixels.

    `codec` is libav's name (h264, hevc, av1).
    """

    duration_s: float
    width: int
    height: int
    fps: float
    codec: str
    has_audio: bool


class Prober:
    """Keeps one warm helper, started at the first probe and whenever it has died. Safe to share between threads."""

    def __init__(self, *, wall_s: float = 30, cpu_s: int = 15, memory_mb: int = 1024) -> None:
        self._limits = (wall_s, cpu_s, memory_mb)
        self._lock = threading.Lock()
        self._helper: _Helper | None = None

    @property
    def helper_pid(self) -> int | None:
        """The helper's process id, for those who watch processes; None while there is none."""
        helper = self._helper
        return helper.process.pid if helper else None

    def probe(self, file: BinaryIO) -> tuple[VideoFacts, bytes]:
        """Facts and a JPEG poster, 640 pixels wide. The file's position neither matters nor moves.

        Frames at three places are decoded. Raises BadVideo for what does not play, what takes more than the limits,
        and what kills the child that reads it; StorageError when the helper itself cannot be kept alive.
        """
        wall_s = self._limits[0]
        for _ in range(2):
            began = time.monotonic()
            reply = self._ask(file.fileno())
            if reply == STARTED and time.monotonic() - began >= wall_s:
                raise BadVideo(f"this machine took more than {wall_s:g} s to read it, which says nothing of the film")
            if reply:
                return _read_reply(reply[1:])
        raise StorageError("the probe helper does not stay alive")

    def close(self) -> None:
        with self._lock:
            if self._helper:
                self._helper.end()
            self._helper = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _ask(self, fd: int) -> bytes:
        """What the child said. Empty: there was no child, because the helper is dead (and is now forgotten)."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._lock:
                helper = self._helper = self._helper or _Helper(*self._limits)
                # A dead helper cannot take the message; the empty reply below says the same.
                with contextlib.suppress(OSError):
                    socket.send_fds(helper.control, [b"?"], [fd, theirs.fileno()])
            reply = _receive(ours, self._limits[0] + PATIENCE_S)
        if not reply:
            with self._lock:
                if self._helper is helper:
                    self._helper = None
                    helper.end()
        return reply


class _Helper:
    def __init__(self, wall_s: float, cpu_s: int, memory_mb: int) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            arguments = [str(theirs.fileno()), str(wall_s), str(cpu_s), str(memory_mb)]
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(HELPER), *arguments],
                pass_fds=[theirs.fileno()],
                env={},  # our secrets are in ours
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a hostile file must not write our log
                start_new_session=True,
            )

    def end(self) -> None:
        self.control.close()  # its end of file is the word to stop
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _receive(reply: socket.socket, patience_s: float) -> bytes:
    """All that comes before the other end closes, as far as time and size allow."""
    deadline = time.monotonic() + patience_s
    data = bytearray()
    try:
        while len(data) <= MAX_REPLY_BYTES and (left := deadline - time.monotonic()) > 0:
            reply.settimeout(left)
            piece = reply.recv(65536)
            if not piece:
                break
            data += piece
    except OSError:
        pass  # silence or a broken pipe; what has come so far tells which
    return bytes(data)


def _read_reply(reply: bytes) -> tuple[VideoFacts, bytes]:
    """The child has read foreign bytes, so its answer is checked like any other input."""
    try:
        end = 4 + int.from_bytes(reply[:4], "big")
        head, image = json.loads(reply[4:end]), reply[end:]
        if "refused" in head:
            raise BadVideo(str(head["refused"])[:200])
        facts = _facts(head)
        if not image.startswith(JPEG_MAGIC):
            raise ValueError("no poster")
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadVideo("probe crashed") from error
    return facts, image


def _facts(head: dict[str, Any]) -> VideoFacts:
    facts = VideoFacts(
        duration_s=round(float(head["duration_s"]), 3),
        width=int(head["width"]),
        height=int(head["height"]),
        fps=round(float(head["fps"]), 3),
        codec=str(head["codec"])[:40],
        has_audio=bool(head["has_audio"]),
    )
    if not (math.isfinite(facts.duration_s) and math.isfinite(facts.fps)):
        raise ValueError("not a number")
    return facts
