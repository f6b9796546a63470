"""Every gateway's text-to-video, on the wire: keys, bodies, words, money, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_bench import QUERY, TEXT_TO_VIDEO, Bench, link_of, status_of, task_id_of

GATEWAYS = sorted(TEXT_TO_VIDEO)
FINISHED = {
    "aivideoapi": "completed",
    "apiframe": "COMPLETED",
    "easyrouter": "SUCCESS",
    "gravitex": "succeeded",
    "evolink": "completed",
}
RUNNING = {
    "aivideoapi": "processing",
    "apiframe": "PROCESSING",
    "easyrouter": "IN_PROGRESS",
    "gravitex": "in_progress",
    "evolink": "processing",
}
QUEUED = {
    "aivideoapi": "pending",
    "apiframe": "QUEUED",
    "easyrouter": "NOT_START",
    "gravitex": "queued",
    "evolink": "pending",
}
FAILED = {
    "aivideoapi": "failed",
    "apiframe": "FAILED",
    "easyrouter": "FAILURE",
    "gravitex": "failed",
    "evolink": "failed",
}
PRICE_OF_4_S_720P = {"aivideoapi": 96, "apiframe": 68, "easyrouter": 200_000, "gravitex": 0.4, "evolink": 344}


def message_of(body: Any) -> str:
    error = body.get("error", body)
    return str(error if isinstance(error, str) else error["message"])


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_task_goes_from_queued_to_running_to_finished_in_the_gateways_own_words(bench: Bench, gateway: str) -> None:
    task = bench.submit(gateway)
    assert status_of(gateway, bench.report(gateway, task)) == QUEUED[gateway]
    bench.pass_time(15)
    assert status_of(gateway, bench.report(gateway, task)) == RUNNING[gateway]
    bench.pass_time(15)
    report = bench.report(gateway, task)
    assert status_of(gateway, report) == FINISHED[gateway]
    film = bench.client.get(link_of(gateway, report))
    assert film.status_code == 200
    assert film.mimetype == "video/mp4"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_another_key_is_answered_401_and_counted_as_refused(bench: Bench, gateway: str) -> None:
    path, body = TEXT_TO_VIDEO[gateway]
    answer = bench.ask(gateway, path, body, **{"Authorization": "Bearer sk-other", "X-API-Key": "afk_other"})
    assert answer.status_code == 401
    assert bench.ask(gateway, QUERY[gateway] + "x", Authorization="", **{"X-API-Key": ""}).status_code == 401
    assert bench.control("submits")[gateway] == {"accepted": 0, "refused": 1, "replayed": 0}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_an_accepted_task_is_charged_and_a_failed_one_refunded(bench: Bench, gateway: str) -> None:
    before = bench.control("settings")["credits"][gateway]
    bench.control("faults", {"provider": gateway, "fault": "fail"})
    task = bench.submit(gateway)
    assert before - bench.control("settings")["credits"][gateway] == pytest.approx(PRICE_OF_4_S_720P[gateway])
    bench.pass_time(30)
    assert status_of(gateway, bench.report(gateway, task)) == FAILED[gateway]
    assert bench.control("settings")["credits"][gateway] == before
    (kept,) = bench.control(f"tasks?provider={gateway}")["tasks"]
    assert kept["charged"] == kept["refunded"] == PRICE_OF_4_S_720P[gateway]


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_without_credits_the_answer_is_402_and_nothing_is_made(bench: Bench, gateway: str) -> None:
    bench.control("settings", {"credits": {gateway: 0.01}})
    answer = bench.ask(gateway, *TEXT_TO_VIDEO[gateway])
    assert answer.status_code == 402
    assert bench.control("tasks")["tasks"] == []


@pytest.mark.parametrize(
    ("gateway", "body"),
    [
        ("aivideoapi", {"error": {"code": "insufficient_credits", "type": "billing_error"}}),
        ("apiframe", {"error": "Insufficient credits", "creditsRequired": 68, "creditsAvailable": 1}),
        ("easyrouter", {"code": "insufficient_user_quota", "message": "insufficient user quota", "data": None}),
        ("evolink", {"error": {"code": 402, "type": "insufficient_quota_error"}}),
    ],
)
def test_a_refusal_for_lack_of_credits_has_the_documented_shape(bench: Bench, gateway: str, body: Any) -> None:
    bench.control("settings", {"credits": {gateway: 1}})
    answer = bench.ask(gateway, *TEXT_TO_VIDEO[gateway]).json
    for name, value in body.items():
        assert value.items() <= answer[name].items() if isinstance(value, dict) else value == answer[name]


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_an_unknown_field_is_refused_before_anything_is_charged(bench: Bench, gateway: str) -> None:
    path, body = TEXT_TO_VIDEO[gateway]
    answer = bench.ask(gateway, path, {**body, "ratoi": "16:9"})
    assert answer.status_code == 400
    assert "ratoi" in answer.text
    assert bench.control("submits")[gateway]["accepted"] == 0


def _input(**changes: Any) -> dict[str, Any]:
    return {"input": {"prompt": "a fox", **changes}}


def _params(**changes: Any) -> dict[str, Any]:
    return {"wan27Params": changes}


def _metadata(asked: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    return {"metadata": {"input": {"prompt": "a fox", **(asked or {})}, "parameters": parameters}}


@pytest.mark.parametrize(
    ("gateway", "changes", "status"),
    [
        ("aivideoapi", {"model": "wan-9"}, 404),
        ("aivideoapi", {"input": {}}, 400),
        ("aivideoapi", _input(duration=16), 400),
        ("aivideoapi", _input(duration="5"), 400),
        ("aivideoapi", _input(duration=True), 400),
        ("aivideoapi", _input(resolution="720P"), 400),
        ("aivideoapi", _input(aspect_ratio="21:9"), 400),
        ("aivideoapi", _input(seed=-1), 400),
        ("aivideoapi", _input(negative_prompt="n" * 501), 400),
        ("aivideoapi", {"callback_url": "nowhere"}, 400),
        ("apiframe", {"prompt": ""}, 400),
        ("apiframe", {"prompt": "p" * 5001}, 400),
        ("apiframe", {"model": "wan-3"}, 400),
        ("apiframe", _params(watermark=True), 400),
        ("apiframe", _params(negative_prompt="n" * 2501), 400),
        ("apiframe", _params(duration=1), 400),
        ("apiframe", _params(last_frame="https://x.example/a.png"), 400),
        ("apiframe", _params(image="https://x.example/a.png", first_clip="https://x.example/a.mp4"), 400),
        ("apiframe", {"webhookEvents": []}, 400),
        ("apiframe", {"webhookEvents": ["done"]}, 400),
        ("easyrouter", {"prompt": None}, 400),
        ("easyrouter", {"model": "wan2.7"}, 400),
        ("easyrouter", {"resolution": "720p"}, 400),
        ("easyrouter", {"metadata": {"ratio": "2:1"}}, 400),
        ("easyrouter", {"metadata": {"seed": 2**31}}, 400),
        ("easyrouter", {"images": ["https://x.example/a.png"]}, 400),
        ("gravitex", {"prompt": "another"}, 400),
        ("gravitex", {"duration": 6}, 400),
        ("gravitex", {"metadata": {}}, 400),
        ("gravitex", {"callback_url": "https://x.example/cb"}, 400),
        ("gravitex", {"model": "wan2.7-videoedit"}, 400),
        ("gravitex", _metadata(resolution="720p"), 400),
        ("evolink", {"seed": 0}, 400),
        ("evolink", {"watermark": True}, 400),
        ("evolink", {"quality": "4k"}, 400),
        ("evolink", {"audio_urls": ["https://x.example/a.mp3", "https://x.example/b.mp3"]}, 400),
        ("evolink", {"callback_url": "http://rushes.example/cb"}, 400),
        ("evolink", {"callback_url": "https://127.0.0.1/cb"}, 400),
        ("evolink", {"callback_url": "https://10.1.2.3/cb"}, 400),
        ("evolink", {"callback_url": "https://172.31.0.1/cb"}, 400),
        ("evolink", {"callback_url": "https://[::1]/cb"}, 400),
        ("evolink", {"callback_url": "https://rushes.example/" + "c" * 2048}, 400),
    ],
)
def test_what_the_page_does_not_allow_is_refused(
    bench: Bench, gateway: str, changes: dict[str, Any], status: int
) -> None:
    path, body = TEXT_TO_VIDEO[gateway]
    answer = bench.ask(gateway, path, {**body, **changes})
    assert answer.status_code == status, answer.text
    assert message_of(answer.json)
    assert bench.control("submits")[gateway] == {"accepted": 0, "refused": 1, "replayed": 0}


@pytest.mark.parametrize(
    ("gateway", "changes"),
    [
        (
            "aivideoapi",
            _input(
                negative_prompt="blur",
                resolution="1080p",
                prompt_extend=False,
                watermark=True,
                seed=0,
                aspect_ratio="3:4",
                duration=15,
                audio_urls=["https://x.example/a.mp3"],
            ),
        ),
        (
            "apiframe",
            _params(
                negative_prompt="n" * 2500,
                resolution="1080p",
                enable_prompt_expansion=True,
                seed=7,
                aspect_ratio="3:4",
                duration=15,
                audio="https://x.example/a.mp3",
            ),
        ),
        (
            "easyrouter",
            {
                "resolution": "1080P",
                "size": "720P",
                "duration": 15,
                "metadata": {"ratio": "3:4", "seed": 0, "negative_prompt": "blur", "upstream_word": 1},
            },
        ),
        (
            "gravitex",
            {"duration": 15}
            | _metadata(
                {"negative_prompt": "blur", "audio_url": "https://x.example/a.mp3"},
                resolution="1080P",
                ratio="3:4",
                duration=15,
                prompt_extend=True,
                watermark=True,
                seed=0,
            ),
        ),
        (
            "evolink",
            {
                "prompt": "p" * 6000,
                "negative_prompt": "n" * 600,
                "quality": "1080p",
                "aspect_ratio": "3:4",
                "duration": 15,
                "seed": 1,
                "prompt_extend": True,
                "audio_urls": ["https://x.example/a.mp3"],
            },
        ),
    ],
)
def test_every_parameter_of_text_to_video_is_taken_and_shapes_the_film(
    bench: Bench, gateway: str, changes: dict[str, Any]
) -> None:
    bench.submit(gateway, **changes)
    (recipe,) = bench.films.recipes
    assert (recipe.width, recipe.height, recipe.duration) == (1248, 1648, 15)
    assert len(recipe.prompt) <= 5000


@pytest.mark.parametrize(
    ("gateway", "size"),
    [
        ("aivideoapi", (1920, 1080)),
        ("apiframe", (1920, 1080)),
        ("easyrouter", (1280, 720)),
        ("gravitex", (1920, 1080)),
        ("evolink", (1280, 720)),
    ],
)
def test_what_is_left_out_takes_the_gateways_own_default(bench: Bench, gateway: str, size: tuple[int, int]) -> None:
    bare: dict[str, dict[str, Any]] = {
        "aivideoapi": {"input": {"prompt": "a fox"}},
        "gravitex": {"metadata": {"input": {"prompt": "a fox"}}},
    }
    path, body = TEXT_TO_VIDEO[gateway]
    body = {"model": body["model"], "prompt": "a fox"} | bare.get(gateway, {})
    if gateway == "aivideoapi":
        del body["prompt"]
    assert bench.ask(gateway, path, body).status_code in (200, 202)
    (recipe,) = bench.films.recipes
    assert (recipe.width, recipe.height, recipe.duration) == (*size, 5)


@pytest.mark.parametrize(
    ("gateway", "task", "status", "word"),
    [
        ("aivideoapi", "8b6a5162-5c91-4a42-8e80-4c8ef5486f24", 404, "task_not_found"),
        ("apiframe", "8b6a5162-5c91-4a42-8e80-4c8ef5486f24", 404, "Job not found"),
        ("apiframe", "no-uuid", 400, "UUID"),
        ("easyrouter", "task_x", 400, "task_not_exist"),
        ("gravitex", "video_x", 400, "task_not_exist"),
        ("evolink", "task-unified-1-x", 404, "not_found_error"),
        ("evolink", "other", 400, "invalid_task_id"),
    ],
)
def test_an_unknown_task_is_answered_as_documented(
    bench: Bench, gateway: str, task: str, status: int, word: str
) -> None:
    answer = bench.ask(gateway, QUERY[gateway] + task)
    assert answer.status_code == status
    assert word in answer.text


def test_gravitex_forgets_a_task_after_24_hours(bench: Bench) -> None:
    task = bench.submit("gravitex")
    bench.pass_time(24 * 3600)
    assert bench.ask("gravitex", QUERY["gravitex"] + task).status_code == 400


def test_easyrouters_record_of_a_task_begins_before_upstreams_queue_has_it(bench: Bench) -> None:
    task = bench.submit("easyrouter")
    seen = []
    for _ in range(4):
        seen.append(bench.report("easyrouter", task)["data"]["status"])
        bench.pass_time(1)
    assert seen == ["NOT_START", "NOT_START", "QUEUED", "IN_PROGRESS"]


def test_easyrouters_two_forms_tell_of_the_same_task(bench: Bench) -> None:
    answer = bench.ask("easyrouter", "/v1/videos", TEXT_TO_VIDEO["easyrouter"][1])
    task = task_id_of("easyrouter", answer.json)
    assert bench.ask("easyrouter", f"/v1/videos/{task}").json["status"] == "queued"
    bench.pass_time(30)
    flat = bench.ask("easyrouter", f"/v1/videos/{task}").json
    wrapped = bench.report("easyrouter", task)["data"]
    assert flat["status"] == "completed"
    assert flat["metadata"]["url"] == wrapped["result_url"] == wrapped["data"]["output"]["video_url"]


def test_a_failed_easyrouter_task_stands_at_100_per_cent(bench: Bench) -> None:
    bench.control("faults", {"provider": "easyrouter", "fault": "fail"})
    task = bench.submit("easyrouter")
    bench.pass_time(30)
    data = bench.report("easyrouter", task)["data"]
    assert data["progress"] == "100%"
    assert data["fail_reason"].startswith("DataInspectionFailed: ")
    assert "result_url" not in data


def test_aivideoapi_tells_its_account(bench: Bench) -> None:
    bench.control("settings", {"credits": {"aivideoapi": 100}})
    bench.submit("aivideoapi")
    told = bench.ask("aivideoapi", "/v1/credits").json
    assert told == {
        "code": 200,
        "msg": "success",
        "data": {"balance": 4, "total_purchased": 100, "total_consumed": 96},
    }


def test_evolink_tells_its_account_and_what_a_failed_task_gave_back(bench: Bench) -> None:
    bench.control("settings", {"credits": {"evolink": 1000}})
    bench.submit("evolink")
    bench.control("faults", {"provider": "evolink", "fault": "fail"})
    bench.submit("evolink")
    bench.pass_time(30)
    key = {"remaining_credits": 656, "unlimited_credits": True, "used_credits": 344}
    assert bench.ask("evolink", "/v1/credits").json == {
        "data": {"token": key, "user": {"remaining_credits": 656, "used_credits": 344}},
        "message": "",
        "success": True,
    }


def test_an_idempotency_key_stands_for_one_job_for_24_hours(bench: Bench) -> None:
    path, body = TEXT_TO_VIDEO["apiframe"]
    key = {"Idempotency-Key": "k1"}
    first = bench.ask("apiframe", path, body, **key)
    bench.pass_time(30)
    again = bench.ask("apiframe", path, body, **key)
    assert again.status_code == 202
    assert again.json == {"jobId": first.json["jobId"], "status": "COMPLETED"}
    assert bench.ask("apiframe", path, {**body, "prompt": "a hen"}, **key).status_code == 409
    assert bench.control("submits")["apiframe"] == {"accepted": 1, "refused": 1, "replayed": 1}
    (kept,) = bench.control("tasks")["tasks"]
    assert kept["idempotency_key"] == "k1"
    bench.pass_time(24 * 3600)
    assert bench.ask("apiframe", path, body, **key).json["jobId"] != first.json["jobId"]


def test_other_gateways_take_no_notice_of_an_idempotency_key(bench: Bench) -> None:
    for _ in range(2):
        bench.ask("evolink", *TEXT_TO_VIDEO["evolink"], **{"Idempotency-Key": "k1"})
    assert bench.control("submits")["evolink"]["accepted"] == 2


def test_apiframe_lists_jobs_newest_first_and_page_by_page(bench: Bench) -> None:
    jobs = [bench.submit("apiframe") for _ in range(3)]
    first = bench.ask("apiframe", "/v2/jobs?limit=2").json
    assert [job["id"] for job in first["jobs"]] == [jobs[2], jobs[1]]
    assert first["hasMore"]
    rest = bench.ask("apiframe", f"/v2/jobs?limit=2&cursor={first['nextCursor']}").json
    assert [job["id"] for job in rest["jobs"]] == [jobs[0]]
    assert not rest["hasMore"]


@pytest.mark.parametrize(
    ("gateway", "path", "body"),
    [
        (
            "aivideoapi",
            "/v1/videos/generations",
            {
                "model": "wan-2.7-image-to-video",
                "input": {"prompt": "p", "image_urls": ["https://x.example/a.png", "https://x.example/b.png"]},
            },
        ),
        (
            "aivideoapi",
            "/v1/videos/generations",
            {
                "model": "wan-2.7-video-edit",
                "input": {"video_urls": ["https://x.example/a.mp4"], "duration": 0, "audio_setting": "auto"},
            },
        ),
        (
            "apiframe",
            "/v2/videos/generate",
            {"model": "wan-2.7", "prompt": "p", "wan27Params": {"first_clip": "https://x.example/a.mp4"}},
        ),
        (
            "apiframe",
            "/v2/videos/edit",
            {
                "model": "wan-2.7-videoedit",
                "prompt": "p",
                "wan27VideoeditParams": {"video": "https://x.example/a.mp4"},
            },
        ),
        (
            "easyrouter",
            "/v1/video/generations",
            {"model": "wan2.7-i2v", "prompt": "p", "input_reference": "https://x.example/a.png"},
        ),
        (
            "easyrouter",
            "/v1/video/generations",
            {"model": "wan2.7-videoedit", "prompt": "p", "images": ["https://x.example/a.mp4"]},
        ),
        (
            "gravitex",
            "/v1/video/generations",
            {
                "model": "wan2.7-r2v",
                "prompt": "图1",
                "metadata": {
                    "input": {
                        "prompt": "图1",
                        "media": [
                            {
                                "type": "reference_image",
                                "url": "https://x.example/a.jpg",
                                "reference_voice": "https://x.example/a.mp3",
                            }
                        ],
                    }
                },
            },
        ),
        (
            "evolink",
            "/v1/videos/generations",
            {
                "model": "wan2.7-image-to-video",
                "prompt": "p",
                "generation_mode": "first_frame",
                "image_start": "https://x.example/a.png",
            },
        ),
    ],
)
def test_the_other_modes_are_taken_in_their_documented_shapes(
    bench: Bench, gateway: str, path: str, body: dict[str, Any]
) -> None:
    answer = bench.ask(gateway, path, body)
    assert answer.status_code in (200, 202), answer.text
