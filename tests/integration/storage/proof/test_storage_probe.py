import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import films
import pytest
from PIL import Image

from storage.errors import BadVideo, StorageError
from storage.proof import probe as probes
from storage.proof.boxes import check_boxes
from storage.proof.probe import Prober, VideoFacts

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@contextmanager
def on_disk(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        yield file


def probe(prober: Prober, data: bytes) -> tuple[VideoFacts, bytes]:
    with on_disk(data) as file:
        return prober.probe(file)


def eventually(condition: Callable[[], bool], *, within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "data",
    [films.film(), films.index_first(), films.open_ended(films.index_first())],
    ids=["index last", "index first", "open ended"],
)
def test_a_whole_film_shows_its_facts_and_a_poster(prober: Prober, data: bytes) -> None:
    facts, poster = probe(prober, data)
    assert facts == VideoFacts(duration_s=1.0, width=320, height=180, fps=24.0, codec="h264", has_audio=True)
    assert_poster(poster, 640, 360)


def test_a_film_in_fragments_plays(prober: Prober) -> None:
    facts, _ = probe(prober, films.fragmented())
    assert facts.duration_s == pytest.approx(3, abs=0.1)
    assert (facts.fps, facts.codec) == (24.0, "h264")


def test_a_silent_film_plays(prober: Prober) -> None:
    assert not probe(prober, films.film(sound=False))[0].has_audio


def test_an_upright_film_has_an_upright_poster(prober: Prober) -> None:
    assert_poster(probe(prober, films.film(width=180, height=320))[1], 640, 1138)


def assert_poster(poster: bytes, width: int, height: int) -> None:
    with Image.open(BytesIO(poster)) as image:
        image.load()
        assert (image.format, image.size) == ("JPEG", (width, height))
        assert len(image.getcolors(1 << 20) or []) > 100, "a test card has many colours"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (films.film(picture=False), "sound only"),
        (films.with_zeroed_media(films.index_first()), "cannot be read"),
        (films.with_zeroed_media(films.film()), "cannot be read"),
        (films.with_zeroed_media(films.index_first(), keep=4000), "cannot be read"),
        (films.with_zeroed_media(films.fragmented()), "cannot be read"),
        (films.open_ended(films.index_first())[:-100], "cut off"),
        (films.index_first()[: len(films.index_first()) // 2], "cut off"),
        (PLAYLIST, "cannot be read"),
        (b"<!doctype html><title>Sorry</title>", "cannot be read"),
        (os.urandom(100_000), "cannot be read"),
        (b"", "cannot be read"),
    ],
    ids=[
        "sound",
        "zeroed",
        "zeroed, index last",
        "zeroed inside the first frame",
        "zeroed fragments",
        "cut",
        "half",
        "m3u8",
        "page",
        "noise",
        "empty",
    ],
)
def test_what_does_not_play_is_refused_with_the_reason(prober: Prober, data: bytes, why: str) -> None:
    with pytest.raises(BadVideo, match=why):
        probe(prober, data)


def test_an_open_ended_film_that_was_cut_passes_the_boxes_and_fails_the_probe(prober: Prober) -> None:
    cut = films.open_ended(films.index_first())[:-100]
    with on_disk(cut) as file:
        check_boxes(file, len(cut))
        with pytest.raises(BadVideo, match="cut off"):
            prober.probe(file)


def test_the_position_of_the_file_neither_matters_nor_moves(prober: Prober) -> None:
    with on_disk(films.film()) as file:
        file.seek(1234)
        prober.probe(file)
        assert file.tell() == 1234


def test_many_threads_may_share_a_prober_and_a_file(prober: Prober) -> None:
    with on_disk(films.film()) as file, ThreadPoolExecutor(8) as pool:
        results = [done.result() for done in [pool.submit(prober.probe, file) for _ in range(24)]]
    assert len({poster for _, poster in results}) == 1


def test_nothing_is_started_before_the_first_probe_and_nothing_left_after_the_end() -> None:
    prober = Prober()
    assert prober.helper_pid is None
    probe(prober, films.film())
    pid = prober.helper_pid
    assert pid
    prober.close()
    assert not is_alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads the Linux way")
def test_a_poster_leaves_no_threads_beside_which_the_helper_would_fork() -> None:
    """Under PyAV 19 a child waited for ever for those that its parent alone had."""
    code = "\n".join(
        (
            "import os, av",
            "from storage.proof.probe_helper import poster",
            "frame = av.VideoFrame(2, 2, 'yuv420p')",
            "assert poster(frame)",
            "print(len(os.listdir('/proc/self/task')))",
        )
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == "1\n"


def test_a_helper_that_was_killed_is_replaced_and_nobody_notices() -> None:
    with Prober() as prober:
        probe(prober, films.film())
        before = prober.helper_pid
        assert before
        os.kill(before, signal.SIGKILL)
        assert probe(prober, films.film())[0].width == 320
        assert prober.helper_pid != before


def test_a_helper_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PATIENCE_S", 0.5)
    with Prober(wall_s=1) as prober:
        probe(prober, films.film())
        before = prober.helper_pid
        assert before
        os.kill(before, signal.SIGSTOP)
        assert probe(prober, films.film())[0].width == 320
        assert prober.helper_pid != before


def test_a_helper_that_cannot_start_is_our_trouble_and_not_the_films(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(probes, "HELPER", tmp_path / "absent.py")
    with Prober() as prober, pytest.raises(StorageError) as caught:
        probe(prober, films.film())
    assert type(caught.value) is StorageError


def test_a_probe_past_its_time_is_killed_and_the_film_refused_as_not_judged() -> None:
    with Prober(wall_s=0.0005) as prober:
        with pytest.raises(BadVideo, match=r"this machine took more than 0\.0005 s to read it, which says nothing"):
            probe(prober, films.film())
        assert prober.helper_pid
        assert is_alive(prober.helper_pid)


def test_a_probe_past_its_memory_is_refused() -> None:
    with Prober(memory_mb=64) as prober, pytest.raises(BadVideo, match=r"memory|crashed|cannot be read"):
        probe(prober, films.film(seconds=2, width=1920, height=1080))


@pytest.mark.parametrize("reply", [b"", b"\0\0", b"\0\0\0\4null", b"\0\0\0\2{}", b"\xff\xff\xff\xff{}", b"\0\0\0\3NaN"])
def test_a_reply_that_makes_no_sense_is_a_crash(reply: bytes) -> None:
    with pytest.raises(BadVideo, match="probe crashed"):
        probes._read_reply(reply)


def test_the_helper_knows_nothing_of_our_environment(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    with Prober() as fresh:
        probe(fresh, films.film())
        assert Path(f"/proc/{fresh.helper_pid}/environ").read_bytes() == b""


def test_a_helper_outlives_the_thread_that_started_it() -> None:
    with Prober() as prober:
        starter = threading.Thread(target=probe, args=(prober, films.film()))
        starter.start()
        starter.join()
        pid = prober.helper_pid
        probe(prober, films.film())
        assert prober.helper_pid == pid


PARENT = """
import sys, tempfile, time, os
from storage.proof.probe import Prober
prober = Prober()
with open(sys.argv[1], "rb") as film:
    prober.probe(film)
if sys.argv[2] == "leak" and os.fork() == 0:  # a child of ours that holds the control socket open
    print(prober.helper_pid, os.getpid(), flush=True)
    time.sleep(60)
if sys.argv[2] == "tidy":
    print(prober.helper_pid, 0, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["tidy", "leak"])
def test_a_helper_dies_with_its_parent_even_when_that_is_killed(tmp_path: Path, kind: str) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(films.film())
    command = [sys.executable, "-c", PARENT, str(film), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        helper, sibling = map(int, parent.stdout.readline().split())
        assert is_alive(helper)
        parent.kill()
        try:
            eventually(lambda: not is_alive(helper))
        finally:
            if sibling:
                os.kill(sibling, signal.SIGKILL)
