"""Whether a film is what an order asked for."""

from __future__ import annotations

import pytest

from jobs.request.generation import Film, Generation, Mode

HD = Film(5.06, 1280, 720)


def wanted(mode: Mode = Mode.TEXT, **more: object) -> Generation:
    return Generation(mode, "A fox", **{"resolution": "720p", "duration": 5, "ratio": "16:9", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("film", "generation"),
    [
        (HD, wanted()),
        (Film(4.9, 1280, 720), wanted()),
        (Film(5.0, 960, 960), wanted(ratio="1:1")),
        (Film(5.0, 1088, 832), wanted(ratio="4:3")),
        (Film(5.0, 720, 1280), wanted(ratio="9:16")),
        (Film(5.0, 1632, 1248), wanted(resolution="1080p", ratio="4:3")),
        (Film(5.0, 1440, 1440), wanted(resolution="1080p", ratio="1:1")),
        (Film(5.0, 1000, 900), wanted(Mode.IMAGE, ratio=None)),
        (Film(12.3, 1280, 720), wanted(Mode.EDIT, duration=0, ratio=None)),
    ],
)
def test_what_was_asked_for_fits(film: Film, generation: Generation) -> None:
    assert generation.may_be(film)


@pytest.mark.parametrize(
    "generation",
    [
        wanted(duration=4),
        wanted(duration=6),
        wanted(resolution="1080p"),
        wanted(ratio="9:16"),
        wanted(ratio="4:3"),
        wanted(ratio="1:1"),
        wanted(Mode.EDIT, duration=0, resolution="1080p", ratio=None),
    ],
)
def test_another_length_size_or_shape_does_not(generation: Generation) -> None:
    assert not generation.may_be(HD)


@pytest.mark.parametrize(
    "generation", [wanted(resolution="1080p"), wanted(ratio="9:16"), wanted(ratio="1:1"), wanted(duration=11)]
)
def test_a_film_that_only_another_order_can_have_asked_for_denies_this_one(generation: Generation) -> None:
    assert generation.is_denied_by(HD)


@pytest.mark.parametrize(
    ("film", "generation"),
    [
        (HD, wanted()),
        (HD, wanted(duration=4)),  # longer than was ordered
        (HD, wanted(duration=10)),  # half of it
        (HD, wanted(Mode.IMAGE, ratio=None)),
        (Film(5.0, 320, 180), wanted()),  # of a size that nobody can order
        (Film(5.0, 1280, 576), wanted()),  # and of such a shape
        (Film(1.0, 1280, 720), wanted(Mode.EDIT, duration=0, ratio=None)),
    ],
)
def test_what_nobody_can_order_denies_no_order(film: Film, generation: Generation) -> None:
    assert not generation.is_denied_by(film)
