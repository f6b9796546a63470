"""Whether a film's frames are there and decode, for the confined process that reads foreign bytes (probe_helper.py).

Every sample that the tables or fragments name must lie in the file. Three frames must decode: the first, one in the
middle and the last; and one more where a look at the samples' own framing finds one that may be none. All of them would
cost seconds for a film of 40 MB. What an odd stream holds beside pictures is no reason to refuse it.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass

import av

from storage.proof.boxes import is_in_fragments, promised_s
from storage.proof.decoder import Decoder
from storage.proof.track import Opened, Reading, Refused, Sample, Source, length_bytes, samples_of, seconds

REORDERED = 32  # frames at the end among which the last one shown is

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

STRICT = Reading(explode=True)
# A codec's readings, of which one must do. An odd message beside the pictures spoils a packet under the strict one.
# H.264 says of each frame whether it was concealed; HEVC does not, so there all but pictures is taken away first.
READINGS = {"h264": (STRICT, Reading(explode=False)), "hevc": (Reading(explode=True, bare=True),)}


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
    found: Film | Refused = Refused("it was not read")
    with Opened(source, STRICT) as film:
        readings = READINGS.get(film.stream.codec_context.name, (STRICT,))
        if readings[0] is STRICT:  # to open it once more would cost a key frame
            found, readings = _read(source, film, STRICT), readings[1:]
    for reading in readings:
        if isinstance(found, Refused):
            with Opened(source, reading) as film:
                found = _read(source, film, reading)
    if isinstance(found, Refused):
        raise found
    return found


def _read(source: Source, shown: Opened, reading: Reading) -> Film | Refused:
    """What comes of one reading. Raises Refused where no other could be better, and whatever PyAV raises."""
    with ExitStack() as opened:
        stream, codec = shown.stream, shown.stream.codec_context
        held = _held_in_fragments(source, shown) if is_in_fragments(source, source.size) else None
        samples = samples_of(source, shown)
        seen = [sample for sample in samples if sample.is_shown]
        if not seen:
            raise Refused("no frame in it")
        film, lying = shown, samples
        if is_edited := len({sample.position for sample in seen}) < len(samples):
            with Opened(source, reading) as walked:
                held = _spans(walked.container).get(stream.index, 0.0)
            film = opened.enter_context(Opened(source, reading, as_it_lies=True))
            lying = samples_of(source, film)
        try:
            first = Decoder(source, shown, samples, reading).first(is_at_start=is_edited)
            decoder = Decoder(source, film, lying, reading)
            with suppress(MemoryError):  # pictures of 8K: the first one is proof enough
                for wanted in _places(source, stream, lying, {sample.position for sample in seen}):
                    decoder.must_decode(wanted)
        except Refused as refused:
            return refused
        # The average of a fragmented film with sound counts the sound's padding: 23.8 instead of 24.
        rate = stream.guessed_rate or stream.average_rate
        held = _held_at_the_end(shown, samples) if held is None else held
        if not rate or held <= 0:
            raise Refused("it does not say how long it is")
        has_audio = bool(shown.container.streams.audio)
        return Film(first, held, codec.width, codec.height, float(rate), codec.codec.canonical_name, has_audio)


def _held_in_fragments(source: Source, film: Opened) -> float:
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


def _held_at_the_end(film: Opened, samples: list[Sample]) -> float:
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
    if told and not length_bytes(stream):
        raise Refused(f"no picture stands where that at {seconds(stream, samples[min(told)])} should be")
    return sorted({*wanted, *([min(told)] if told else [])})


def _oddly_framed(source: Source, stream: av.VideoStream, samples: list[Sample], shown: list[int]) -> set[int]:
    """The samples, by number, that are framed otherwise than the first one shown: holes of zeros, and foreign bytes.

    A few of them are a flaw in a film that plays.
    """
    name, width = stream.codec_context.name, length_bytes(stream)
    if name in RAW or not _is_framed(source, samples[shown[0]], name, width):
        return set()
    looked_at = {*shown[:: -(-len(shown) // MOST_FRAMED)], shown[len(shown) // 2], shown[-1]}
    return {number for number in looked_at if not _is_framed(source, samples[number], name, width)}


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
