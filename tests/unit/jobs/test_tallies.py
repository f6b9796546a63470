"""What a process counts, until it is taken."""

from __future__ import annotations

import threading

from jobs.measures import ALL, BY_NAME, Kind, Measure, status_class
from jobs.tallies import Part, Tallies

DONE = Measure("done_total", Kind.COUNTER, "", ("by",))
TOOK_S = Measure("took_seconds", Kind.HISTOGRAM, "", ("by",), bounds=(1, 5))


def test_a_counter_adds_up_for_each_of_its_labels() -> None:
    tallies = Tallies()
    tallies.count(DONE, "a")
    tallies.count(DONE, "a", by=2.5)
    tallies.count(DONE, "b")
    assert tallies.take() == {Part("done_total", ("a",), ""): 3.5, Part("done_total", ("b",), ""): 1}


def test_a_value_counts_in_the_first_bucket_whose_bound_it_does_not_pass_and_in_the_sum() -> None:
    tallies = Tallies()
    for value in (0.5, 1, 5, 6):
        tallies.observe(TOOK_S, value, "a")
    parts = {part.part: value for part, value in tallies.take().items()}
    assert parts == {"1.0": 2, "5.0": 1, "+Inf": 1, "sum": 12.5}


def test_what_was_taken_is_gone_and_what_is_put_back_is_there_beside_what_came_meanwhile() -> None:
    tallies = Tallies()
    tallies.count(DONE, "a")
    taken = tallies.take()
    assert tallies.take() == {}
    tallies.count(DONE, "a")
    tallies.put_back(taken)
    assert tallies.take() == {Part("done_total", ("a",), ""): 2}


def test_threads_lose_nothing_of_each_other() -> None:
    tallies = Tallies()

    def count() -> None:
        for _ in range(2000):
            tallies.count(DONE, "a")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tallies.take() == {Part("done_total", ("a",), ""): 16_000}


def test_measures_are_named_as_prometheus_has_it() -> None:
    assert len(BY_NAME) == len(ALL)
    for measure in ALL:
        assert measure.name.startswith("rushes_")
        assert measure.name.endswith("_total") == (measure.kind is Kind.COUNTER)
        assert bool(measure.bounds) == (measure.kind is Kind.HISTOGRAM)
        assert list(measure.bounds) == sorted(set(measure.bounds))
        assert measure.says.endswith(".")
        assert "le" not in measure.labels


def test_statuses_are_told_apart_by_their_class() -> None:
    assert [status_class(status) for status in (204, 302, 404, 503)] == ["2xx", "3xx", "4xx", "5xx"]
