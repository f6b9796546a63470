"""Whether a film's frames are there and decode, for the confined process that reads foreign bytes (probe_helper.py).

Every sample that the tables or fragments name must lie in the file. Three frames must decode: the first, one in the
middle and the last; and one more where a look at the samples' own framing finds one that may be none. All of them would
cost seconds for a film of 40 MB. What an odd stream holds beside pictures is no reason to refuse it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, Self

import av
import av.stream

from storage.proof.boxes import is_in_fragments, promised_s

if TYPE_CHECKING:
    Packet = av.Packet[Any]

MAX_PIXELS = 8192 * 4320
# Without these a stream is read as leniently as players do. The format is forced, so a playlist that names
# file:///etc/passwd is just a broken MP4; and media outside the file is not followed.
OPEN_OPTIONS = {"enable_drefs": "0", "use_absolute_path": "0", "probesize": "5000000"}

# As much as is decoded to reach a frame from the key frame before it. Where that is further, the frames between are
# left out if the codec bears it, else the last one within reach stands for it.
REACH_PIXELS = 60 * 1920 * 1080
REACH_BYTES = 4 << 20
FURTHER = 20  # times as far, where what came of leaving out says nothing
FIRST_WITHIN = 60  # packets until the first frame
LEAD_IN = 3  # frames before the wanted one that are decoded with it, where others are left out
REORDERED = 32  # frames at the end among which the last one shown is
LAST_OF_PICTURES = 34  # the kinds of HEVC's units up to here are pictures and their parameters
BEARS_GAPS = frozenset({"h264", "hevc"})

MOST_FRAMED = 20_000  # samples whose framing is looked at, spread over the film
MOST_UNITS = 64  # of each sample
HEAD_BYTES = 16
FLAWS, FLAWS_SHARE = 2, 0.02  # as many may be framed oddly
BEGINS = {
    "mjpeg": (0, b"\xff\xd8"),
    "mpeg1video": (0, b"\0\0\1"),
    "mpeg2video": (0, b"\0\0\1"),
    "mpeg4": (0, b"\0\0\1"),
    "prores": (4, b"icpf"),
}
RAW = frozenset({"rawvideo", "v210", "v410", "r210", "yuv4"})  # black may be all zeros in these

# A fragmented film lacks its end, if it has less than its header promises, by more than both.
LACKS_S, LACKS_SHARE = 0.5, 0.05
SOUND_LONGER_S = 1.0  # its sound may end later, by as much


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


STRICT = Reading(explode=True)
# An odd message beside the pictures spoils a packet under the strict reading. H.264 says of each frame whether it was
# concealed; HEVC does not, so there all but pictures is taken away, and the strict reading goes on.
LENIENT = {"h264": Reading(explode=False), "hevc": Reading(explode=True, bare=True)}


class _Opened:
    """A film that is open, and the track of it that is shown. Raises Refused where there is none.

    An edit list says which parts of the track are shown, in which order. libav leaves the others out of its index, but
    for those from the key frame before, which it marks. `as_it_lies`: the whole track, whatever is shown of it.
    """

    def __init__(self, source: Source, reading: Reading, *, as_it_lies: bool = False) -> None:
        options = {**OPEN_OPTIONS, "ignore_editlist": "1"} if as_it_lies else OPEN_OPTIONS
        self.container = av.open(source.again(), "r", format="mp4", options=options, metadata_errors="replace")
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


@dataclass(frozen=True)
class Film:
    """A film that plays: its first frame, how long its pictures last, and what its container says of them."""

    first: av.VideoFrame
    duration_s: float
    width: int
    height: int
    fps: float
    codec: str
    has_audio: bool


def read_film(source: Source) -> Film:
    """The film, once it is known to play. Raises Refused, and whatever PyAV raises."""
    codec, spoilt = _read(source, STRICT)
    if isinstance(spoilt, Film):
        return spoilt
    if codec in LENIENT:
        spoilt = _read(source, LENIENT[codec])[1]
    if isinstance(spoilt, Film):
        return spoilt
    raise spoilt


def _pictures(container: av.container.InputContainer) -> av.VideoStream:
    """The track that is shown. Raises Refused where there is none, or none that may be decoded."""
    shown = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not shown:
        raise Refused("no video in it, sound only" if container.streams.audio else "no video in it")
    codec = shown[0].codec_context
    if not 0 < codec.width * codec.height <= MAX_PIXELS:
        raise Refused(f"a picture of {codec.width} x {codec.height}")
    return shown[0]


def _read(source: Source, reading: Reading) -> tuple[str, Film | Refused]:
    """One reading of the film: the codec's name, and what came of it."""
    with ExitStack() as opened:
        shown = opened.enter_context(_Opened(source, reading))
        stream, codec = shown.stream, shown.stream.codec_context
        held = _held_in_fragments(source, shown) if is_in_fragments(source, source.size) else None
        samples = _samples(source, shown)
        seen = [sample for sample in samples if sample.is_shown]
        if not seen:
            raise Refused("no frame in it")
        film, lying = shown, samples
        if is_edited := len({sample.position for sample in seen}) < len(samples):
            with _Opened(source, reading) as walked:
                held = _spans(walked.container).get(stream.index, 0.0)
            film = opened.enter_context(_Opened(source, reading, as_it_lies=True))
            lying = _samples(source, film)
        try:
            first = _Decoder(source, shown, samples, reading).first(is_at_start=is_edited)
            decoder = _Decoder(source, film, lying, reading)
            with suppress(MemoryError):  # pictures of 8K: the first one is proof enough
                for wanted in _places(source, stream, lying, {sample.position for sample in seen}):
                    decoder.must_decode(wanted)
        except Refused as refused:
            return codec.name, refused
        # The average of a fragmented film with sound counts the sound's padding: 23.8 instead of 24.
        rate = stream.guessed_rate or stream.average_rate
        held = _held_at_the_end(shown, samples) if held is None else held
        if not rate or held <= 0:
            raise Refused("it does not say how long it is")
        has_audio = bool(shown.container.streams.audio)
        return codec.name, Film(
            first, held, codec.width, codec.height, float(rate), codec.codec.canonical_name, has_audio
        )


def _samples(source: Source, film: _Opened) -> list[Sample]:
    """The pictures' samples. Raises Refused where one of any track lies beyond the end of the file."""
    found: list[Sample] = []
    for each in film.container.streams:
        for entry in each.index_entries:
            if entry.pos + entry.size > source.size:
                raise Refused("cut off: its index names frames beyond the end of the file")
            if each.index == film.stream.index and entry.size:
                found.append(Sample(entry.pos, entry.size, entry.timestamp, entry.is_keyframe, not entry.is_discard))
    return found


def _held_in_fragments(source: Source, film: _Opened) -> float:
    """Seconds of pictures in all fragments, which are not all known before they have been walked through.

    Raises Refused where they are fewer than the film's header promises.
    """
    spans = _spans(film.container)
    held, longest = spans.get(film.stream.index, 0.0), max(spans.values(), default=0.0)
    own_s = float((film.stream.duration or 0) * (film.stream.time_base or 0))
    promised = max(promised_s(source, source.size) or 0.0, own_s)
    # The header of all counts the longest track, which may be the sound's.
    beside = min(longest - held, SOUND_LONGER_S) if promised > own_s else 0.0
    if promised - held - beside > max(LACKS_S, LACKS_SHARE * promised):
        raise Refused(f"cut off: its header promises {promised:.2f} s, its fragments hold {held:.2f} s")
    return held


def _spans(container: av.container.InputContainer) -> dict[int, float]:
    """Seconds that are shown of each track, by its number: from the first packet's time to the end of the last.

    Raises Refused of a packet that is not all there.
    """
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for packet in container.demux():
        if packet.is_corrupt:
            raise Refused("cut off: its index names frames beyond the end of the file")
        if packet.size and packet.pts is not None and not packet.is_discard:
            track, end = packet.stream_index, packet.pts + (packet.duration or 0)
            begins[track] = min(packet.pts, begins.get(track, packet.pts))
            ends[track] = max(end, ends.get(track, end))
    units = {each.index: float(each.time_base or 0) for each in container.streams}
    return {track: (ends[track] - begin) * units[track] for track, begin in begins.items()}


def _held_at_the_end(film: _Opened, samples: list[Sample]) -> float:
    """Seconds of pictures of a film that is shown as it lies, without walking through it."""
    stream, unit = film.stream, film.stream.time_base
    if unit is None:
        return 0.0
    film.container.seek(samples[max(0, len(samples) - REORDERED)].dts, stream=stream, any_frame=True)
    ends = [p.pts + (p.duration or 0) for p in film.container.demux(stream) if p.size and p.pts is not None]
    begin = stream.start_time or 0
    return float((max(ends, default=begin) - begin) * unit)


def _places(source: Source, stream: av.VideoStream, samples: list[Sample], shown: set[int]) -> list[int]:
    """Which samples are to be decoded, beside the first one, by their number. `shown`: where those that are shown lie.

    Raises Refused where decoders would take foreign bytes for a picture, or for none.
    """
    numbers = [number for number, sample in enumerate(samples) if sample.position in shown]
    wanted = {numbers[len(numbers) // 2], numbers[-1]} - {numbers[0]}
    odd = _oddly_framed(source, stream, samples, numbers)
    told = odd if len(odd) > max(FLAWS, FLAWS_SHARE * len(numbers)) else odd & wanted
    if told and not _length_bytes(stream):
        raise Refused(f"no picture stands where that at {_seconds(stream, samples[min(told)])} should be")
    return sorted({*wanted, *([min(told)] if told else [])})


def _oddly_framed(source: Source, stream: av.VideoStream, samples: list[Sample], shown: list[int]) -> set[int]:
    """The samples, by number, that are framed otherwise than the first one shown: holes of zeros, and foreign bytes.

    A few of them are a flaw in a film that plays.
    """
    name, width = stream.codec_context.name, _length_bytes(stream)
    if name in RAW or not _is_framed(source, samples[shown[0]], name, width):
        return set()
    looked_at = {*shown[:: -(-len(shown) // MOST_FRAMED)], shown[len(shown) // 2], shown[-1]}
    return {number for number in looked_at if not _is_framed(source, samples[number], name, width)}


def _length_bytes(stream: av.VideoStream) -> int:
    """How many bytes tell the length of a unit in a sample; 0 where the codec has no such thing, or does not say."""
    extra, name = stream.codec_context.extradata or b"", stream.codec_context.name
    at = {"h264": 4, "hevc": 21}.get(name)
    return 0 if at is None or len(extra) <= at or extra[0] != 1 else (extra[at] & 3) + 1


def _is_framed(source: Source, sample: Sample, name: str, width: int) -> bool:
    """Whether a sample's units fill it, as far as its codec has units; else whether it begins as its codec's do."""
    source.seek(sample.position)
    head = source.read(min(HEAD_BYTES, sample.size))
    if not width:
        at, begins = BEGINS.get(name, (0, b""))
        return head[at:].startswith(begins) and (any(head) or sample.size < HEAD_BYTES)
    at = 0
    for _ in range(MOST_UNITS):
        if at:
            source.seek(sample.position + at)
            head = source.read(width)
        length = int.from_bytes(head[:width], "big")
        at += width + length
        if not length or at > sample.size:
            return False
        if at == sample.size:
            return True
    return True


def _key_before(samples: list[Sample], number: int) -> int:
    """The key frame from which a sample can be decoded; the film's first one where none is said to be a key frame."""
    return next((at for at in range(number, -1, -1) if samples[at].is_key), 0)


def _seconds(stream: av.VideoStream, sample: Sample) -> str:
    return f"{max(float(sample.dts * (stream.time_base or 0)), 0):.1f} s"


class _Decoder:
    """Decodes single frames of a film."""

    def __init__(self, source: Source, film: _Opened, samples: list[Sample], reading: Reading) -> None:
        self._source, self._container, self._stream = source, film.container, film.stream
        self._samples, self._reading = samples, reading
        self._codec = film.stream.codec_context

    def first(self, *, is_at_start: bool) -> av.VideoFrame:
        """The first frame that is shown. Raises Refused if it does not decode.

        `is_at_start`: nothing was read yet. By time one finds no way among parts that are shown in another order.
        """
        begin = next((number for number, sample in enumerate(self._samples) if sample.is_key), 0)
        shown = next((at for at in range(begin, len(self._samples)) if self._samples[at].is_shown), begin)
        packets: Iterable[Packet | None] = [self._packet(begin), None]  # where that is too far, it stands for it
        if self._is_within(begin, shown, FURTHER):
            if not is_at_start:
                self._container.seek(self._samples[begin].dts, stream=self._stream)
            skipped = begin if is_at_start else 0
            packets = islice(self._container.demux(self._stream), skipped, skipped + shown - begin + FIRST_WITHIN)
        for packet in packets:
            frames = self._frames(packet)
            if frames is None or (frames and frames[0].is_corrupt):
                break
            if frames:
                return frames[0]
        raise Refused("its first picture cannot be read")

    def must_decode(self, number: int) -> None:
        """Raises Refused unless this sample gives a frame that is whole."""
        key = _key_before(self._samples, number)
        good = self._codec.name in BEARS_GAPS and number - key > LEAD_IN and self._past_a_gap(key, number)
        if not good and self._is_within(key, number, FURTHER if self._codec.name in BEARS_GAPS else 1):
            good = self._through(key, number)
        elif not good and self._codec.name not in BEARS_GAPS:
            good = self._through(key, max(at for at in range(key, number) if self._is_within(key, at, 1) or at == key))
        if not good:
            raise Refused(f"its picture at {_seconds(self._stream, self._samples[number])} cannot be read")

    def _is_within(self, key: int, number: int, times: int) -> bool:
        between = self._samples[key : number + 1]
        pixels = len(between) * self._codec.width * self._codec.height
        return pixels <= times * REACH_PIXELS and sum(s.size for s in between) <= times * REACH_BYTES

    def _through(self, key: int, number: int) -> bool:
        """Whether the sample decodes after all that it may rest on."""
        self._container.seek(self._samples[key].dts, stream=self._stream)
        return self._is_shown(self._until(self._samples[number].position))

    def _until(self, position: int) -> Iterator[tuple[Packet, bool]]:
        for packet in self._container.demux(self._stream):
            is_wanted = packet.pos == position
            yield packet, is_wanted
            if is_wanted:
                return

    def _past_a_gap(self, key: int, number: int) -> bool:
        """Whether the sample decodes after its key frame, as if there were nothing between."""
        self._codec.flush_buffers()
        lead_in = LEAD_IN if self._is_within(key, key + 2 * LEAD_IN, 1) else 0
        chosen = [key, *range(max(key + 1, number - lead_in), number + 1)]
        return self._is_shown((self._packet(at), at == number) for at in chosen)

    def _packet(self, number: int) -> Packet:
        sample = self._samples[number]
        self._source.seek(sample.position)
        return av.Packet(self._source.read(sample.size))

    def _is_shown(self, packets: Iterable[tuple[Packet, bool]]) -> bool:
        """Whether the packet that is wanted, the last one, decodes, and the last of the frames is whole."""
        last, reached = None, False
        for packet, is_wanted in packets:
            frames = self._frames(packet)
            if frames is None and is_wanted:
                return False
            reached = is_wanted
            if frames is None:
                last = None
            elif frames:
                last = frames[-1]
        rest = self._frames(None)
        self._codec.flush_buffers()
        last = rest[-1] if rest else last
        return reached and last is not None and not last.is_corrupt

    def _frames(self, packet: Packet | None) -> list[av.VideoFrame] | None:
        """What a packet gives, perhaps nothing yet; None: it cannot be read. Without one: what was held back."""
        try:
            if packet is not None and self._reading.bare:
                packet = _bare(packet, _length_bytes(self._stream))
            return self._codec.decode(packet)
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):
            return None


def _bare(packet: Packet, width: int) -> Packet:
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
