"""Ordering: one idempotency key for all tries of a request, and errors that say what to do."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from scripted import JOB_ID, Answer, Clock, Request, Scripted, job, problem

from rushes_client import (
    BadRequest,
    Client,
    IdempotencyKeyReused,
    Job,
    MayBePaid,
    NotFound,
    RateLimited,
    RushesError,
    Unauthorized,
    Unavailable,
)


def test_a_request_goes_out_with_the_key_of_the_caller_and_the_fields_as_they_are(
    client: Client, service: Scripted, key: str
) -> None:
    service.script = [Answer(202, job())]
    submitted = client.submit("A red fox", idempotency_key="scene-12", resolution="720p", metadata={"shot": "1"})
    assert (submitted.id, submitted.state) == (JOB_ID, "queued")
    (sent,) = service.requests
    assert (sent.method, sent.path, sent.query) == ("POST", "/v1/jobs", {})
    assert json.loads(sent.body) == {"prompt": "A red fox", "resolution": "720p", "metadata": {"shot": "1"}}
    assert sent.headers["idempotency-key"] == "scene-12"
    assert sent.headers["authorization"] == f"Bearer {key}"
    assert sent.headers["user-agent"].startswith("rushes-client/")


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(cut=0),
        Answer(202, job(), cut=20),
        problem(429, "rate_limited"),
        Answer(502, b"<html>"),
        problem(503, "database_unavailable"),
        Answer(504),
    ],
    ids=["no answer", "half an answer", "429", "502", "503", "504"],
)
def test_a_request_whose_answer_is_lost_is_sent_again_under_the_same_made_up_key(
    client: Client, service: Scripted, trouble: Answer
) -> None:
    service.script = [trouble, trouble, Answer(202, job())]
    assert client.submit("A red fox").id == JOB_ID
    assert len(service.requests) == 3
    assert len({(request.headers["idempotency-key"], request.body) for request in service.requests}) == 1


def test_two_requests_without_a_key_are_two_orders(client: Client, service: Scripted) -> None:
    service.script = [Answer(202, job()), Answer(202, job())]
    client.submit("A red fox")
    client.submit("A red fox")
    first, second = (request.headers["idempotency-key"] for request in service.requests)
    assert first != second


def test_the_service_is_left_alone_for_as_long_as_it_asks(client: Client, service: Scripted, clock: Clock) -> None:
    service.script = [problem(429, "rate_limited", headers={"Retry-After": "7"}), Answer(202, job())]
    client.submit("A red fox")
    (pause,) = clock.pauses
    assert 7 <= pause <= 7.7


def test_many_orders_outlast_the_minute_in_which_a_keys_requests_are_counted(client: Client, service: Scripted) -> None:
    full = problem(429, "rate_limited", headers={"Retry-After": "60"})
    service.script = [full, full, Answer(202, job()), Answer(202, job())]
    done = client.submit_many([{"prompt": "1"}, {"prompt": "2"}], threads=1)
    assert [type(each) for each in done] == [Job, Job]


def test_patience_ends_with_an_error_that_carries_the_key(
    make_client: Callable[..., Client], service: Scripted, clock: Clock
) -> None:
    client = make_client(patience_s=60)
    service.rule = lambda _: problem(503, "database_unavailable", "The database does not answer.")
    with pytest.raises(Unavailable, match="Submit again with idempotency_key='scene-12'") as caught:
        client.submit("A red fox", idempotency_key="scene-12")
    assert caught.value.idempotency_key == "scene-12"
    assert (caught.value.code, caught.value.request_id) == ("database_unavailable", "req-7")
    assert 50 <= sum(clock.pauses) <= 60
    assert {request.headers["idempotency-key"] for request in service.requests} == {"scene-12"}


def test_more_time_than_there_is_patience_is_not_waited_for(client: Client, service: Scripted, clock: Clock) -> None:
    service.script = [problem(429, "rate_limited", headers={"Retry-After": "3600"})]
    with pytest.raises(RateLimited) as caught:
        client.submit("A red fox")
    assert caught.value.retry_after_s == 3600
    assert caught.value.idempotency_key == service.requests[0].headers["idempotency-key"]
    assert clock.pauses == []


def test_nobody_at_the_address_is_unavailable_and_says_which_address(make_client: Callable[..., Client]) -> None:
    client = make_client("http://127.0.0.1:1", patience_s=1)
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 does not answer \(ConnectionError\)"):
        client.get(JOB_ID)


def test_a_certificate_that_is_not_trusted_is_said_at_once(make_client: Callable[..., Client], clock: Clock) -> None:
    server = Scripted(trustme.CA().issue_cert("127.0.0.1"))
    try:
        with pytest.raises(RushesError, match="REQUESTS_CA_BUNDLE"):
            make_client(server.url).submit("A red fox")
    finally:
        server.close()
    assert clock.pauses == []


def test_whoever_waits_for_a_service_that_is_away_is_told(
    client: Client, service: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    service.script = [problem(503, "database_unavailable", "The database does not answer."), Answer(200, job())]
    client.get(JOB_ID)
    (line,) = (record.getMessage() for record in caplog.records if record.name == "rushes_client")
    assert re.fullmatch(r"The database does not answer\. Asking again in 0\.[2-5] s\.", line)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(422, "invalid_request", errors={"promt": ["Unknown field; did you mean prompt?"]}), BadRequest),
        (problem(422, "idempotency_key_reused"), IdempotencyKeyReused),
        (problem(401, "unauthorized"), Unauthorized),
        (problem(500, "internal_error"), Unavailable),
    ],
)
def test_a_refusal_is_raised_at_once(client: Client, service: Scripted, answer: Answer, kind: type[Exception]) -> None:
    service.script = [answer]
    with pytest.raises(kind) as caught:
        client.submit("A red fox")
    assert type(caught.value) is kind
    assert caught.value.errors == answer.body.get("errors", {})
    assert len(service.requests) == 1


@pytest.mark.parametrize("bad", ["", " a", "a\nb", "füchse", "a" * 256])
def test_a_key_that_no_header_can_carry_is_refused_here(client: Client, service: Scripted, bad: str) -> None:
    with pytest.raises(BadRequest, match="is no idempotency key"):
        client.submit("A red fox", idempotency_key=bad)
    assert service.requests == []


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_request_that_is_no_json_is_refused_here(client: Client, service: Scripted, value: Any) -> None:
    with pytest.raises(BadRequest, match="cannot be written as JSON"):
        client.submit("A red fox", seed=value)
    assert service.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>Log in</html>"),
        Answer(200, ["not", "ours"]),
        Answer(302, headers={"Location": "https://login.example.com/"}),
    ],
)
def test_another_server_at_the_address_is_told_from_the_service(
    client: Client, service: Scripted, answer: Answer
) -> None:
    service.script = [answer]
    with pytest.raises(Unavailable, match="not as Rushes does; check the address") as caught:
        client.get(JOB_ID)
    assert ("login.example.com" in str(caught.value)) is (answer.status == 302)
    assert len(service.requests) == 1


def test_the_key_does_not_give_way_to_a_netrc(
    make_client: Callable[..., Client],
    service: Scripted,
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fox password snow\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    service.script = [Answer(200, job())]
    make_client().get(JOB_ID)
    assert service.requests[0].headers["authorization"] == f"Bearer {key}"


def test_many_requests_come_back_in_order_with_the_error_in_the_place_of_a_wrong_one(
    client: Client, service: Scripted
) -> None:
    def rule(request: Request) -> Answer:
        prompt = json.loads(request.body)["prompt"]
        return problem(422, "invalid_request") if prompt == "3" else Answer(202, job(metadata={"prompt": prompt}))

    service.rule = rule
    requests: list[Any] = [{"prompt": str(n), "idempotency_key": f"take-{n}"} for n in range(20)]
    requests[7] = ["not", "a", "mapping"]
    done = list(client.submit_many(requests, threads=4))
    assert [each.metadata["prompt"] if isinstance(each, Job) else type(each) for each in done] == [
        *("0", "1", "2", BadRequest, "4", "5", "6", BadRequest),
        *(str(n) for n in range(8, 20)),
    ]
    assert done[3].idempotency_key == "take-3"
    sent = {request.headers["idempotency-key"]: json.loads(request.body)["prompt"] for request in service.requests}
    assert sent == {f"take-{n}": str(n) for n in range(20) if n != 7}


def test_many_requests_are_read_and_sent_only_as_far_ahead_as_there_are_threads(
    client: Client, service: Scripted
) -> None:
    service.rule = lambda _: Answer(202, job())
    read: list[int] = []

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            read.append(len(read))
            yield {"prompt": "A red fox"}

    jobs = client.submit_many(endless(), threads=3)
    assert read == []
    for _ in range(10):
        next(jobs)
    jobs.close()
    assert len(read) <= 10 + 3
    assert len(service.requests) <= len(read)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rushes-submit")]


def test_a_job_is_cancelled_again_when_the_answer_is_lost_and_retried_only_once(
    client: Client, service: Scripted
) -> None:
    service.script = [Answer(cut=0), Answer(200, job("cancelled"))]
    assert client.cancel(JOB_ID).state == "cancelled"
    assert [request.path for request in service.requests] == [f"/v1/jobs/{JOB_ID}/cancel"] * 2
    service.requests.clear()
    service.script = [Answer(cut=0)]
    with pytest.raises(Unavailable):
        client.retry(JOB_ID)
    service.script = [problem(409, "may_be_paid"), Answer(202, job())]
    with pytest.raises(MayBePaid):
        client.retry(JOB_ID)
    client.retry(JOB_ID, accept_double_charge=True)
    bodies = [json.loads(request.body) for request in service.requests]
    assert [body["accept_double_charge"] for body in bodies] == [False, False, True]


def test_an_id_never_leaves_its_place_in_the_address(client: Client, service: Scripted) -> None:
    service.script = [problem(404, "unknown_job")]
    with pytest.raises(NotFound):
        client.get("../keys?x=1")
    assert service.requests[0].path == "/v1/jobs/..%2Fkeys%3Fx%3D1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_use_its_parents_connection(client: Client, service: Scripted) -> None:
    service.rule = lambda _: Answer(200, job())
    client.get(JOB_ID)
    client.get(JOB_ID)
    child = os.fork()
    if child == 0:
        try:
            client.get(JOB_ID)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    client.get(JOB_ID)
    mine, again, its, after = (request.port for request in service.requests)
    assert mine == again == after != its
