"""Decodes single frames of a film, as far as it must to know that they are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import av

from storage.proof.track import Opened, Reading, Refused, Sample, Source, bare, length_bytes, seconds

if TYPE_CHECKING:
    Packet = av.Packet[Any]

# As much as is decoded to reach a frame from the key frame before it. Where that is further, the frames between are
# left out if the codec bears it, else the last one within reach stands for it.
REACH_PIXELS = 60 * 1920 * 1080
REACH_BYTES = 4 << 20
FURTHER = 20  # times as far, where what came of leaving out says nothing
FIRST_WITHIN = 60  # packets until the first frame
LEAD_IN = 3  # frames before the wanted one that are decoded with it, where others are left out
BEARS_GAPS = frozenset({"h264", "hevc"})


class Decoder:
    """Decodes single frames of a film."""

    def __init__(self, source: Source, film: Opened, samples: list[Sample], reading: Reading) -> None:
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
        if shown == begin and (frame := self._alone(begin)):
            return frame
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

    def _alone(self, key: int) -> av.VideoFrame | None:
        """What a key frame gives without those after it, for which a decoder would wait; None unless it is whole."""
        frames = [*(self._frames(self._packet(key)) or ()), *(self._frames(None) or ())]
        self._codec.flush_buffers()
        return frames[0] if frames and not frames[0].is_corrupt else None

    def must_decode(self, number: int) -> None:
        """Raises Refused unless this sample gives a frame that is whole."""
        key = _key_before(self._samples, number)
        good = self._codec.name in BEARS_GAPS and number - key > LEAD_IN and self._past_a_gap(key, number)
        if not good and self._is_within(key, number, FURTHER if self._codec.name in BEARS_GAPS else 1):
            good = self._through(key, number)
        elif not good and self._codec.name not in BEARS_GAPS:
            good = self._through(key, max(at for at in range(key, number) if self._is_within(key, at, 1) or at == key))
        if not good:
            raise Refused(f"its picture at {seconds(self._stream, self._samples[number])} cannot be read")

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
                packet = bare(packet, length_bytes(self._stream))
            return self._codec.decode(packet)
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):
            return None


def _key_before(samples: list[Sample], number: int) -> int:
    """The key frame from which a sample can be decoded; the film's first one where none is said to be a key frame."""
    return next((at for at in range(number, -1, -1) if samples[at].is_key), 0)
