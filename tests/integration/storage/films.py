"""Real MP4s, small ones, made on the spot."""

import io
from fractions import Fraction
from functools import cache

import av
import av.filter

FPS = 24


@cache
def film(
    *,
    seconds: float = 1,
    width: int = 320,
    height: int = 180,
    sound: bool = True,
    picture: bool = True,
    movflags: str = "",
) -> bytes:
    """An H.264/AAC film of a moving test card. No `movflags`: the index stands at the end of the file."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"movflags": movflags} if movflags else {}) as out:
        video = out.add_stream("libx264", rate=FPS) if picture else None
        audio = out.add_stream("aac", rate=44100, layout="mono") if sound else None
        if video:
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            video.options = {"preset": "ultrafast", "crf": "26"}
            video.codec_context.thread_count = 1
            for number, frame in enumerate(_frames(f"testsrc2=size={width}x{height}:rate={FPS}:duration={seconds}")):
                frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, FPS), 0
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        if audio:
            for frame in _frames(f"sine=frequency=440:sample_rate=44100:duration={seconds}"):
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return target.getvalue()


def fragmented() -> bytes:
    return film(seconds=3, movflags="frag_keyframe+empty_moov")


def index_first() -> bytes:
    """The usual layout: ftyp, moov, mdat."""
    data = film()
    kinds = boxes(data)
    moov_at, moov_bytes = next((at, size) for kind, at, size in kinds if kind == b"moov")
    moov = bytearray(data[moov_at : moov_at + moov_bytes])
    _shift_chunks(moov, moov_bytes)
    ftyp_bytes = kinds[0][2]
    return data[:ftyp_bytes] + bytes(moov) + data[ftyp_bytes:moov_at] + data[moov_at + moov_bytes :]


def boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    """(kind, position, length) of the outermost boxes of a well-formed file with short lengths."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], at, length))
        at += length
    return found


def with_zeroed_media(data: bytes, *, keep: int = 0) -> bytes:
    """The media lost but for its first `keep` bytes, as when a sparse copy was never filled in."""
    _, at, length = next(box for box in boxes(data) if box[0] == b"mdat")
    start, end = at + 8 + keep, at + length
    return data[:start] + bytes(end - start) + data[end:]


def open_ended(data: bytes) -> bytes:
    """The same film, its last box saying that it goes on to the end of the file."""
    _, at, _ = boxes(data)[-1]
    return data[:at] + bytes(4) + data[at + 4 :]


def _shift_chunks(moov: bytearray, by: int) -> None:
    at = 0
    while (at := moov.find(b"stco", at)) >= 0:
        count = int.from_bytes(moov[at + 8 : at + 12], "big")
        for entry in range(at + 12, at + 12 + 4 * count, 4):
            moved = int.from_bytes(moov[entry : entry + 4], "big") + by
            moov[entry : entry + 4] = moved.to_bytes(4, "big")
        at += 4


def _frames(source: str):
    name, _, arguments = source.partition("=")
    graph = av.filter.Graph()
    end = graph.add("buffersink" if name == "testsrc2" else "abuffersink")
    start = graph.add(name, arguments)
    shape = graph.add("format", "yuv420p") if name == "testsrc2" else graph.add("aformat", "sample_fmts=fltp")
    start.link_to(shape)
    shape.link_to(end)
    graph.configure()
    while True:
        try:
            yield end.pull()
        except av.error.BlockingIOError:
            continue
        except av.error.EOFError:
            return
