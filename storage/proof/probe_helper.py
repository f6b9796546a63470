"""Reads foreign video, and nothing else. Its arguments: a control socket, wall seconds, CPU seconds, megabytes.

Decoders are where hostile bytes do harm, so this process has no environment, no network business and no say: it forks
a child for every probe, the child takes limits upon itself before it reads the first byte, and only its answer
comes out. Having imported PyAV once, a probe costs a fork instead of a start of Python.

The answer: one byte as soon as the child exists (so that no answer at all means that the helper died, and a broken
one that the child did), four bytes of length, that much JSON, and the poster.
"""

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from fractions import Fraction
from typing import Any

import av

from storage.proof.frames import read_film
from storage.proof.track import Refused, Source

STARTED = b"+"
POSTER_WIDTH = 640
MAX_POSTER_HEIGHT = 2048
MAX_OPEN_FILES = 16
PARENT_CHECK_S = 1.0


class Bytes:
    """The file by pread: the descriptor is shared with whoever asked, and so is its position."""

    def __init__(self, fd: int) -> None:
        self.size = os.fstat(fd).st_size
        self._fd, self._position = fd, 0

    def again(self) -> "Bytes":
        """The same file, read from elsewhere."""
        return Bytes(self._fd)

    def read(self, count: int) -> bytes:
        data = os.pread(self._fd, count, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position


def probe(source: Source) -> tuple[dict[str, Any], bytes]:
    """Facts and a poster of the first frame. Raises Refused, and whatever PyAV raises."""
    film = read_film(source)
    facts = {
        "duration_s": film.duration_s,
        "width": film.width,
        "height": film.height,
        "fps": film.fps,
        "codec": film.codec,
        "has_audio": film.has_audio,
    }
    return facts, poster(film.first)


def poster(frame: av.VideoFrame) -> bytes:
    height = min(MAX_POSTER_HEIGHT, max(2, round(frame.height * POSTER_WIDTH / frame.width / 2) * 2))
    # By one thread: others would stay, and in what a process forks beside its threads a lock may be held for ever.
    picture = frame.reformat(width=POSTER_WIDTH, height=height, format="yuvj420p", threads=1)
    picture.pict_type = av.video.frame.PictureType.NONE
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.thread_count = 1  # for one small picture others cost more than they help
    encoder.width, encoder.height, encoder.pix_fmt = POSTER_WIDTH, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "3", "qmax": "3"}
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def answer(fd: int) -> bytes:
    image = b""
    try:
        facts, image = probe(Bytes(fd))
    except Refused as error:
        facts = {"refused": str(error)}
    except MemoryError:
        facts = {"refused": "it needs more memory than a probe may have"}
    except Exception as error:  # PyAV has one class per libav error, and ValueErrors besides
        facts = {"refused": f"it cannot be read ({type(error).__name__})"}
    head = json.dumps(facts).encode()
    return len(head).to_bytes(4, "big") + head + image


def limit(wall_s: float, cpu_s: int, memory_mb: int) -> None:
    """Ends this process, without its consent, when it takes too much. An alarm kills even inside C code."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, wall_s)
    for what, most in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def serve(control: socket.socket, wall_s: float, cpu_s: int, memory_mb: int) -> None:
    """Fork a child for each pair of descriptors (the video, where to answer) until the control socket ends.

    Most of a small film's probe is the kernel's time, which copies what a child touches of its parent's memory: so the
    libraries' tables are filled here once, and the collector leaves what is here alone.
    """
    poster(av.VideoFrame(2, 2, "yuv420p"))
    gc.freeze()
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our parent's business
    while os.getppid() == parent:
        # Not PR_SET_PDEATHSIG: it fires when the *thread* that started us ends, and any worker thread may have.
        if not select.select([control], [], [], PARENT_CHECK_S)[0]:
            continue
        message, fds, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            return
        if os.fork() == 0:
            try:
                control.close()
                with socket.socket(fileno=fds[1]) as reply:
                    reply.sendall(STARTED)
                    limit(wall_s, cpu_s, memory_mb)
                    reply.sendall(answer(fds[0]))
            finally:
                os._exit(0)
        for fd in fds:
            os.close(fd)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as control_socket:
        serve(control_socket, float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
