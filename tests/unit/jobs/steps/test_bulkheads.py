from __future__ import annotations

import contextlib

import pytest

from jobs.steps.bulkheads import Bulkheads, Kind


def entered(stack: contextlib.ExitStack, bulkheads: Bulkheads, gateway: str, kind: str, times: int) -> list[bool]:
    return [stack.enter_context(bulkheads.enter(gateway, kind)) == 0 for _ in range(times)]  # type: ignore[arg-type]


def test_a_gateway_takes_at_most_a_quarter_of_the_slots() -> None:
    with contextlib.ExitStack() as stack:
        assert entered(stack, Bulkheads(32), "slow", "submit", 10) == [True] * 8 + [False] * 2


def test_no_more_orders_are_begun_than_may_be_on_their_way() -> None:
    with contextlib.ExitStack() as stack:
        bulkheads = Bulkheads(32, most_submits=5)
        assert entered(stack, bulkheads, "slow", "submit", 10) == [True] * 5 + [False] * 5
        assert entered(stack, bulkheads, "slow", "query", 10) == [True] * 8 + [False] * 2


def test_submits_leave_a_quarter_of_all_slots_to_queries() -> None:
    bulkheads = Bulkheads(32)
    with contextlib.ExitStack() as stack:
        admitted = [ok for g in ("a", "b", "c", "d", "e") for ok in entered(stack, bulkheads, g, "submit", 8)]
        assert sum(admitted) == 24
        assert entered(stack, bulkheads, "a", "query", 8) == [True] * 8


def test_queries_of_a_gateway_are_counted_apart_from_its_submits() -> None:
    bulkheads = Bulkheads(8)
    with contextlib.ExitStack() as stack:
        assert entered(stack, bulkheads, "a", "submit", 3) == [True, True, False]
        assert entered(stack, bulkheads, "a", "query", 3) == [True, True, False]
        assert entered(stack, bulkheads, "b", "submit", 1) == [True]


def test_a_place_is_free_again_after_leaving_also_by_an_error() -> None:
    bulkheads = Bulkheads(4)
    with pytest.raises(RuntimeError), bulkheads.enter("a", "submit"):
        raise RuntimeError
    with bulkheads.enter("a", "submit") as come_back_in:
        assert come_back_in == 0


def test_it_is_full_for_whom_it_would_turn_away() -> None:
    bulkheads = Bulkheads(8)
    with contextlib.ExitStack() as stack:
        assert not bulkheads.is_full("a", "submit")
        entered(stack, bulkheads, "a", "submit", 2)
        assert (bulkheads.is_full("a", "submit"), bulkheads.is_full("b", "submit")) == (True, False)
        for gateway in ("b", "c"):
            entered(stack, bulkheads, gateway, "submit", 2)
        assert bulkheads.is_full("d", "submit")  # submits leave some slots to queries
        assert not bulkheads.is_full("d", "query")
    assert not bulkheads.is_full("a", "submit")


def test_who_was_not_admitted_frees_nobody_elses_place() -> None:
    bulkheads = Bulkheads(4)
    with bulkheads.enter("a", "submit"):
        with bulkheads.enter("a", "submit") as come_back_in:
            assert come_back_in > 0
        with bulkheads.enter("a", "submit") as come_back_in:
            assert come_back_in > 0


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_few_slots_still_let_one_of_each_kind_in(slots: int) -> None:
    bulkheads = Bulkheads(slots)
    with bulkheads.enter("a", "submit") as submitting, bulkheads.enter("a", "query") as asking:
        assert submitting == 0
        assert asking == 0


@pytest.mark.parametrize(("kind", "soonest"), [("submit", 5), ("query", 1)])
def test_who_is_turned_away_stands_in_a_line_of_twenty_per_second(kind: Kind, soonest: float) -> None:
    bulkheads = Bulkheads(4, monotonic=lambda: 100.0)
    with bulkheads.enter("a", kind), contextlib.ExitStack() as stack:
        waits = [stack.enter_context(bulkheads.enter("a", kind)) for _ in range(1000)]
    assert waits[:3] == pytest.approx([soonest, soonest + 0.05, soonest + 0.1])
    assert waits[200] == pytest.approx(soonest + 10)
    assert waits[-1] == 30  # and nobody is sent away for longer


def test_who_is_turned_away_before_it_tried_stands_in_the_same_line() -> None:
    bulkheads = Bulkheads(4, monotonic=lambda: 100.0)
    with bulkheads.enter("a", "submit"), bulkheads.enter("a", "submit") as tried:
        assert bulkheads.come_back_in("a", "submit") == pytest.approx(tried + 0.05)


def test_a_line_that_has_gone_starts_anew() -> None:
    now = [100.0]
    bulkheads = Bulkheads(4, monotonic=lambda: now[0])
    with bulkheads.enter("a", "submit"), contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(bulkheads.enter("a", "submit"))
        now[0] += 60
        assert stack.enter_context(bulkheads.enter("a", "submit")) == 5


def test_who_is_sent_notices_has_a_share_and_a_longer_line_of_its_own() -> None:
    bulkheads = Bulkheads(8, monotonic=lambda: 100.0)
    with contextlib.ExitStack() as stack:
        assert entered(stack, bulkheads, "pipeline.example", "notice", 3) == [True, True, False]
        assert entered(stack, bulkheads, "other.example", "notice", 1) == [True]
        waits = [stack.enter_context(bulkheads.enter("pipeline.example", "notice")) for _ in range(12_000)]
    assert waits[9_999] == pytest.approx(501, abs=1)
    assert waits[-1] == 600


def test_hosts_that_have_gone_take_no_room() -> None:
    now = [100.0]
    bulkheads = Bulkheads(4, monotonic=lambda: now[0])
    for number in range(100):
        with bulkheads.enter(f"{number}.example", "notice"), bulkheads.enter(f"{number}.example", "notice"):
            now[0] += 60
    assert len(bulkheads._inside) + len(bulkheads._last_in_line) <= 1


def test_somebody_is_inside_until_all_have_left() -> None:
    bulkheads = Bulkheads(8)
    with bulkheads.enter("a", "submit"):
        with bulkheads.enter("a", "submit"):
            assert bulkheads.are_inside("a", "submit")
        assert bulkheads.are_inside("a", "submit")
        assert not bulkheads.are_inside("a", "query")
    assert not bulkheads.are_inside("a", "submit")
