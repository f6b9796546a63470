"""Callbacks: who is called, with what, how often."""

from __future__ import annotations

import json

import pytest
from sandbox_bench import CALLBACK, CALLBACK_FIELD, Bench, link_of, status_of

from sandbox.gateways.apiframe import signature


@pytest.mark.parametrize("gateway", sorted(CALLBACK_FIELD))
def test_a_finished_task_is_called_back_once(bench: Bench, gateway: str) -> None:
    task = bench.submit(gateway)
    bench.pass_time(29)
    assert bench.receiver.parcels == []
    bench.pass_time(1)
    bench.pass_time(3600)
    (parcel,) = bench.receiver.parcels
    assert parcel.url == CALLBACK
    body = json.loads(parcel.body)
    if gateway != "apiframe":
        assert body == bench.report(gateway, task)
    (kept,) = bench.control("tasks")["tasks"]
    assert [(each["event"], each["status"]) for each in kept["callbacks"]] == [("completed", 200)]


def test_aivideoapi_names_the_event_and_the_task_in_headers(bench: Bench) -> None:
    bench.control("faults", {"provider": "aivideoapi", "fault": "fail"})
    task = bench.submit("aivideoapi")
    bench.pass_time(30)
    (parcel,) = bench.receiver.parcels
    assert parcel.headers == {"X-Event": "task.failed", "X-Task-Id": task, "X-Timestamp": str(int(bench.clock.now))}


def test_apiframe_signs_with_the_raw_digest_of_the_key() -> None:
    # The vector of protocols.md, section 2.3.
    raw = b'{"jobId":"abc","status":"COMPLETED"}'
    assert signature("afk_" + "0" * 40, raw) == "58e6d7af820911d918b1b43ade255ec260002ca8b24ba46dd057a99d192c89f4"


def test_apiframes_signature_covers_the_bytes_that_are_sent(bench: Bench) -> None:
    bench.submit("apiframe")
    bench.pass_time(30)
    (parcel,) = bench.receiver.parcels
    assert parcel.headers["X-Webhook-Signature"] == f"sha256={signature('afk_sandbox', parcel.body)}"
    assert parcel.headers["X-Webhook-Event"] == "completed"


def test_apiframe_sends_only_the_events_asked_for(bench: Bench) -> None:
    bench.submit("apiframe", webhookEvents=["progress", "failed"])
    bench.pass_time(15)
    bench.pass_time(15)
    assert [parcel.event for parcel in bench.receiver.parcels] == ["progress"]


@pytest.mark.parametrize(
    ("gateway", "waits"), [("aivideoapi", [0, 180, 420]), ("apiframe", [0]), ("evolink", [0, 1, 2, 4])]
)
def test_a_refused_callback_is_tried_again_by_the_gateways_timetable(
    bench: Bench, gateway: str, waits: list[int]
) -> None:
    bench.receiver.statuses = [503] * 10
    bench.submit(gateway)
    bench.pass_time(30)
    for tries, wait in enumerate(waits[1:], 1):
        bench.pass_time(wait - 0.5)
        assert len(bench.receiver.parcels) == tries
        bench.pass_time(0.5)
        assert len(bench.receiver.parcels) == tries + 1
    bench.pass_time(24 * 3600)
    assert len(bench.receiver.parcels) == len(waits)
    assert len({parcel.body for parcel in bench.receiver.parcels}) == 1


def test_any_2xx_ends_the_tries(bench: Bench) -> None:
    bench.receiver.statuses = [500, 204]
    bench.submit("evolink")
    bench.pass_time(30)
    bench.pass_time(1)
    bench.pass_time(3600)
    assert len(bench.receiver.parcels) == 2


def test_a_lost_callback_is_never_sent(bench: Bench) -> None:
    bench.control("faults", {"provider": "evolink", "fault": "lose_callback"})
    bench.submit("evolink")
    bench.submit("evolink")
    bench.pass_time(30)
    assert len(bench.receiver.parcels) == 1


def test_callbacks_can_be_switched_off_for_all(bench: Bench) -> None:
    bench.control("settings", {"callbacks": False})
    bench.submit("evolink")
    bench.pass_time(30)
    assert bench.receiver.parcels == []


def test_a_doubled_callback_comes_count_times(bench: Bench) -> None:
    bench.control("faults", {"provider": "apiframe", "fault": "double_callbacks", "count": 3})
    bench.submit("apiframe")
    bench.pass_time(30)
    assert len(bench.receiver.parcels) == 3


def test_a_callback_can_come_before_the_answer_and_shows_the_finished_task(bench: Bench) -> None:
    bench.control("faults", {"provider": "evolink", "fault": "callback_before_answer"})
    task = bench.submit("evolink")
    (parcel,) = bench.receiver.parcels
    assert json.loads(parcel.body)["status"] == "completed"
    assert link_of("evolink", bench.report("evolink", task))
    bench.pass_time(3600)
    assert len(bench.receiver.parcels) == 1


@pytest.mark.parametrize("gateway", sorted(CALLBACK_FIELD))
def test_a_delayed_callback_comes_so_much_later(bench: Bench, gateway: str) -> None:
    task = bench.submit(gateway, fault="delay_callback; seconds=60")
    bench.pass_time(30)
    bench.pass_time(59)
    assert bench.receiver.parcels == []
    assert link_of(gateway, bench.report(gateway, task))
    bench.pass_time(1)
    assert len(bench.receiver.parcels) == 1


@pytest.mark.parametrize("gateway", sorted(CALLBACK_FIELD))
def test_a_reordered_callback_is_held_back_until_the_next_tasks_has_gone_out(bench: Bench, gateway: str) -> None:
    first = bench.submit(gateway, fault="reorder_callbacks")
    bench.pass_time(30)
    assert bench.receiver.parcels == []
    bench.submit("evolink" if gateway != "evolink" else "aivideoapi")
    second = bench.submit(gateway)
    bench.pass_time(30)
    bodies = [parcel.body.decode() for parcel in bench.receiver.parcels]
    told = [task for body in bodies for task in (first, second) if task in body]
    assert told == [second, first]


def test_a_reordered_callback_that_nobody_follows_goes_out_when_the_faults_are_cleared(bench: Bench) -> None:
    bench.submit("evolink", fault="reorder_callbacks")
    bench.pass_time(3600)
    assert bench.receiver.parcels == []
    bench.client.delete("/control/faults")
    assert len(bench.receiver.parcels) == 1


@pytest.mark.parametrize(
    ("fault", "verdict"), [("reorder_callbacks", "completed"), ("reorder_callbacks, fail", "failed")]
)
def test_apiframes_progress_comes_after_the_end_where_it_was_asked_for(bench: Bench, fault: str, verdict: str) -> None:
    task = bench.submit("apiframe", fault=fault, webhookEvents=["progress", "completed", "failed"])
    bench.pass_time(15)
    assert bench.receiver.parcels == []
    bench.pass_time(15)
    last, late = bench.receiver.parcels
    assert (last.event, late.event) == (verdict, "progress")
    told = json.loads(late.body)
    assert (told["jobId"], told["status"], told["progress"]) == (task, "PROCESSING", 50)
    assert late.headers["X-Webhook-Signature"] == f"sha256={signature('afk_sandbox', late.body)}"


@pytest.mark.parametrize(("fault", "verdict"), [("", "failed"), ("fail", "completed"), ("stall", "failed")])
@pytest.mark.parametrize("gateway", sorted(CALLBACK_FIELD))
def test_a_forged_callback_bears_the_wrong_verdict_right_after_acceptance(
    bench: Bench, gateway: str, fault: str, verdict: str
) -> None:
    task = bench.submit(gateway, fault=f"forge_callback, {fault}")
    (forged,) = bench.receiver.parcels
    assert forged.url == CALLBACK
    told = json.loads(forged.body)
    assert task in forged.body.decode()
    assert status_of(gateway, told).lower() == verdict
    if verdict == "completed":
        assert link_of(gateway, told).startswith("https://192.0.2.1/")
    assert status_of(gateway, bench.report(gateway, task)).lower() in ("pending", "queued", "processing")
    bench.pass_time(30)
    true = [parcel.event for parcel in bench.receiver.parcels[1:]]
    assert true == ([] if fault == "stall" else ["failed" if fault == "fail" else "completed"])


def test_a_forged_callback_of_apiframes_is_not_signed_with_our_key(bench: Bench) -> None:
    bench.submit("apiframe", fault="forge_callback")
    bench.pass_time(30)
    genuine = [
        parcel.headers["X-Webhook-Signature"] == f"sha256={signature('afk_sandbox', parcel.body)}"
        for parcel in bench.receiver.parcels
    ]
    assert genuine == [False, True]


def test_a_stranger_tries_once_and_leaves_the_gateways_own_notes_alone(bench: Bench) -> None:
    bench.receiver.statuses = [403]
    task = bench.submit("apiframe", fault="forge_callback, lose_callback")
    bench.pass_time(3600)
    (kept,) = bench.control("tasks")["tasks"]
    assert [(each["event"], each["status"]) for each in kept["callbacks"]] == [("forged", 403)]
    assert bench.report("apiframe", task)["webhookStatus"] == "pending"


def test_a_stranger_can_be_quicker_than_a_callback_that_comes_first(bench: Bench) -> None:
    bench.submit("evolink", fault="forge_callback, callback_before_answer")
    assert [parcel.event for parcel in bench.receiver.parcels] == ["forged", "completed"]


def test_the_operator_can_send_a_callback_of_their_own(bench: Bench) -> None:
    task = bench.submit("evolink", callback=False)
    bench.receiver.statuses = [404]
    forged = {"provider": "evolink", "task_id": task, "url": "https://other.example/", "body": {"status": "completed"}}
    assert bench.control("callback", forged) == {"status": 404, "error": None}
    (parcel,) = bench.receiver.parcels
    assert (parcel.url, parcel.body) == ("https://other.example/", b'{"status": "completed"}')
