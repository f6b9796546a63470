"""What children print: cut into lines, handed on with the child's name."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

LONGEST_LINE_BYTES = 8192
LARGEST_LOG_BYTES = 4_000_000

OnLine = Callable[[str, str], None]


class Lines:
    """Cuts a stream of bytes into lines. Lines above LONGEST_LINE_BYTES come in pieces: memory is bounded."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line)]
        *full, self._rest = _pieces(rest)
        return [_text(line) for line in lines + full]

    def last(self) -> list[str]:
        """What is left when the stream has ended: one line, or none."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


class LogFile:
    """Lines with their times in a file that only its owner can read. Of two such files the older one is thrown away."""

    def __init__(self, path: Path, most_bytes: int = LARGEST_LOG_BYTES) -> None:
        self._path, self._most_bytes = path, most_bytes

    def __call__(self, name: str, line: str) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
            is_full = file.tell() >= self._most_bytes
        if is_full:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))


class Reader:
    """Reads one child's output to its end, in a thread: a pipe that nobody empties stops the child after 64 KiB."""

    def __init__(self, name: str, stream: IO[bytes], on_line: OnLine) -> None:
        self.latest = ""  # the latest line that was not empty
        self._name, self._stream, self._on_line = name, stream, on_line
        self._thread = threading.Thread(target=self._run, name=f"output of {name}", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the output. It may not come: a descendant that left the group can hold the pipe open."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        lines = Lines()
        with self._stream:
            while data := self._stream.read1(65536):  # type: ignore[attr-defined]  # Popen's pipes are BufferedReaders
                self._hand_on(lines.feed(data))
        self._hand_on(lines.last())

    def _hand_on(self, lines: list[str]) -> None:
        for line in lines:
            self.latest = line.strip() or self.latest
            # A terminal that has gone away, or a fault of the listener, must not stall the child.
            with contextlib.suppress(Exception):
                self._on_line(self._name, line)


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST_LINE_BYTES] for at in range(0, len(line), LONGEST_LINE_BYTES)] or [b""]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")
