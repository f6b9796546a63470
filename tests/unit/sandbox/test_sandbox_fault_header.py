"""The header that names a fault for its own request alone."""

from __future__ import annotations

import pytest
from sandbox_bench import FAULT, QUERY, TEXT_TO_VIDEO, Bench, link_of, status_of

from sandbox.faults import Fault, UnknownFault, read_header
from sandbox.gateways import REFUSALS


def faults_of(*lines: str, on: str = "submit") -> list[Fault]:
    return read_header(REFUSALS, "evolink", on, lines)


def test_faults_are_told_apart_by_commas_or_by_repeating_the_header() -> None:
    together = faults_of("stall, late_answer; seconds=2,lose_answer;how=hang ; seconds=0.5")
    apart = faults_of("stall", "late_answer; seconds=2", "lose_answer; how=hang; seconds=0.5")
    assert together == apart
    assert [(each.name, each.params) for each in apart] == [
        ("stall", {}),
        ("late_answer", {"seconds": 2}),
        ("lose_answer", {"how": "hang", "seconds": 0.5}),
    ]


def test_values_are_words_numbers_true_false_and_null() -> None:
    (failing,) = faults_of('fail; retryable=true; code=busy; message="12"; word=null')
    assert failing.params == {"retryable": True, "code": "busy", "message": "12", "word": None}
    (refusing,) = faults_of("refuse; code=402; message=too many today; retry_after=date:30")
    assert (refusing.params["status"], refusing.params["code"]) == (402, 402)
    assert (refusing.params["message"], refusing.params["retry_after"]) == ("too many today", "date:30")
    (serving,) = faults_of("serve; what=slow; bytes_per_s=100")
    assert serving.params == {"what": "slow", "hits": 1, "bytes_per_s": 100}


@pytest.mark.parametrize("line", ["", " ", ","])
def test_an_empty_header_asks_for_nothing(line: str) -> None:
    assert faults_of(line) == []


@pytest.mark.parametrize(
    ("on", "line", "said"),
    [
        ("submit", ";", "no fault ''"),
        ("submit", "explode", "there are refuse, slow_submit"),
        ("submit", "slow_query", "there are refuse, slow_submit"),
        ("query", "stall", "there are refuse, slow_query, garbage_query, unknown_word, expire_link"),
        ("film", "stall", "there are serve"),
        ("page", "refuse", "there are none"),
        ("submit", "stall; seconds=3", "it has none"),
        ("submit", "late_answer; minutes=3", "it has seconds"),
        ("submit", "late_answer; seconds=soon", "a number from 0"),
        ("submit", "late_answer; seconds=-1", "a number from 0"),
        ("submit", "late_answer; seconds=NaN", "a number from 0"),
        ("submit", "late_answer; seconds=null", "a number from 0"),
        ("submit", "double_callbacks; count=1.5", "a whole number from 0"),
        ("submit", "fail; retryable=perhaps", "true or false"),
        ("submit", "serve; what=upside_down", "html, truncated, truncated_clean, empty, endless, slow"),
        ("submit", "serve; bytes_per_s=0", "a whole number from 1"),
        ("submit", "refuse; status=42", "a whole number from 100 to 599"),
        ("submit", "refuse; code=true", "a word or a whole number"),
        ("submit", "refuse; message=[]", "a text"),
        ("submit", "refuse; retry_after=soon", "date:<seconds>"),
        ("submit", "refuse; retry_after=-1", "date:<seconds>"),
        ("submit", "refuse; on=query", "on of refuse must be submit"),
    ],
)
def test_what_is_not_on_the_menu_is_refused_with_what_there_is(on: str, line: str, said: str) -> None:
    with pytest.raises(UnknownFault) as refused:
        faults_of(line, on=on)
    assert said in str(refused.value)


def test_a_wrong_header_is_answered_like_a_wrong_order_at_the_control_endpoint(bench: Bench) -> None:
    header = bench.ask("evolink", *TEXT_TO_VIDEO["evolink"], **{FAULT: "serve; what=nothing"})
    control = bench.client.post("/control/faults", json={"provider": "evolink", "fault": "serve", "what": "nothing"})
    assert header.status_code == control.status_code == 400
    assert header.json == control.json
    assert header.json["error"]["code"] == 400
    assert bench.control("submits")["evolink"] == {"accepted": 0, "refused": 0, "replayed": 0}


@pytest.mark.parametrize(("gateway", "path"), [("apiframe", "/v2/jobs"), ("aivideoapi", "/v1/credits")])
def test_a_page_has_no_faults(bench: Bench, gateway: str, path: str) -> None:
    assert bench.ask(gateway, path, **{FAULT: "refuse"}).status_code == 400
    assert bench.ask(gateway, path).status_code == 200


def test_a_fault_of_a_submit_befalls_the_task_it_makes_and_no_other(bench: Bench) -> None:
    failing = bench.submit("evolink", fault="fail; code=request_cancelled; word=cancelled, lose_callback")
    fine = bench.submit("evolink")
    bench.pass_time(30)
    assert bench.report("evolink", failing)["status"] == "cancelled"
    assert bench.report("evolink", fine)["status"] == "completed"
    assert len(bench.receiver.parcels) == 1
    assert bench.control("faults") == {"faults": []}


def test_a_fault_of_a_request_that_is_refused_is_gone_with_it(bench: Bench) -> None:
    path, body = TEXT_TO_VIDEO["evolink"]
    assert bench.ask("evolink", path, {**body, "duration": 99}, **{FAULT: "stall"}).status_code == 400
    task = bench.submit("evolink")
    bench.pass_time(30)
    assert bench.report("evolink", task)["status"] == "completed"


def test_a_fault_of_a_query_befalls_that_answer_alone(bench: Bench) -> None:
    task = bench.submit("evolink")
    refused = bench.ask("evolink", QUERY["evolink"] + task, **{FAULT: "refuse; status=503"})
    assert refused.status_code == 503
    assert status_of("evolink", bench.report("evolink", task, "unknown_word; word=marinating")) == "marinating"
    garbage = bench.ask("evolink", QUERY["evolink"] + task, **{FAULT: "garbage_query"})
    assert garbage.mimetype == "text/html"
    bench.pass_time(30)
    stale = link_of("evolink", bench.report("evolink", task, "expire_link"))
    assert bench.client.get(stale).status_code == 403
    assert bench.client.get(link_of("evolink", bench.report("evolink", task))).status_code == 200


def test_a_query_leaves_alone_what_waits_for_a_submit(bench: Bench) -> None:
    old = bench.submit("evolink")
    bench.control("faults", {"provider": "evolink", "fault": "expire_link"})
    bench.pass_time(30)
    assert bench.client.get(link_of("evolink", bench.report("evolink", old))).status_code == 200
    assert len(bench.control("faults")["faults"]) == 1


def test_a_fault_of_a_film_spoils_that_download_alone(bench: Bench) -> None:
    task = bench.submit("evolink")
    bench.pass_time(30)
    link = link_of("evolink", bench.report("evolink", task))
    assert bench.client.get(link, headers={FAULT: "serve; what=empty"}).data == b""
    assert bench.client.get(link, headers={FAULT: "stall"}).status_code == 400
    assert bench.client.get(link).data.endswith(task.encode())


def test_the_headers_fault_comes_before_the_menus(bench: Bench) -> None:
    bench.control("faults", {"provider": "evolink", "fault": "refuse", "status": 500})
    answer = bench.ask("evolink", *TEXT_TO_VIDEO["evolink"], **{FAULT: "refuse; status=413"})
    assert answer.status_code == 413
    assert bench.ask("evolink", *TEXT_TO_VIDEO["evolink"]).status_code == 500
