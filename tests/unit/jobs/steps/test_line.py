"""Who waits in a process for others' orders, and whose turn it is next."""

from __future__ import annotations

from made_cases import job

from jobs.machine.case import Case
from jobs.machine.states import State
from jobs.steps import line
from jobs.steps.line import Line


def queued(job_id: str, api_key_id: str) -> Case:
    return Case(job(State.QUEUED, id=job_id, api_key_id=api_key_id), {}, ())


def joined(gateway: str, *waiting: tuple[str, str]) -> Line:
    found = Line()
    for job_id, api_key_id in waiting:
        found.join(gateway, queued(job_id, api_key_id))
    return found


def called(found: Line, gateway: str) -> list[str]:
    turns = []
    while (turn := found.next(gateway)) is not None:
        turns.append(turn)
    return turns


def test_first_come_first_served_and_api_keys_take_turns() -> None:
    found = joined("evolink", ("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"))
    assert called(found, "evolink") == ["a1", "b1", "a2", "b2", "a3"]


def test_a_job_that_waits_already_keeps_its_place_and_one_that_was_called_has_none() -> None:
    found = joined("evolink", ("a1", "a"), ("a2", "a"), ("a1", "a"))
    assert called(found, "evolink") == ["a1", "a2"]
    found.join("evolink", queued("a1", "a"))
    assert called(found, "evolink") == ["a1"]


def test_each_gateway_has_a_line_of_its_own() -> None:
    found = joined("evolink", ("a1", "a"))
    assert called(found, "apiframe") == []
    assert called(found, "evolink") == ["a1"]


def test_it_is_bounded() -> None:
    found = joined("evolink", *((f"a{n}", f"key-{n % 3}") for n in range(line.MOST + 10)))
    assert found.join("evolink", queued("a0", "key-0")) is not None  # which stands in it
    assert found.join("evolink", queued("a", "key-0")) is None
    assert len(called(found, "evolink")) == line.MOST


def test_a_job_stands_in_one_line_the_one_that_it_joined_last() -> None:
    found = joined("evolink", ("a1", "a"), ("a2", "a"), ("b1", "b"))
    for job_id, key in (("a1", "a"), ("b1", "b")):
        found.join("apiframe", queued(job_id, key))
    assert called(found, "evolink") == ["a2"]
    assert called(found, "apiframe") == ["a1", "b1"]


def test_it_knows_how_a_job_stood_when_it_was_turned_away_last_and_since_when_it_waits() -> None:
    now = [100.0]
    found = Line(lambda: now[0])
    assert found.join("evolink", queued("a1", "a")) == 0
    found.join("evolink", queued("a2", "a"))
    now[0] += 4
    later = Case(job(State.QUEUED, id="a1", api_key_id="a", version=7), {}, ())
    assert found.join("evolink", later) == 4
    assert found.waits("a1") == ("evolink", later, 100.0)
    assert called(found, "evolink") == ["a1", "a2"]
    assert found.waits("a1") is None
    assert found.join("evolink", later) == 0
    assert found.join("apiframe", later) == 0
