"""Films to cut and to spoil, and what the archive's proof says of them."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from fractions import Fraction

import av

from kit import folder
from storage.errors import StorageError
from storage.proof.boxes import check_boxes
from storage.proof.probe import Prober
from storage.spool import Spool

__all__ = ["FRAGMENTED", "Prober", "boxes", "decoded", "film", "judge"]

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer"}  # one `moof` for each key frame
KEY_FRAME_EVERY = 12  # half a second


def film(
    frames: int = 48, fps: int = 24, width: int = 160, height: int = 90, options: Mapping[str, str] | None = None
) -> bytes:
    """Noise as H.264 in an MP4, the same at every call; `options` are the muxer's."""
    file, noise = io.BytesIO(), random.Random(frames)
    with av.open(file, "w", format="mp4", options=dict(options or {})) as container:
        video = container.add_stream("libx264", rate=fps, options={"g": str(KEY_FRAME_EVERY)})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame(width, height, "yuv420p")
            for plane in picture.planes:
                plane.update(noise.randbytes(plane.buffer_size))
            picture.pts, picture.time_base = number, Fraction(1, fps)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return file.getvalue()


def boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    """Name, start and length of every box at the top level."""
    found, start = [], 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4]) or len(data) - start  # 0: to the end of the file
        found.append((data[start + 4 : start + 8], start, length))
        start += length
    return found


def judge(prober: Prober, data: bytes) -> str:
    """Whether the archive would take these bytes for a video, in words."""
    spool = Spool(folder())
    spool.write(data)
    spooled = spool.finish()
    try:
        check_boxes(spooled.file, spooled.bytes)
        facts, _ = prober.probe(spooled.file)
    except StorageError as e:
        return f"refused: {e}"
    finally:
        spooled.close()
    return f"accepted: {facts.duration_s:.3f} s, {facts.width}x{facts.height} {facts.codec}"


def decoded(data: bytes) -> tuple[int, int]:
    """How many frames decode, and how many packets do not, by the strictest reading."""
    good = bad = 0
    with av.open(io.BytesIO(data)) as container:
        (video,) = container.streams.video
        video.codec_context.options = {"err_detect": "explode"}
        video.codec_context.thread_count = 1  # else an error is told with a later packet
        for packet in container.demux(video):
            try:
                good += len(packet.decode())
            except av.FFmpegError:
                bad += 1
    return good, bad
