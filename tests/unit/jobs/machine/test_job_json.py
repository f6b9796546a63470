from __future__ import annotations

import json
from datetime import timedelta

import pytest
from made_cases import JOB_ID, NOW, SECOND, accepted, case, failed, finished, job, lost

from jobs.machine.job_json import job_json, paid_not_delivered
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import State

FACTS = {"bytes": 9, "sha256": "s", "duration_s": 5.0, "width": 1280, "height": 720, "fps": 24.0}


def test_a_new_job_shows_what_is_known_and_null_for_the_rest() -> None:
    view = job_json(case(job()))
    assert view == {
        "id": JOB_ID,
        "state": "queued",
        "accepted_by": None,
        "mode": "text-to-video",
        "provider": None,
        "attempt": 0,
        "task_id": None,
        "progress": None,
        "overdue": False,
        "waiting": {
            "provider": None,
            "code": "in_line",
            "reason": "no worker has looked at it yet",
            "until": "2026-03-04T12:00:00.000Z",
            "position": None,
            "start_by": "2026-03-05T12:00:00.000Z",
        },
        "needs_person": None,
        "cancel_requested": False,
        "error": None,
        "cost": None,
        "attempts": [],
        "video": None,
        "request": {
            "mode": "text-to-video",
            "prompt": "A fox",
            "negative_prompt": None,
            "resolution": "1080p",
            "ratio": "16:9",
            "duration": 5,
            "seed": None,
            "prompt_extend": True,
            "watermark": False,
            "audio_setting": None,
            "shot_type": None,
            "media": [],
            "provider": "auto",
            "notify_url": None,
            "metadata": {},
            "batch": None,
            "on_unconfirmed": "wait",
            "start_within_s": None,
        },
        "metadata": {},
        "batch": None,
        "created_at": "2026-03-04T11:59:00.000Z",
        "updated_at": "2026-03-04T11:59:59.000Z",
        "ended_at": None,
        "links": {
            "self": f"/v1/jobs/{JOB_ID}",
            "events": f"/v1/jobs/{JOB_ID}/events",
            "video": None,
            "poster": None,
        },
    }


@pytest.mark.parametrize("state", State)
def test_the_view_is_json_in_every_state(state: State) -> None:
    one = finished() if state is State.ARCHIVED else accepted()
    assert json.loads(json.dumps(job_json(case(job(state, **FACTS), one))))["state"] == state


def test_a_running_job_shows_its_task_and_its_price() -> None:
    one = accepted(estimated_credits=12.5, estimated_usd=0.25)
    view = job_json(case(job(State.GENERATING, provider="evolink", progress=40), one))
    assert (view["provider"], view["task_id"], view["progress"]) == ("evolink", "task-1", 40)
    assert view["cost"] == {
        "standing": "held",
        "estimated_credits": 12.5,
        "estimated_usd": 0.25,
        "estimate_exact": True,
        "reported_credits": None,
        "reported_usd": None,
    }


def test_the_current_attempt_is_shown_not_the_last() -> None:
    view = job_json(case(job(State.ARCHIVING, attempt=1), finished(1), failed(2)))
    assert (view["task_id"], view["cost"]["standing"]) == ("task-1", Standing.CHARGED)


def test_an_archived_job_shows_its_video_and_the_way_to_it() -> None:
    done = finished(outcome=AttemptOutcome.DELIVERED)
    view = job_json(case(job(State.ARCHIVED, bucket="videos", **FACTS, ended_at=NOW), done))
    assert view["video"] == {"bucket": "videos", "key": f"videos/2026/03/04/{JOB_ID}.mp4", **FACTS}
    assert view["links"]["video"] == f"/v1/jobs/{JOB_ID}/video"
    assert view["links"]["poster"] == f"/v1/jobs/{JOB_ID}/poster"
    assert view["ended_at"] == "2026-03-04T12:00:00.000Z"


@pytest.mark.parametrize("state", [s for s in State if s is not State.ARCHIVED])
def test_no_other_state_shows_a_video(state: State) -> None:
    view = job_json(case(job(state, bucket="videos", **FACTS), accepted()))
    assert view["video"] is None
    assert view["links"]["video"] is view["links"]["poster"] is None


def test_a_failed_job_shows_its_error() -> None:
    columns = {"error_code": "content_refused", "error_message": "no", "error_retryable": False, "error_said": "policy"}
    view = job_json(case(job(State.FAILED, **columns, flagged="uncertain_money"), lost()))
    told = {"code": "content_refused", "message": "no", "retryable": False, "provider_code": "policy"}
    assert view["error"] == told
    assert view["needs_person"] == "uncertain_money"
    assert view["cost"]["standing"] == "uncertain"


def test_a_waiting_job_says_for_what_until_when_and_where_it_stands() -> None:
    waiting = {"provider": "evolink", "code": "full", "reason": "evolink has 50 in flight"}
    view = job_json(case(job(waiting=waiting, alarm_at=NOW + SECOND, start_by=NOW + 9 * SECOND)), position=3)
    assert view["waiting"] == {
        **waiting,
        "until": "2026-03-04T12:00:01.000Z",
        "position": 3,
        "start_by": "2026-03-04T12:00:09.000Z",
    }


@pytest.mark.parametrize("state", [s for s in State if s is not State.QUEUED])
def test_only_a_queued_job_waits(state: State) -> None:
    assert job_json(case(job(state, **FACTS), accepted()), position=3)["waiting"] is None


def test_a_paid_video_that_another_one_came_before_stands_as_undelivered_with_its_link() -> None:
    late = finished(1, link="https://host/late.mp4")
    stored = finished(2, outcome=AttemptOutcome.DELIVERED, link="https://host/stored.mp4")
    view = job_json(case(job(State.ARCHIVED, attempt=2, **FACTS), late, stored))
    assert [(a["number"], a["outcome"], a["link"]) for a in view["attempts"]] == [
        (1, "finished", "https://host/late.mp4"),
        (2, "delivered", None),
    ]


@pytest.mark.parametrize(
    ("state", "one", "stray"),
    [
        (State.ARCHIVED, finished(), True),
        (State.FAILED, finished(outcome=AttemptOutcome.UNDELIVERED), True),
        (State.CANCELLED, finished(), True),
        (State.ARCHIVING, finished(), False),
        (State.ARCHIVED, finished(outcome=AttemptOutcome.DELIVERED), False),
        (State.FAILED, failed(), False),
        (State.FAILED, lost(), False),
    ],
)
def test_paid_and_not_delivered_is_a_charge_without_a_video_once_the_job_has_ended(
    state: State, one: Attempt, stray: bool
) -> None:
    assert paid_not_delivered(state, one) is stray


def test_a_wish_to_cancel_is_shown() -> None:
    assert job_json(case(job(State.UNCONFIRMED, cancel_requested_at=NOW), lost()))["cancel_requested"] is True


def test_times_keep_their_milliseconds() -> None:
    view = job_json(case(job(created_at=NOW + timedelta(microseconds=123_456))))
    assert view["created_at"] == "2026-03-04T12:00:00.123Z"


def test_nothing_that_opens_a_door_is_shown_but_what_an_input_needs_to_those_who_may_order() -> None:
    request = {"prompt": "x", "media": [{"type": "driving_audio", "url": "https://host/a.mp3?sig=of-input"}]}
    secretive = job(State.ARCHIVING, notify_url="https://hook/secret", request=request)
    one = case(secretive, finished(link="https://host/v.mp4?sig=secret"))
    shown, whole = json.dumps(job_json(one)), json.dumps(job_json(one, whole_links=True))
    assert ("secret" in shown, "of-input" in shown) == (False, False)
    assert ("sig=secret" in whole, "of-input" in whole) == (False, True)


@pytest.mark.parametrize("request_", [{"media": 5}, {"media": [{"type": "video", "url": {}}]}, {"metadata": [1]}])
def test_a_request_that_nobody_can_read_keeps_no_job_from_being_shown(request_: dict[str, object]) -> None:
    shown = job_json(case(job(request=request_)))["request"]
    assert (shown["mode"], shown["prompt"], shown["media"]) == ("text-to-video", None, [])
