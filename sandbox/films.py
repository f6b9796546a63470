"""Real films: a moving picture with a caption, H.264 and AAC in an MP4 whose `moov` comes first.

Made by a pool of two threads; PyAV lets go of the interpreter while it encodes, and the threads are of low priority,
so the web stays awake.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import struct
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph
from PIL import Image, ImageDraw, ImageFont

log = logging.getLogger(__name__)

# Exact pixel sizes by resolution and ratio; the table stands in evolink.txt and is upstream's own, so it serves every
# gateway.
SIZES = {
    ("720p", "16:9"): (1280, 720),
    ("720p", "9:16"): (720, 1280),
    ("720p", "1:1"): (960, 960),
    ("720p", "4:3"): (1104, 832),
    ("720p", "3:4"): (832, 1104),
    ("1080p", "16:9"): (1920, 1080),
    ("1080p", "9:16"): (1080, 1920),
    ("1080p", "1:1"): (1440, 1440),
    ("1080p", "4:3"): (1648, 1248),
    ("1080p", "3:4"): (1248, 1648),
}
SMALL = (320, 180)
FPS = 24
POOL_THREADS = 2


@dataclass(frozen=True)
class Recipe:
    """All that a film depends on: equal recipes share one film."""

    width: int
    height: int
    duration: int
    provider: str
    prompt: str


class Studio:
    """Makes films, each recipe once, and keeps them under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(POOL_THREADS, "sandbox-film", initializer=_low_priority)
        self._orders: dict[Recipe, Future[Path]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def order(self, recipe: Recipe) -> Future[Path]:
        """The film, or the promise of it. Raises CancelledError once the studio is closing."""
        with self._lock:
            if self._closing.is_set():
                raise CancelledError
            if recipe not in self._orders:
                self._orders[recipe] = self._pool.submit(self._make, recipe)
            return self._orders[recipe]

    def close(self) -> None:
        """Leave what is unfinished and end the threads."""
        with self._lock:
            self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, recipe: Recipe) -> Path:
        final = self._folder / f"{hashlib.sha256(repr(recipe).encode()).hexdigest()[:32]}.mp4"
        if not final.exists():
            unfinished = final.with_suffix(".part")
            try:
                make_film(unfinished, recipe, self._closing.is_set)
                unfinished.replace(final)
            except CancelledError:
                unfinished.unlink(missing_ok=True)
                raise
            except Exception:
                log.exception("could not make the film %s", recipe)
                raise
        return final


def make_film(path: Path, recipe: Recipe, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Write the film to `path`. Raises CancelledError soon after `cancelled` says so."""
    # `faststart` moves `moov` to the front once all is written, which takes a file that can be read back.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "26"})
        video.width, video.height, video.pix_fmt = recipe.width, recipe.height, "yuv420p"
        video.time_base = Fraction(1, FPS)
        video.codec_context.thread_count = 1
        audio = out.add_stream("aac", rate=44_100, layout="mono")
        sounds = _sound(recipe)
        heard = next(sounds, None)
        for number, frame in enumerate(_pictures(recipe)):
            if cancelled():
                raise CancelledError
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, FPS), av.video.frame.PictureType.NONE
            out.mux(video.encode(frame))
            while heard is not None and heard.time is not None and heard.time <= number / FPS:
                out.mux(audio.encode(heard))
                heard = next(sounds, None)
        while heard is not None:
            out.mux(audio.encode(heard))
            heard = next(sounds, None)
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def own_copy(film: Path, task_id: str) -> bytes:
    """The film's bytes with the task's id in a `free` box behind them: equal recipes, yet every task's file is its
    own.
    """
    note = f"sandbox task {task_id}".encode()
    return film.read_bytes() + struct.pack(">I4s", 8 + len(note), b"free") + note


def audio_only(film: bytes) -> bytes:
    """The film's sound in an MP4 of its own: a valid file, and no film."""
    kept = io.BytesIO()
    with av.open(io.BytesIO(film), "r") as given, av.open(kept, "w", format="mp4") as out:
        sound = given.streams.audio[0]
        copied = out.add_stream_from_template(sound)
        for packet in given.demux(sound):
            if packet.dts is not None:  # the last one is empty, and stands for the end
                packet.stream = copied
                out.mux(packet)
    return kept.getvalue()


def _pictures(recipe: Recipe) -> Iterator[av.VideoFrame]:
    """Drifting colours, drawn at a quarter of the size and scaled up (a third of the work), with the caption laid
    over.
    """
    graph = Graph()
    width, height = recipe.width, recipe.height
    small = f"{max(width // 8 * 2, 16)}x{max(height // 8 * 2, 16)}"
    seed = int.from_bytes(hashlib.sha256(recipe.provider.encode() + recipe.prompt.encode()).digest()[:3], "big")
    colours = graph.add("gradients", f"size={small}:rate={FPS}:duration={recipe.duration}:speed=0.03:seed={seed}:n=4")
    scale = graph.add("scale", f"{width}:{height}:flags=bilinear")
    caption = graph.add("buffer", f"video_size={width}x{height}:pix_fmt=rgba:time_base=1/{FPS}:pixel_aspect=1/1")
    overlay = graph.add("overlay", "format=yuv420")
    as_yuv = graph.add("format", "yuv420p")
    sink = graph.add("buffersink")
    colours.link_to(scale)
    scale.link_to(overlay, 0, 0)
    caption.link_to(overlay, 0, 1)
    overlay.link_to(as_yuv)
    as_yuv.link_to(sink)
    graph.configure()
    caption.push(_still(_caption(recipe)))
    caption.push(None)
    while True:
        try:
            frame = sink.pull()
        except av.error.BlockingIOError:
            continue
        except av.error.EOFError:
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _still(image: Image.Image) -> av.VideoFrame:
    """The picture as one frame. VideoFrame.from_image would lose what shines through."""
    frame = av.VideoFrame(image.width, image.height, "rgba")
    row = image.width * 4
    padding = bytes(frame.planes[0].line_size - row)
    pixels = image.tobytes()
    frame.planes[0].update(b"".join(pixels[at : at + row] + padding for at in range(0, len(pixels), row)))
    frame.pts, frame.time_base = 0, Fraction(1, FPS)
    return frame


def _sound(recipe: Recipe) -> Iterator[av.AudioFrame]:
    """A soft tone, one pitch per provider."""
    pitch = 220 + hashlib.sha256(recipe.provider.encode()).digest()[0]
    graph = Graph()
    tone = graph.add("sine", f"frequency={pitch}:sample_rate=44100:duration={recipe.duration}")
    quieter = graph.add("volume", "0.2")
    layout = graph.add("aformat", "sample_fmts=fltp:channel_layouts=mono")
    sink = graph.add("abuffersink")
    tone.link_to(quieter)
    quieter.link_to(layout)
    layout.link_to(sink)
    graph.configure()
    while True:
        try:
            frame = sink.pull()
        except av.error.EOFError:
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame


def _caption(recipe: Recipe) -> Image.Image:
    """The provider and the prompt in a dark band at the foot.

    Pillow's built-in font has Latin letters only; others show as boxes.
    """
    width, height = recipe.width, recipe.height
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    size = max(14, min(width, height) // 20)
    font = ImageFont.load_default(size=size)
    per_line = max(16, int((width - 2 * size) / (0.55 * size)))
    lines = [f"{recipe.provider}  {width}x{height}  {recipe.duration} s", *textwrap.wrap(recipe.prompt, per_line)[:3]]
    step = int(size * 1.4)
    top = height - step * len(lines) - size
    draw.rectangle((0, top - size // 2, width, height), fill=(0, 0, 0, 150))
    for line in lines:
        draw.text((size, top), line, font=font, fill=(255, 255, 255, 255))
        top += step
    return image


def _low_priority() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)  # on Linux a thread has a priority of its own
