from storage.download import FetchLimits
from storage.fetch import Pace

LIMITS = FetchLimits(max_bytes=1 << 30, deadline_s=900, stall_bytes_per_s=100, stall_window_s=10)


def stalled_at(bytes_at_second: list[int]) -> int | None:
    pace = Pace(LIMITS, now=0)
    for second, total in enumerate(bytes_at_second, start=1):
        if pace.is_stalled(second, total):
            return second
    return None


def test_a_steady_body_never_stalls() -> None:
    assert stalled_at([100 * second for second in range(1, 60)]) is None


def test_silence_is_a_stall_after_one_window() -> None:
    assert stalled_at([0] * 60) == 10


def test_a_body_that_stops_is_a_stall_one_window_after_its_last_good_second() -> None:
    fast_for_20_s = [10_000 * second for second in range(1, 21)]
    assert stalled_at(fast_for_20_s + [200_000] * 40) == 30


def test_a_pause_that_a_later_rush_makes_up_within_the_window_is_no_stall() -> None:
    assert stalled_at([0] * 9 + [1_000 * burst for burst in range(1, 20)]) is None
