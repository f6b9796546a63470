"""Waiting, lists and histories."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from scripted import JOB_ID, Answer, Clock, Request, Scripted, job, problem

from rushes_client import Client, Job, TimedOut, Unavailable


def held(request: Request) -> str | None:
    return next(iter(request.query.get("wait", [])), None)


def test_the_service_holds_its_answer_until_the_job_has_ended(client: Client, service: Scripted) -> None:
    service.script = [Answer(200, job("generating")), Answer(200, job("archiving")), Answer(200, job("failed"))]
    assert client.wait(JOB_ID).state == "failed"
    assert [held(request) for request in service.requests] == ["30"] * 3


def test_a_service_that_answers_early_is_left_alone_for_a_while(
    client: Client, service: Scripted, clock: Clock
) -> None:
    early = Answer(200, job("generating"), {"Retry-After": "4"})
    service.script = [early, Answer(200, job("generating")), Answer(200, job("archived"))]
    client.wait(JOB_ID)
    assert clock.pauses == [4, 0.5]


def test_every_change_is_told_once_and_not_what_stays(client: Client, service: Scripted) -> None:
    service.script = [
        Answer(200, job("queued"), {"ETag": '"1"'}),
        Answer(304, headers={"ETag": '"1"'}),
        Answer(200, job("generating"), {"ETag": '"2"'}),
        Answer(200, job("generating"), {"ETag": '"3"'}),
        Answer(200, job("generating", progress=50), {"ETag": '"4"'}),
        Answer(200, job("archived"), {"ETag": '"5"'}),
    ]
    told: list[Job] = []
    ended = client.wait(JOB_ID, on_change=told.append)
    assert [(each.state, each.progress) for each in told] == [
        ("queued", None),
        ("generating", None),
        ("generating", 50),
        ("archived", None),
    ]
    assert ended == told[-1]
    assert [held(request) for request in service.requests] == [None, "30", "30", "30", "30", "30"]
    asked = [request.headers.get("if-none-match") for request in service.requests]
    assert asked == [None, '"1"', '"1"', '"2"', '"3"', '"4"']


def test_a_wait_outlives_a_restart_of_the_service(client: Client, service: Scripted) -> None:
    service.script = [
        Answer(200, job("generating")),
        Answer(cut=0),
        Answer(502),
        problem(503, "database_unavailable"),
        Answer(200, job("archived")),
    ]
    assert client.wait(JOB_ID).state == "archived"


def test_time_that_is_over_raises_with_the_job_as_it_stood(client: Client, service: Scripted, clock: Clock) -> None:
    def rule(request: Request) -> Answer:
        clock.now += float(held(request) or 0)
        return Answer(200, job("generating"))

    service.rule = rule
    began = clock.now
    with pytest.raises(TimedOut, match=f"{JOB_ID} is generating after 70.5 s") as caught:
        client.wait(JOB_ID, timeout_s=70.5)
    assert caught.value.job is not None
    assert caught.value.job.state == "generating"
    assert [held(request) for request in service.requests][:3] == ["30", "30", "10"]
    assert clock.now - began == pytest.approx(70.5)


def test_no_time_at_all_is_one_look(client: Client, service: Scripted) -> None:
    service.script = [Answer(200, job("generating"))]
    with pytest.raises(TimedOut):
        client.wait(JOB_ID, timeout_s=0)
    service.script = [Answer(200, job("archived"))]
    assert client.wait(JOB_ID, timeout_s=0).state == "archived"


def test_a_service_that_stays_away_ends_the_wait(make_client: Callable[..., Client], service: Scripted) -> None:
    service.rule = lambda _: Answer(502)
    with pytest.raises(Unavailable):
        make_client(patience_s=10).wait(JOB_ID)


def test_a_list_is_read_page_by_page_and_only_as_far_as_it_is_used(client: Client, service: Scripted) -> None:
    service.script = [
        Answer(200, {"data": [job(id="a"), job(id="b")], "has_more": True, "next_cursor": "c1"}),
        Answer(200, {"data": [job(id="c")], "has_more": False, "next_cursor": None}),
    ]
    found = client.iter()
    assert [next(found).id, next(found).id] == ["a", "b"]
    assert len(service.requests) == 1
    assert [each.id for each in found] == ["c"]
    assert [request.query for request in service.requests] == [{"limit": ["100"]}, {"limit": ["100"], "cursor": ["c1"]}]


def test_every_filter_goes_out_as_the_api_has_it(client: Client, service: Scripted) -> None:
    service.script = [Answer(200, {"data": [], "has_more": False, "next_cursor": None})]
    found = client.iter(
        state=["failed", "unconfirmed"],
        provider="evolink",
        mode="text-to-video",
        created_after=datetime(2026, 11, 1, tzinfo=UTC),
        created_before=datetime(2026, 12, 1, tzinfo=UTC),
        metadata={"scene": "12 b"},
        overdue=True,
        needs_person=True,
    )
    assert list(found) == []
    assert service.requests[0].query == {
        "limit": ["100"],
        "state": ["failed", "unconfirmed"],
        "provider": ["evolink"],
        "mode": ["text-to-video"],
        "created_after": ["2026-11-01T00:00:00+00:00"],
        "created_before": ["2026-12-01T00:00:00+00:00"],
        "metadata.scene": ["12 b"],
        "overdue": ["true"],
        "needs_person": ["true"],
    }


def test_a_time_without_a_zone_is_refused_before_anything_is_asked(client: Client, service: Scripted) -> None:
    with pytest.raises(ValueError, match="created_after has no time zone"):
        next(client.iter(created_after=datetime(2026, 11, 1)))  # noqa: DTZ001 - that is the mistake
    assert service.requests == []


def test_a_history_reads_oldest_first(client: Client, service: Scripted) -> None:
    line = {"event": "created", "attempt": 0, "from_state": None, "to_state": "queued", "detail": {"by": "api"}}
    service.script = [Answer(200, {"data": [{"at": "2026-11-21T15:46:13.827Z", **line}]})]
    (event,) = client.events(JOB_ID)
    assert (event.at.year, event.event, event.to_state, event.detail) == (2026, "created", "queued", {"by": "api"})
