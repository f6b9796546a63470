"""Faults by header against the running sandbox: repeated lines, real waits, real films, callbacks that race."""

from __future__ import annotations

import http.client
import io
import json
import time
from typing import Any
from urllib.parse import urlsplit

import av
import pytest
import requests
from sandbox_caller import FAULT, KEY, Caller, Receiver, until


def told(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(body) for _, _, body in receiver.calls]


def test_a_header_that_is_repeated_brings_every_fault(sandbox: Caller) -> None:
    connection = http.client.HTTPConnection(urlsplit(sandbox.address).netloc, timeout=10)
    connection.putrequest("POST", "/evolink/v1/videos/generations")
    body = json.dumps({"model": "wan2.7-text-to-video", "prompt": "a fox", "duration": 2}).encode()
    lines = {**KEY, "Content-Type": "application/json", "Content-Length": str(len(body))}
    for name, value in [*lines.items(), (FAULT, "fail; code=service_error"), (FAULT, "late_answer; seconds=0.3")]:
        connection.putheader(name, value)
    started = time.monotonic()
    connection.endheaders(body)
    task = json.loads(connection.getresponse().read())["id"]
    connection.close()
    assert time.monotonic() - started >= 0.3
    assert until(lambda: sandbox.report(task).get("error"))["code"] == "service_error"


def test_a_late_answer_is_late_for_a_task_that_can_already_be_asked_for(sandbox: Caller) -> None:
    with pytest.raises(requests.ReadTimeout):
        sandbox.order(timeout=0.5, fault="late_answer; seconds=60")
    (task,) = sandbox.tasks()
    assert sandbox.report(task["task_id"])["id"] == task["task_id"]


def test_a_slow_query_keeps_its_caller_waiting_and_nobody_else(sandbox: Caller) -> None:
    task = sandbox.order().json()["id"]
    with pytest.raises(requests.ReadTimeout):
        requests.get(
            f"{sandbox.address}/evolink/v1/tasks/{task}",
            headers={**KEY, FAULT: "slow_query; seconds=60"},
            timeout=0.5,
        )
    assert sandbox.report(task)["id"] == task


def test_a_wrong_header_is_answered_with_what_there_is(sandbox: Caller) -> None:
    answer = sandbox.order(fault="lose_anwser")
    assert answer.status_code == 400
    assert "lose_answer" in answer.json()["error"]["message"]
    assert sandbox.tasks() == []


def test_a_film_can_lose_its_picture_or_its_sense(sandbox: Caller) -> None:
    link = sandbox.link(sandbox.order().json()["id"])
    whole = requests.get(link, timeout=30)
    heard = requests.get(link, headers={FAULT: "serve; what=audio_only"}, timeout=30)
    noise = requests.get(link, headers={FAULT: "serve; what=garbage"}, timeout=30)
    assert {each.headers["Content-Type"] for each in (whole, heard, noise)} == {"video/mp4"}
    with av.open(io.BytesIO(heard.content), "r") as container:
        assert [stream.type for stream in container.streams] == ["audio"]
    assert len(noise.content) == len(whole.content)
    with pytest.raises(av.error.InvalidDataError):
        av.open(io.BytesIO(noise.content), "r")


def test_a_forged_callback_and_the_true_one_both_arrive(sandbox: Caller, receiver: Receiver) -> None:
    task = sandbox.order(fault="forge_callback", callback_url=receiver.url).json()["id"]
    until(lambda: len(receiver.calls) == 2)
    assert sorted(each["status"] for each in told(receiver)) == ["completed", "failed"]
    assert {each["id"] for each in told(receiver)} == {task}


def test_a_reordered_callback_arrives_after_the_next_tasks(sandbox: Caller, receiver: Receiver) -> None:
    first = sandbox.order(fault="reorder_callbacks", callback_url=receiver.url).json()["id"]
    until(lambda: sandbox.report(first)["status"] == "completed")
    second = sandbox.order(callback_url=receiver.url).json()["id"]
    until(lambda: len(receiver.calls) == 2)
    assert [each["id"] for each in told(receiver)] == [second, first]


def test_apiframes_progress_arrives_after_the_end(sandbox: Caller, receiver: Receiver) -> None:
    body = {"model": "wan-2.7", "prompt": "a fox", "webhookUrl": receiver.url, "wan27Params": {"duration": 2}}
    headers = {"X-API-Key": "afk_sandbox", FAULT: "reorder_callbacks"}
    events = ["progress", "completed", "failed"]
    url = f"{sandbox.address}/apiframe/v2/videos/generate"
    assert requests.post(url, json={**body, "webhookEvents": events}, headers=headers, timeout=10).status_code == 202
    until(lambda: len(receiver.calls) == 2)
    assert [each["event"] for each in told(receiver)] == ["completed", "progress"]
