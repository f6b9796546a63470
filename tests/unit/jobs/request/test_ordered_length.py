"""How long a film may be for what was ordered, and where the order says nothing of it."""

from __future__ import annotations

import pytest

from jobs.request.generation import Film, Generation, Media, Mode


def order(duration: int = 5, *media: str, mode: Mode = Mode.TEXT) -> Generation:
    return Generation(mode, "A fox", duration=duration, media=tuple(Media(kind, "https://x.example") for kind in media))


@pytest.mark.parametrize(("ordered", "lasts"), [(2, 1.0), (2, 3.0), (5, 4.0), (5, 6.0), (15, 12.0), (15, 18.0)])
def test_within_a_second_or_a_fifth_it_is_as_long(ordered: int, lasts: float) -> None:
    assert order(ordered).is_as_long(lasts)


@pytest.mark.parametrize(("ordered", "lasts"), [(2, 3.01), (5, 3.99), (5, 6.01), (15, 11.9), (15, 18.1), (2, 20)])
def test_beyond_both_it_is_of_another_length(ordered: int, lasts: float) -> None:
    assert not order(ordered).is_as_long(lasts)
    assert order(ordered).is_whole(lasts)


@pytest.mark.parametrize(("ordered", "lasts"), [(2, 0.99), (5, 2.49), (15, 7.4)])
def test_less_than_half_is_not_whole(ordered: int, lasts: float) -> None:
    assert not order(ordered).is_whole(lasts)


@pytest.mark.parametrize(
    "spec",
    [
        order(0, "video", mode=Mode.EDIT),
        order(5, "first_clip", mode=Mode.IMAGE),
        order(5, "first_frame", "driving_audio", mode=Mode.IMAGE),
        order(5, "driving_audio"),
        order(5, "reference_image", "reference_video", mode=Mode.REFERENCE),
        Generation(Mode.REFERENCE, "A fox", media=(Media("reference_image", "https://x", "https://y"),)),
    ],
    ids=["edit", "clip", "frame and sound", "sound", "reference clip", "voice"],
)
def test_where_a_clip_or_a_sound_may_decide_any_length_is_right(spec: Generation) -> None:
    assert all(spec.is_whole(seconds) and spec.is_as_long(seconds) for seconds in (0.1, 60))
    assert spec.may_be(Film(60, 1920, 1080))


def test_pictures_fix_no_length() -> None:
    for spec in (order(5, "first_frame", mode=Mode.IMAGE), order(5, "reference_image", mode=Mode.REFERENCE)):
        assert not spec.is_as_long(9)
