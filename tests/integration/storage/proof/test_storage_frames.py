"""What plays is a film, however oddly it is written; what does not play to its end is none."""

from __future__ import annotations

import io
import os
import random
import resource
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from typing import Any

import av
import films
import pytest

from storage.errors import BadVideo
from storage.proof.boxes import check_boxes
from storage.proof.probe import Prober, VideoFacts

Spoil = Callable[[int], bytes]
CODECS = {
    "h264": ("libx264", {"g": "250", "preset": "ultrafast"}),
    "h264 with few frames that stand alone": ("libx264", {"g": "12", "x264-params": "open-gop=1:bframes=3"}),
    "hevc": ("libx265", {"x265-params": "keyint=250:log-level=none", "preset": "ultrafast"}),
    "av1": ("libsvtav1", {"preset": "12"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "mpeg4": ("mpeg4", {"g": "12"}),
}
FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"


def zeros(count: int) -> bytes:
    return bytes(count)


def noise(count: int) -> bytes:
    return random.Random(count).randbytes(count)


@cache
def film(codec: str = "h264", movflags: str = "", frames: int = 36) -> bytes:
    """A second and a half of pictures that move."""
    name, options = CODECS[codec]
    target, pictures = io.BytesIO(), random.Random(1)
    with av.open(target, "w", format="mp4", options={"movflags": movflags} if movflags else {}) as out:
        video = out.add_stream(name, rate=films.FPS, options=options)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        planes = [pictures.randbytes(plane.buffer_size) for plane in av.VideoFrame(160, 96, "yuv420p").planes]
        for number in range(frames):
            frame = av.VideoFrame(160, 96, "yuv420p")
            for plane, data in zip(frame.planes, planes, strict=True):
                plane.update(data[number * 32 :] + data[: number * 32])
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    # SVT-AV1, run by root, makes this thread a real-time one, and all that it starts later on: these starve all else.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return target.getvalue()


def with_longer_sound() -> bytes:
    """Fragments of five seconds of pictures and 5.8 of sound; the header of all promises the longer."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"movflags": FRAGMENTED}) as out:
        video = out.add_stream("mpeg4", rate=10, options={"g": "10"})
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        audio = out.add_stream("aac", rate=8000, layout="mono")
        for second in range(6):
            for number in range(second * 10, min(second * 10 + 10, 50)):
                frame = av.VideoFrame(160, 96, "yuv420p")
                frame.pts = number
                out.mux(video.encode(frame))
            sound = av.AudioFrame("fltp", "mono", 8000 if second < 5 else 6400)
            sound.planes[0].update(bytes(sound.planes[0].buffer_size))
            sound.rate, sound.pts = 8000, second * 8000
            out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return promising(target.getvalue(), 5800)


def fragments() -> bytes:
    return film("h264 with few frames that stand alone", FRAGMENTED)


def without_last_fragments(data: bytes) -> bytes:
    return data[: [at for kind, at, _ in films.boxes(data) if kind == b"moof"][1]]


def promising(data: bytes, milliseconds: int) -> bytes:
    """The same, its header saying how long all fragments are."""
    mehd = struct.pack(">I4sII", 16, b"mehd", 0, milliseconds)
    for name in (b"mvex", b"moov"):
        at = data.index(name)
        length = int.from_bytes(data[at - 4 : at], "big") + len(mehd)
        data = data[: at - 4] + length.to_bytes(4, "big") + data[at:]
    at = data.index(b"mvex") + 4
    return data[:at] + mehd + data[at:]


def spoilt(data: bytes, begin: float, end: float, how: Spoil) -> bytes:
    """A film whose media are lost between two shares of them."""
    _, at, length = next(box for box in films.boxes(data) if box[0] == b"mdat")
    first, last = at + 8 + int((length - 8) * begin), at + 8 + int((length - 8) * end)
    return data[:first] + how(last - first) + data[last:]


def samples(data: bytes) -> list[tuple[int, int]]:
    with av.open(io.BytesIO(data), options={"ignore_editlist": "1"}) as container:
        return [(entry.pos, entry.size) for entry in container.streams.video[0].index_entries]


def with_one_damaged(data: bytes) -> bytes:
    at, size = samples(data)[5]
    return data[: at + size // 2] + noise(20) + data[at + size // 2 + 20 :]


def with_an_odd_message(codec: str) -> bytes:
    """The encoder's own message before the first picture claims to be longer than it is."""
    data = bytearray(film(codec))
    at = data.index(b"x264 - core" if codec == "h264" else b"x265 (build") - 17
    data[at] = 0xFF
    return bytes(data)


def edited(data: bytes, *parts: tuple[float | None, float]) -> bytes:
    """The same, of which only parts are shown: where in the media each begins, None for nothing, and its seconds."""
    rates = [int.from_bytes(data[at + 16 : at + 20], "big") for at in (data.index(b"mvhd"), data.index(b"mdhd"))]
    entries = b"".join(
        struct.pack(">IiI", round(lasts * rates[0]), -1 if begin is None else round(begin * rates[1]), 1 << 16)
        for begin, lasts in parts
    )
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(parts)) + entries
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    at = end = data.index(b"mdia") - 4
    if b"edts" in data:
        at = data.index(b"edts") - 4
        end = at + int.from_bytes(data[at : at + 4], "big")
    longer = bytearray(data[:at] + edts + data[end:])
    for name in (b"trak", b"moov"):
        begin = longer.index(name) - 4
        length = int.from_bytes(longer[begin : begin + 4], "big") + len(edts) - (end - at)
        longer[begin : begin + 4] = length.to_bytes(4, "big")
    return bytes(longer)


def told_no_length(data: bytes) -> bytes:
    changed = bytearray(data)
    for name, at in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        begin = changed.index(name) + at
        changed[begin : begin + 4] = bytes(4)
    return bytes(changed)


def judged(prober: Prober, data: bytes) -> VideoFacts:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        check_boxes(file, len(data))
        return prober.probe(file)[0]


@pytest.mark.parametrize("codec", CODECS)
def test_a_film_plays_whatever_it_is_written_in(prober: Prober, codec: str) -> None:
    facts = judged(prober, film(codec))
    assert (facts.duration_s, facts.fps, facts.codec) == (1.5, 24.0, codec.partition(" ")[0])


@pytest.mark.parametrize(("begin", "end"), [(1 / 3, 1), (0.4, 0.6), (0.55, 0.8), (0.85, 1)])
@pytest.mark.parametrize("how", [zeros, noise])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_what_is_lost_of_its_media_is_found_wherever_it_was(
    prober: Prober, codec: str, how: Spoil, begin: float, end: float
) -> None:
    with pytest.raises(BadVideo, match="picture"):
        judged(prober, spoilt(film(codec), begin, end, how))


@pytest.mark.parametrize("how", [zeros, noise])
@pytest.mark.parametrize("codec", ["av1", "vp9", "mpeg4"])
def test_what_is_lost_at_its_end_is_found_in_other_codecs_too(prober: Prober, codec: str, how: Spoil) -> None:
    """Their samples show no length of their own, but three frames are decoded."""
    with pytest.raises(BadVideo, match="picture"):
        judged(prober, spoilt(film(codec), 2 / 3, 1, how))


@pytest.mark.parametrize(
    "data",
    [
        film() + b"\r\n",
        fragments() + b"<!-- served by edge -->\n",
        film().replace(b"VideoHandler", b"Vid\xe9oHandler"),
        with_an_odd_message("h264"),
        with_an_odd_message("hevc"),
        with_one_damaged(film()),
        told_no_length(film()),
        film(movflags="frag_every_frame+empty_moov"),
        film(movflags="frag_keyframe"),
        promising(fragments(), 1500),
        promising(fragments(), 0xFFFFFFFF),
        film(frames=36) + film(frames=2),
    ],
    ids=[
        "a line's end",
        "a line behind fragments",
        "Latin-1",
        "odd message, h264",
        "odd message, hevc",
        "one damaged frame",
        "no length told",
        "a fragment each frame",
        "the first of them in the header",
        "length promised",
        "length not known",
        "another film behind it",
    ],
)
def test_an_odd_film_that_plays_is_a_film(prober: Prober, data: bytes) -> None:
    assert judged(prober, data).duration_s == 1.5


@pytest.mark.parametrize(
    ("parts", "lasts_s"),
    [
        ([(80 / 24, 50 / 24)], 50 / 24),
        ([(0, 2)], 2),
        ([(1.7, 1)], 1),
        ([(None, 1), (4, 1)], 1),
        ([(0, 1), (3, 1)], 2),
        ([(3, 1), (0, 1)], 2),
        ([(0.5, 1), (0.5, 1)], 2),
    ],
    ids=["begins late", "ends early", "both", "nothing before it", "a cut", "another order", "twice"],
)
@pytest.mark.parametrize("codec", ["h264", "h264 with few frames that stand alone", "vp9"])
def test_a_film_of_which_parts_are_shown_plays_and_is_as_long_as_they(
    prober: Prober, codec: str, parts: list[tuple[float | None, float]], lasts_s: float
) -> None:
    """As cutting without encoding anew leaves it: a part may begin and end anywhere between two key frames."""
    facts = judged(prober, edited(film(codec, frames=130), *parts))
    assert facts.duration_s == pytest.approx(lasts_s, abs=0.15)  # some frames are shown before those they rest on


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_where_too_much_is_hidden_before_the_first_picture_the_key_frame_stands_for_it(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage.proof import decoder, frames, probe_helper

    monkeypatch.setattr(decoder, "FURTHER", 0)
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(edited(film(codec, frames=130), (80 / 24, 50 / 24)))
        read = frames.read_film(probe_helper.Bytes(file.fileno()))
    assert (read.first.width, read.first.is_corrupt) == (160, False)


def test_a_key_frame_is_decoded_once_for_each_picture_that_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a film decodes it as well, and it may be a fifth of a film."""
    from storage.proof import decoder, frames, probe_helper

    whole, opened, decoded = film(), [], []
    of_packet = decoder.Decoder._frames

    class Opened(frames.Opened):
        def __init__(self, *args: Any, **options: Any) -> None:
            opened.append(args)
            super().__init__(*args, **options)

    def counted(self: decoder.Decoder, packet: Any) -> Any:
        decoded.append(packet and packet.size)
        return of_packet(self, packet)

    monkeypatch.setattr(frames, "Opened", Opened)
    monkeypatch.setattr(decoder.Decoder, "_frames", counted)
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(whole)
        frames.read_film(probe_helper.Bytes(file.fileno()))
    (_, key_size), *_ = samples(whole)
    assert (len(opened), decoded.count(key_size)) == (1, 3)
    assert len([size for size in decoded if size]) == 3 + 2 * (decoder.LEAD_IN + 1)


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_of_what_is_shown_the_middle_and_the_end_must_decode(prober: Prober, codec: str) -> None:
    whole = edited(film(codec, frames=130), (50 / 24, 1))
    places = samples(whole)[50:74]
    for lost in (places[10:14], places[-1:]):
        data = bytearray(whole)
        for at, size in lost:
            data[at : at + size] = zeros(size)
        with pytest.raises(BadVideo, match="picture"):
            judged(prober, bytes(data))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (promising(without_last_fragments(fragments()), 1500), "promises 1.50 s, its fragments hold 0.[0-9]+ s"),
        (fragments()[:-200], "cut off"),
        (b"".join(fragments().partition(b"moof")[:2]), "cut off"),
    ],
    ids=["at a border", "in its index", "in a header"],
)
def test_fragments_that_are_missing_are_missed(prober: Prober, data: bytes, why: str) -> None:
    with pytest.raises(BadVideo, match=why):
        judged(prober, data)


def test_sound_that_ends_later_than_the_pictures_is_nothing_that_they_lack(prober: Prober) -> None:
    data = with_longer_sound()
    assert judged(prober, data).duration_s == pytest.approx(5, abs=0.15)
    fourth = [at for kind, at, _ in films.boxes(data) if kind == b"moof"][3]
    with pytest.raises(BadVideo, match=r"promises 5\.80 s, its fragments hold"):
        judged(prober, data[:fourth])


def test_a_film_that_promises_nothing_is_as_long_as_its_fragments(prober: Prober) -> None:
    assert 0 < judged(prober, without_last_fragments(fragments())).duration_s < 1


def test_three_places_are_decoded_and_not_the_film() -> None:
    """A film of a minute costs no more than three of its seconds."""
    from storage.proof import probe_helper

    def cpu_s(data: bytes) -> float:
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(data)
            before = resource.getrusage(resource.RUSAGE_THREAD).ru_utime
            probe_helper.probe(probe_helper.Bytes(file.fileno()))
            return resource.getrusage(resource.RUSAGE_THREAD).ru_utime - before

    assert cpu_s(film("mpeg4", frames=1440)) < 10 * max(cpu_s(film("mpeg4", frames=72)), 0.01)
