"""The menu of faults and the control endpoints, as far as no socket is needed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import av
import pytest
from sandbox_bench import FAULT, QUERY, START, TEXT_TO_VIDEO, Bench, link_of, status_of

from sandbox.films import Recipe, audio_only, make_film


def test_a_refusal_takes_the_gateways_shape_and_happens_as_often_as_asked(bench: Bench) -> None:
    bench.control("faults", {"provider": "aivideoapi", "fault": "refuse", "status": 429, "retry_after": 7, "times": 2})
    for _ in range(2):
        answer = bench.ask("aivideoapi", *TEXT_TO_VIDEO["aivideoapi"])
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "7"
        assert answer.json["error"]["code"] == "rate_limit_exceeded"
    bench.submit("aivideoapi")
    assert bench.control("submits")["aivideoapi"] == {"accepted": 1, "refused": 2, "replayed": 0}


def test_a_refusal_can_bear_a_code_a_body_or_concern_queries(bench: Bench) -> None:
    task = bench.submit("aivideoapi")
    asked = {"provider": "aivideoapi", "fault": "refuse", "status": 429}
    bench.control("faults", {**asked, "code": "spend_limit_exceeded"})
    refused = bench.ask("aivideoapi", *TEXT_TO_VIDEO["aivideoapi"]).json["error"]
    assert (refused["code"], refused["type"]) == ("spend_limit_exceeded", "billing_error")
    bench.control("faults", {**asked, "on": "query", "body": "slow down"})
    assert bench.ask("aivideoapi", QUERY["aivideoapi"] + task).text == "slow down"
    bench.report("aivideoapi", task)


def test_a_failure_is_final_or_retryable_by_the_gateways_code(bench: Bench) -> None:
    bench.control("faults", {"provider": "evolink", "fault": "fail"})
    bench.control("faults", {"provider": "evolink", "fault": "fail", "retryable": True})
    bench.control("faults", {"provider": "evolink", "fault": "fail", "code": "request_cancelled", "word": "cancelled"})
    tasks = [bench.submit("evolink") for _ in range(3)]
    bench.pass_time(30)
    reports = [bench.report("evolink", task) for task in tasks]
    codes = [report["error"]["code"] for report in reports]
    assert codes == ["content_policy_violation", "service_error", "request_cancelled"]
    assert reports[2]["status"] == "cancelled"


def test_an_expired_link_is_reported_once_and_the_next_query_gives_a_fresh_one(bench: Bench) -> None:
    bench.control("faults", {"provider": "gravitex", "fault": "expire_link"})
    task = bench.submit("gravitex")
    bench.pass_time(30)
    stale = bench.client.get(link_of("gravitex", bench.report("gravitex", task)))
    assert stale.status_code == 403
    assert "<Code>AccessDenied</Code>" in stale.text
    assert bench.client.get(link_of("gravitex", bench.report("gravitex", task))).status_code == 200


@pytest.mark.parametrize("provider", QUERY)
def test_a_hidden_link_is_missing_from_so_many_reports_of_a_finished_task(bench: Bench, provider: str) -> None:
    bench.control("faults", {"provider": provider, "fault": "hide_link", "reports": 2})
    task = bench.submit(provider)
    bench.report(provider, task)  # it is not finished yet, so this is none of the two
    bench.pass_time(30)
    first, second, third = (bench.report(provider, task) for _ in range(3))
    link = link_of(provider, third)
    assert bench.client.get(link).status_code == 200
    for report in (first, second):
        assert status_of(provider, report) == status_of(provider, third)
        assert link.partition("?")[0] not in json.dumps(report)


def test_a_link_lives_24_hours_from_the_end_and_no_query_renews_it(bench: Bench) -> None:
    task = bench.submit("evolink")
    bench.pass_time(30)
    link = link_of("evolink", bench.report("evolink", task))
    bench.pass_time(24 * 3600 - 1)
    assert bench.client.get(link).status_code == 200
    bench.pass_time(1)
    assert link_of("evolink", bench.report("evolink", task)) == link
    assert bench.client.get(link).status_code == 403


def test_a_link_can_live_as_long_as_asked_and_then_no_query_gives_another(bench: Bench) -> None:
    task = bench.submit("apiframe", fault="link_life; seconds=60")
    bench.pass_time(30)
    link = link_of("apiframe", bench.report("apiframe", task))
    bench.pass_time(59)
    assert bench.client.get(link).status_code == 200
    bench.pass_time(1)
    gone = bench.report("apiframe", task)
    assert gone["expired"] is True
    assert link_of("apiframe", gone) == link
    assert bench.client.get(link).status_code == 403


def test_the_life_of_a_link_can_be_cut_short_after_it_was_given(bench: Bench) -> None:
    task = bench.submit("evolink")
    bench.pass_time(30)
    assert bench.client.get(link_of("evolink", bench.report("evolink", task))).status_code == 200
    bench.control("faults", {"provider": "evolink", "task_id": task, "fault": "link_life", "seconds": 0})
    assert bench.client.get(link_of("evolink", bench.report("evolink", task))).status_code == 403


def test_a_submit_can_be_slow_before_it_is_accepted_or_after(bench: Bench) -> None:
    bench.submit("evolink", fault="slow_submit; seconds=20")
    bench.submit("evolink", fault="late_answer; seconds=10")
    assert bench.clock.now == START + 30
    slow, late = bench.control("tasks")["tasks"]
    assert (slow["submitted_at"], late["submitted_at"]) == (START + 20, START + 20)


def test_a_slow_query_tells_what_it_saw_before_it_waited(bench: Bench) -> None:
    task = bench.submit("evolink")
    assert bench.report("evolink", task, "slow_query; seconds=30")["status"] == "pending"
    assert bench.clock.now == START + 30
    assert bench.report("evolink", task)["status"] == "completed"


def test_a_refusal_of_a_query_can_be_slow_too(bench: Bench) -> None:
    task = bench.submit("evolink")
    both = {FAULT: "slow_query; seconds=3, refuse; on=query; status=503"}
    assert bench.ask("evolink", QUERY["evolink"] + task, **both).status_code == 503
    assert bench.clock.now == START + 3


@pytest.mark.parametrize("change", [("Expires=1", "Expires=2"), ("Signature=", "Signature=0"), (".mp4", "x.mp4")])
def test_a_tampered_link_opens_nothing(bench: Bench, change: tuple[str, str]) -> None:
    task = bench.submit("evolink")
    bench.pass_time(30)
    answer = bench.client.get(link_of("evolink", bench.report("evolink", task)).replace(*change))
    assert answer.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text


def test_a_film_can_be_asked_for_in_parts(bench: Bench) -> None:
    task = bench.submit("evolink")
    bench.pass_time(30)
    link = link_of("evolink", bench.report("evolink", task))
    whole = bench.client.get(link)
    assert int(whole.headers["Content-Length"]) == len(whole.data)
    part = bench.client.get(link, headers={"Range": "bytes=4-9"})
    assert part.status_code == 206
    assert part.data == whole.data[4:10]
    (kept,) = bench.control("tasks")["tasks"]
    assert kept["link_hits"] == {"count": 2, "first": bench.clock.now}


def test_equal_orders_share_a_film_and_still_each_file_is_its_own(bench: Bench) -> None:
    tasks = [bench.submit("evolink") for _ in range(2)]
    bench.pass_time(30)
    first, second = (bench.client.get(link_of("evolink", bench.report("evolink", task))).data for task in tasks)
    assert first != second
    assert first.endswith(tasks[0].encode())
    assert len(set(bench.films.recipes)) == 1


@pytest.mark.parametrize(
    ("what", "kind", "share"),
    [("html", "text/html", None), ("truncated_clean", "video/mp4", 0.5), ("empty", "video/mp4", 0)],
)
def test_a_film_can_be_served_wrongly_for_one_hit(bench: Bench, what: str, kind: str, share: float | None) -> None:
    bench.control("faults", {"provider": "evolink", "fault": "serve", "what": what})
    task = bench.submit("evolink")
    bench.pass_time(30)
    link = link_of("evolink", bench.report("evolink", task))
    bad, good = bench.client.get(link), bench.client.get(link)
    assert (bad.status_code, bad.mimetype) == (200, kind)
    assert good.data.endswith(task.encode())
    if share is not None:
        assert len(bad.data) == int(len(good.data) * share)


def test_a_film_can_be_replaced_by_as_many_random_bytes(bench: Bench) -> None:
    task = bench.submit("evolink", fault="serve; what=garbage; hits=2")
    bench.pass_time(30)
    link = link_of("evolink", bench.report("evolink", task))
    first, second, good = (bench.client.get(link) for _ in range(3))
    assert first.mimetype == second.mimetype == "video/mp4"
    assert len(first.data) == len(second.data) == len(good.data)
    assert len({first.data, second.data, good.data}) == 3


def test_the_sound_of_a_film_is_a_valid_file_without_a_picture(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    make_film(film, Recipe(64, 64, 2, "evolink", "a fox"))
    with av.open(io.BytesIO(audio_only(film.read_bytes())), "r") as container:
        assert [stream.type for stream in container.streams] == ["audio"]
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert heard == pytest.approx(2 * 44_100, rel=0.05)


def test_a_fault_of_serving_can_be_given_to_a_task_that_exists(bench: Bench) -> None:
    task = bench.submit("evolink")
    bench.pass_time(30)
    bench.control("faults", {"provider": "evolink", "task_id": task, "fault": "serve", "what": "empty"})
    assert bench.client.get(link_of("evolink", bench.report("evolink", task))).data == b""


@pytest.mark.parametrize("what", ["html", "json"])
def test_a_query_can_be_answered_with_garbage(bench: Bench, what: str) -> None:
    task = bench.submit("evolink")
    bench.control("faults", {"provider": "evolink", "fault": "garbage_query", "what": what, "times": 2})
    for _ in range(2):
        answer = bench.ask("evolink", QUERY["evolink"] + task)
        assert answer.status_code == 200
        assert answer.get_json(silent=True) is None
    bench.report("evolink", task)


@pytest.mark.parametrize("gateway", sorted(TEXT_TO_VIDEO))
def test_a_query_can_bear_a_word_that_no_page_knows(bench: Bench, gateway: str) -> None:
    task = bench.submit(gateway)
    bench.pass_time(30)
    bench.control("faults", {"provider": gateway, "fault": "unknown_word", "word": "marinating"})
    assert status_of(gateway, bench.report(gateway, task)) == "marinating"
    assert link_of(gateway, bench.report(gateway, task))


def test_a_stalled_task_runs_until_the_faults_are_cleared(bench: Bench) -> None:
    bench.control("faults", {"provider": "evolink", "fault": "stall"})
    task = bench.submit("evolink")
    bench.pass_time(10 * 3600)
    assert bench.report("evolink", task)["status"] == "processing"
    bench.client.delete("/control/faults")
    bench.pass_time(0)
    assert bench.report("evolink", task)["status"] == "completed"
    assert len(bench.receiver.parcels) == 1


def test_a_fault_for_any_provider_hits_the_first_that_comes(bench: Bench) -> None:
    bench.control("faults", {"fault": "refuse", "status": 500})
    assert bench.ask("gravitex", *TEXT_TO_VIDEO["gravitex"]).status_code == 500
    bench.submit("evolink")
    assert bench.control("faults") == {"faults": []}


@pytest.mark.parametrize(
    "asked",
    [
        {"provider": "evolink", "fault": "explode"},
        {"provider": "nobody", "fault": "stall"},
        {"provider": "evolink", "fault": "stall", "seconds": 3},
        {"provider": "evolink", "fault": "serve", "what": "upside_down"},
        {"provider": "evolink", "fault": "stall", "times": 0},
    ],
)
def test_a_fault_that_is_not_on_the_menu_is_refused(bench: Bench, asked: dict[str, Any]) -> None:
    assert bench.client.post("/control/faults", json=asked).status_code == 400


@pytest.mark.parametrize(
    "settings", [{"film": "huge"}, {"generation_s": -1}, {"speed": 0}, {"colour": 1}, {"credits": {"nobody": 1}}]
)
def test_a_wrong_setting_is_refused_and_changes_nothing(bench: Bench, settings: dict[str, Any]) -> None:
    before = bench.control("settings")
    assert bench.client.post("/control/settings", json={"link_life_s": 5, **settings}).status_code == 400
    assert bench.control("settings") == before


def test_the_time_a_task_takes_can_be_set_for_one_gateway(bench: Bench) -> None:
    bench.control("settings", {"generation_s": {"evolink": 0}, "film": "small"})
    assert bench.report("evolink", bench.submit("evolink"))["status"] == "completed"
    assert bench.report("gravitex", bench.submit("gravitex"))["status"] == "queued"
    assert {(recipe.width, recipe.height) for recipe in bench.films.recipes} == {(320, 180)}


def test_a_task_is_kept_with_the_body_as_it_came(bench: Bench) -> None:
    bench.submit("gravitex")
    (kept,) = bench.control("tasks?provider=gravitex")["tasks"]
    assert kept["request"] == TEXT_TO_VIDEO["gravitex"][1]
    assert bench.control("tasks?provider=evolink")["tasks"] == []
