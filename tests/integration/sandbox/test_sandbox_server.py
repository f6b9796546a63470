"""The sandbox as a process: real films, real callbacks, broken connections, many callers, a quick end."""

from __future__ import annotations

import io
import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av
import pytest
import requests
from sandbox_caller import KEY, Caller, Receiver, until


def boxes_of(film: bytes) -> list[str]:
    """The names of the top boxes, in order; they tile the file."""
    names, at = [], 0
    while at < len(film):
        names.append(film[at + 4 : at + 8].decode())
        at += int.from_bytes(film[at : at + 4], "big")
    assert at == len(film)
    return names


@pytest.mark.parametrize(
    ("quality", "ratio", "size"),
    [
        ("720p", "16:9", (1280, 720)),
        ("720p", "9:16", (720, 1280)),
        ("720p", "1:1", (960, 960)),
        ("720p", "4:3", (1104, 832)),
        ("1080p", "3:4", (1248, 1648)),
    ],
)
def test_a_film_has_the_size_and_length_asked_for_moves_sounds_and_starts_fast(
    sandbox: Caller, quality: str, ratio: str, size: tuple[int, int]
) -> None:
    sandbox.control("settings", {"film": "real"})
    task = sandbox.order(quality=quality, aspect_ratio=ratio, duration=3).json()["id"]
    answer = requests.get(sandbox.link(task), timeout=30)
    film = answer.content
    assert answer.headers["Content-Type"] == "video/mp4"
    assert int(answer.headers["Content-Length"]) == len(film)
    names = boxes_of(film)
    assert names.index("moov") < names.index("mdat")
    with av.open(io.BytesIO(film)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height) == size
        for stream in (video, audio):
            assert stream.duration is not None
            assert stream.time_base is not None
            assert float(stream.duration * stream.time_base) == pytest.approx(3, abs=0.1)
        frames = [bytes(frame.reformat(64, 64, "gray").planes[0]) for frame in container.decode(video)]
    assert len(frames) == 72
    assert frames[0] != frames[-1]
    assert len(set(frames)) > 36


def test_a_finished_task_is_called_back_over_http_and_its_link_opens(sandbox: Caller, receiver: Receiver) -> None:
    task = sandbox.order(callback_url=receiver.url).json()["id"]
    ((_, headers, body),) = until(lambda: receiver.calls)
    assert headers["Content-Type"] == "application/json"
    report = requests.models.complexjson.loads(body)
    assert (report["id"], report["status"]) == (task, "completed")
    assert requests.get(report["results"][0], timeout=10).status_code == 200


def test_a_refused_callback_comes_again_after_the_waits_divided_by_the_speed(
    sandbox: Caller, receiver: Receiver
) -> None:
    sandbox.control("settings", {"speed": 20})
    receiver.statuses = [500, 500, 500, 500]
    sandbox.order(callback_url=receiver.url)
    until(lambda: len(receiver.calls) == 4)
    times = [at for at, _, _ in receiver.calls]
    for (before, after), wait_s in zip(itertools.pairwise(times), (0.05, 0.1, 0.2), strict=True):
        assert after - before >= wait_s


def test_doubled_callbacks_arrive_together(sandbox: Caller, receiver: Receiver) -> None:
    sandbox.control("faults", {"provider": "evolink", "fault": "double_callbacks", "count": 4})
    sandbox.order(callback_url=receiver.url)
    until(lambda: len(receiver.calls) == 4)
    assert len({body for _, _, body in receiver.calls}) == 1


def test_the_callback_can_be_answered_before_the_submit(sandbox: Caller, receiver: Receiver) -> None:
    sandbox.control("settings", {"generation_s": 600})
    sandbox.control("faults", {"provider": "evolink", "fault": "callback_before_answer"})
    sandbox.order(callback_url=receiver.url)
    answered = time.monotonic()
    ((called, _, _),) = receiver.calls
    assert called < answered


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("reset", requests.ConnectionError, "ConnectionResetError"),
        ("close", requests.ConnectionError, "RemoteDisconnected"),
        ("tls", requests.ConnectionError, "RemoteDisconnected"),
        ("hang", requests.ReadTimeout, "timed out"),
    ],
)
def test_a_lost_answer_leaves_an_accepted_task(sandbox: Caller, how: str, error: type[Exception], says: str) -> None:
    sandbox.control("faults", {"provider": "evolink", "fault": "lose_answer", "how": how})
    with pytest.raises(error, match=says):
        sandbox.order(timeout=1)
    (task,) = sandbox.tasks()
    assert task["charged"] == 172
    assert sandbox.control("submits")["evolink"] == {"accepted": 1, "refused": 0, "replayed": 0}


def test_a_lost_answer_can_be_a_502_of_somebody_between(sandbox: Caller) -> None:
    sandbox.control("faults", {"provider": "evolink", "fault": "lose_answer", "how": "502"})
    answer = sandbox.order()
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert len(sandbox.tasks()) == 1


def test_an_answer_can_drip(sandbox: Caller) -> None:
    sandbox.control("faults", {"provider": "evolink", "fault": "lose_answer", "how": "drip", "seconds": 0.5})
    started = time.monotonic()
    assert sandbox.order().json()["status"] == "pending"
    assert time.monotonic() - started >= 0.5


def serve(sandbox: Caller, what: str, **more: Any) -> str:
    sandbox.control("faults", {"provider": "evolink", "fault": "serve", "what": what, **more})
    return sandbox.link(sandbox.order().json()["id"])


def test_a_truncated_film_ends_before_its_stated_length(sandbox: Caller) -> None:
    link = serve(sandbox, "truncated")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        requests.get(link, timeout=10)
    assert requests.get(link, timeout=10).status_code == 200


def test_an_endless_film_goes_on_past_its_length(sandbox: Caller) -> None:
    link = serve(sandbox, "endless")
    taken = 0
    with requests.get(link, stream=True, timeout=10) as answer:
        assert "Content-Length" not in answer.headers
        for block in answer.iter_content(65_536):
            taken += len(block)
            if taken > 3_000_000:
                break
    assert taken > 3_000_000


def test_a_slow_film_comes_at_the_rate_asked_for(sandbox: Caller) -> None:
    link = serve(sandbox, "slow", bytes_per_s=20_000)
    started = time.monotonic()
    with requests.get(link, stream=True, timeout=10) as answer:
        assert len(next(answer.iter_content(10_000))) == 10_000
    assert time.monotonic() - started >= 0.4


@pytest.mark.prove
def test_200_slow_submits_hold_up_nobody(own_sandbox: Caller) -> None:
    """They are slow for longer than a busy machine needs to send them all."""
    own_sandbox.control("faults", {"provider": "evolink", "fault": "slow_submit", "seconds": 15, "times": 200})
    with ThreadPoolExecutor(300) as pool:
        started = time.monotonic()
        slow = [pool.submit(own_sandbox.order) for _ in range(200)]
        until(lambda: not own_sandbox.control("faults")["faults"])
        quick = [pool.submit(own_sandbox.control, "settings") for _ in range(100)]
        for each in quick:
            each.result()
        assert not any(each.done() for each in slow)
        assert all(each.result().status_code == 200 for each in slow)
        assert time.monotonic() - started < 30
    assert own_sandbox.control("submits")["evolink"]["accepted"] == 200
    until(lambda: all(task["state"] == "finished" for task in own_sandbox.tasks()))
    assert len(list(own_sandbox.folder.rglob("*.mp4"))) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_2_seconds_whatever_hangs_and_leaves_no_files(
    own_sandbox: Caller, number: signal.Signals
) -> None:
    own_sandbox.control("settings", {"film": "real"})
    for prompt in "abcdef":
        own_sandbox.order(prompt=prompt, quality="1080p", duration=15)
    own_sandbox.control("faults", {"provider": "evolink", "fault": "slow_submit", "seconds": 60})
    hanging = threading.Thread(target=_order_in_vain, args=(own_sandbox,))
    hanging.start()
    until(lambda: not own_sandbox.control("faults")["faults"])
    started = time.monotonic()
    own_sandbox.process.send_signal(number)
    assert own_sandbox.process.wait(10) == 0
    assert time.monotonic() - started < 2
    hanging.join()
    assert not list(own_sandbox.folder.glob("sandbox-*"))


def _order_in_vain(sandbox: Caller) -> None:
    try:
        sandbox.order()
    except requests.RequestException:
        return


def test_the_keys_are_asked_for_on_the_wire(sandbox: Caller) -> None:
    url = f"{sandbox.address}/apiframe/v2/jobs"
    assert requests.get(url, headers=KEY, timeout=10).status_code == 401
    assert requests.get(url, headers={"X-API-Key": "afk_sandbox"}, timeout=10).json()["jobs"] == []


def test_a_reset_forgets_tasks_faults_and_settings_and_cuts_what_hangs(sandbox: Caller) -> None:
    sandbox.control("settings", {"speed": 7})
    sandbox.control("faults", {"provider": "evolink", "fault": "late_answer", "seconds": 600})
    sandbox.control("faults", {"provider": "evolink", "fault": "stall"})
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(sandbox.order)
        until(lambda: sandbox.control("tasks")["tasks"])
        assert requests.post(f"{sandbox.address}/control/reset", timeout=5).status_code == 204
        assert isinstance(hanging.exception(timeout=10), requests.ConnectionError)
    assert sandbox.control("tasks") == {"tasks": []}
    assert sandbox.control("faults") == {"faults": []}
    assert sandbox.control("settings")["speed"] == 1
    assert sandbox.order().status_code == 200
