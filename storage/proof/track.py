"""A film that is open, its track of pictures and its samples, for the confined process (probe_helper.py)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import av
import av.stream

if TYPE_CHECKING:
    Packet = av.Packet[Any]

MAX_PIXELS = 8192 * 4320
# Without these a stream is read as leniently as players do. The format is forced, so a playlist that names
# file:///etc/passwd is just a broken MP4; and media outside the file is not followed.
OPEN_OPTIONS = {"enable_drefs": "0", "use_absolute_path": "0", "probesize": "5000000"}
# A track's name need not be UTF-8. From 19 on PyAV takes any, and there is no such choice; older Pythons have 18.
ODD_NAMES: dict[str, Any] = {"metadata_errors": "replace"} if av.__version__.startswith("18.") else {}
LAST_OF_PICTURES = 34  # the kinds of HEVC's units up to here are pictures and their parameters


class Refused(Exception):
    """What is wrong with the video, in words for people."""


class Source(Protocol):
    """The file. What libav reads from is its own: it does not notice when somebody else moves the position."""

    size: int

    def again(self) -> Source: ...
    def read(self, count: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int: ...
    def tell(self) -> int: ...


@dataclass(frozen=True)
class Sample:
    """A sample of the pictures' track, in the order of decoding. `dts` is in the track's own unit.

    What is not shown is decoded for the sake of what is: an edit list may begin between two key frames.
    """

    position: int
    size: int
    dts: int
    is_key: bool
    is_shown: bool


@dataclass(frozen=True)
class Reading:
    """How strictly a film is decoded: `explode` gives a packet up at the first odd bit, `bare` shows pictures only."""

    explode: bool
    bare: bool = False


class Opened:
    """A film that is open, and the track of it that is shown. Raises Refused where there is none.

    An edit list says which parts of the track are shown, in which order. libav leaves the others out of its index, but
    for those from the key frame before, which it marks. `as_it_lies`: the whole track, whatever is shown of it.
    """

    def __init__(self, source: Source, reading: Reading, *, as_it_lies: bool = False) -> None:
        options = {**OPEN_OPTIONS, "ignore_editlist": "1"} if as_it_lies else OPEN_OPTIONS
        self.container = av.open(source.again(), "r", format="mp4", options=options, **ODD_NAMES)
        self.stream = _pictures(self.container)
        codec = self.stream.codec_context
        codec.thread_count = 1
        codec.options = {"err_detect": "explode"} if reading.explode else {}
        if reading.bare and codec.extradata:
            codec.extradata = _bare_parameters(codec.extradata)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.container.close()


def _pictures(container: av.container.InputContainer) -> av.VideoStream:
    """The track that is shown. Raises Refused where there is none, or none that may be decoded."""
    shown = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not shown:
        raise Refused("no video in it, sound only" if container.streams.audio else "no video in it")
    codec = shown[0].codec_context
    if not 0 < codec.width * codec.height <= MAX_PIXELS:
        raise Refused(f"a picture of {codec.width} x {codec.height}")
    return shown[0]


def samples_of(source: Source, film: Opened) -> list[Sample]:
    """The pictures' samples. Raises Refused where one of any track lies beyond the end of the file."""
    found: list[Sample] = []
    for each in film.container.streams:
        for entry in each.index_entries:
            if entry.pos + entry.size > source.size:
                raise Refused("cut off: its index names frames beyond the end of the file")
            if each.index == film.stream.index and entry.size:
                found.append(Sample(entry.pos, entry.size, entry.timestamp, entry.is_keyframe, not entry.is_discard))
    return found


def length_bytes(stream: av.VideoStream) -> int:
    """How many bytes tell the length of a unit in a sample; 0 where the codec has no such thing, or does not say."""
    extra, name = stream.codec_context.extradata or b"", stream.codec_context.name
    at = {"h264": 4, "hevc": 21}.get(name)
    return 0 if at is None or len(extra) <= at or extra[0] != 1 else (extra[at] & 3) + 1


def seconds(stream: av.VideoStream, sample: Sample) -> str:
    return f"{max(float(sample.dts * (stream.time_base or 0)), 0):.1f} s"


def bare(packet: Packet, width: int) -> Packet:
    """An HEVC packet's pictures and their parameters, without messages and what else may stand beside them."""
    data, kept, at = bytes(packet), [], 0
    while width and at + width < len(data):
        end = at + width + int.from_bytes(data[at : at + width], "big")
        if (data[at + width] >> 1) & 0x3F <= LAST_OF_PICTURES:
            kept.append(data[at:end])
        at = end
    if not width or not kept:
        return packet
    return av.Packet(b"".join(kept))


def _bare_parameters(extra: bytes) -> bytes:
    """The same of what an HEVC track says of all its pictures. (ISO/IEC 14496-15, 8.3.3.1)"""
    kept, at = [], 23
    for _ in range(extra[22] if len(extra) > 22 else 0):
        end = at + 3
        for _ in range(int.from_bytes(extra[at + 1 : end], "big")):
            end += 2 + int.from_bytes(extra[end : end + 2], "big")
        if extra[at : at + 1] and extra[at] & 0x3F <= LAST_OF_PICTURES:
            kept.append(extra[at:end])
        at = end
    return extra[:22] + bytes([len(kept)]) + b"".join(kept)
