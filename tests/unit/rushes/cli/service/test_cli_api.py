import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from rushes.cli.service.api import Api, connect
from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure

JOB = {"id": "job_1", "state": "queued", "updated_at": "1"}


class Service(requests.Session):
    """Answers, or fails, from a list; the last one again and again. Keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    def request(self, method: str | bytes, url: str | bytes, **what: Any) -> requests.Response:  # type: ignore[override]
        self.asked.append((method, url, what))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


class Time:
    """Passes only while somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response.url = "http://service/"
    return response


def api(*answers: Any) -> tuple[Api, Service, Time]:
    service, time = Service(*answers), Time()
    return Api("http://service", "rk_1", session=service, pause=time.pause, monotonic=time.monotonic), service, time


def test_a_submit_keeps_its_idempotency_key_over_lost_answers_and_503() -> None:
    asking, service, _ = api(requests.ConnectionError(), answer(503, {}), requests.ReadTimeout(), answer(202, JOB))
    assert asking.submit({"prompt": "a fox"}, "key-1") == JOB
    assert [what["headers"]["Idempotency-Key"] for _, _, what in service.asked] == ["key-1"] * 4
    assert {what["headers"]["Authorization"] for _, _, what in service.asked} == {"Bearer rk_1"}


@pytest.mark.parametrize("trouble", [requests.ConnectionError(), answer(503, {"title": "away"})])
def test_a_service_that_stays_away_is_given_up_after_a_while(trouble: Any) -> None:
    asking, _, time = api(trouble)
    with pytest.raises(Failure) as caught:
        asking.get("/v1/jobs")
    assert caught.value.code == failures.UNREACHABLE
    assert 10 < time.now <= 20


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (401, 4), (403, 4), (404, 3), (409, 1), (422, 2), (429, 7), (500, 1)],
)
def test_a_refusal_has_its_exit_status_and_is_not_repeated(status: int, code: int) -> None:
    asking, service, _ = api(answer(status, {"title": "No.", "detail": "Not like this."}))
    with pytest.raises(Failure, match=r"Not like this\.") as caught:
        asking.get("/v1/jobs")
    assert caught.value.code == code
    assert len(service.asked) == 1


def test_a_refusal_names_each_field() -> None:
    asking, _, _ = api(
        answer(422, {"title": "No.", "errors": {"seed": ["Too small."], "ratio": ["Must be", "one of"]}})
    )
    with pytest.raises(Failure) as caught:
        asking.submit({}, "k")
    assert str(caught.value) == "seed: Too small.\nratio: Must be one of"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_a_stranger_s_answer_is_no_crash(body: bytes) -> None:
    with pytest.raises(Failure, match="the service answered 418"):
        api(answer(418, body))[0].get("/v1/jobs")


def test_a_stranger_s_success_is_told_apart() -> None:
    with pytest.raises(Failure, match="not as Rushes does"):
        api(answer(200, b"<html>"))[0].get("/v1/jobs")


def test_watching_shows_changes_alone_and_ends_with_the_job() -> None:
    states = [("queued", "1"), ("queued", "1"), ("generating", "2"), ("generating", "2"), ("archived", "3")]
    asking, _, _ = api(*[answer(200, {"id": "job_1", "state": s, "updated_at": u}) for s, u in states])
    seen = [job["state"] for job in asking.watch("job_1", timeout_s=None)]
    assert seen == ["queued", "generating", "archived"]


def test_watching_times_out_with_the_way_to_go_on() -> None:
    asking, _, time = api(answer(200, JOB))
    with pytest.raises(Failure, match="job_1 is queued after 3 s") as caught:
        list(asking.watch("job_1", timeout_s=3))
    assert (caught.value.code, time.now) == (failures.TIMED_OUT, 3)
    assert caught.value.hint is not None
    assert "rushes jobs watch job_1" in caught.value.hint


def _connected(folder: Path, environ: Mapping[str, str]) -> tuple[str, str | None]:
    found = connect(folder, environ)
    return found.url, found.headers.get("Authorization")


def test_the_data_folder_says_where_and_with_which_key(tmp_path: Path) -> None:
    kept = {"served": {"url": "http://127.0.0.1:9999"}, "api_key": {"id": "key_1", "key": "rk_kept"}}
    (tmp_path / "local.json").write_text(json.dumps(kept))
    own = "http://127.0.0.1:9999"
    assert _connected(tmp_path, {}) == (own, "Bearer rk_kept")
    assert _connected(tmp_path, {"RUSHES_URL": own + "/"}) == (own, "Bearer rk_kept")
    assert _connected(tmp_path, {"RUSHES_API_KEY": "rk_mine"}) == (own, "Bearer rk_mine")


def test_the_folder_s_key_is_never_sent_to_another_service(tmp_path: Path) -> None:
    kept = {"served": {"url": "http://127.0.0.1:9999"}, "api_key": {"id": "key_1", "key": "rk_kept"}}
    (tmp_path / "local.json").write_text(json.dumps(kept))
    assert _connected(tmp_path, {"RUSHES_URL": "https://elsewhere.example"}) == ("https://elsewhere.example", None)


def test_a_netrc_neither_replaces_our_key_nor_goes_along_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine elsewhere.example login somebody password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    found = connect(tmp_path / "none", {"RUSHES_URL": "https://elsewhere.example", "RUSHES_API_KEY": "rk_mine"})
    for headers, sent in ((found.headers, "Bearer rk_mine"), ({}, None)):
        request = requests.Request("GET", "https://elsewhere.example/v1/jobs", headers=headers)
        assert found.session.prepare_request(request).headers.get("Authorization") == sent


def test_without_a_folder_the_usual_address_is_asked(tmp_path: Path) -> None:
    assert _connected(tmp_path / "none", {}) == ("http://127.0.0.1:8080", None)


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text("{")
    with pytest.raises(Failure, match=r"local\.json"):
        connect(tmp_path, {})


def test_a_wish_that_does_no_harm_twice_is_repeated_until_it_is_answered() -> None:
    asking, service, _ = api(requests.ConnectionError(), answer(503, {}), answer(200, JOB))
    assert asking.post("/v1/jobs/job_1/cancel") == JOB
    assert [method for method, _, _ in service.asked] == ["POST"] * 3


@pytest.mark.parametrize("status", [429, 503])
def test_the_service_says_when_to_come_back(status: int) -> None:
    asking, _, time = api(answer(status, {}, {"Retry-After": "7"}), answer(200, JOB))
    assert asking.get("/v1/jobs/job_1") == JOB
    assert time.now == 7


def test_a_limit_that_lasts_longer_than_our_patience_is_told() -> None:
    asking, service, time = api(answer(429, {"title": "Too many."}, {"Retry-After": "3600"}))
    with pytest.raises(Failure, match="Too many") as caught:
        asking.get("/v1/jobs")
    assert (caught.value.code, len(service.asked), time.now) == (failures.RATE_LIMITED, 1, 0)


def test_a_refusal_names_the_request_for_whoever_reads_the_log() -> None:
    for refusal in (answer(500, {"request_id": "req_1"}), answer(500, {}, {"X-Request-Id": "req_1"})):
        with pytest.raises(Failure) as caught:
            api(refusal)[0].get("/v1/jobs")
        assert caught.value.hint == "request id: req_1"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("too_late", "`rushes jobs show job_1`"),
        ("not_failed", "`rushes jobs watch job_1`"),
        ("may_be_paid", "--accept-double-charge"),
        ("nothing_left", "submit it anew"),
        ("not_archived", "`rushes jobs watch job_1`"),
    ],
)
def test_a_conflict_says_what_to_do(code: str, words: str) -> None:
    problem = {"title": "No.", "code": code, "instance": "/v1/jobs/job_1/retry"}
    with pytest.raises(Failure) as caught:
        api(answer(409, problem))[0].post("/v1/jobs/job_1/cancel")
    assert words in str(caught.value.hint)


def failed(updated_at: str) -> requests.Response:
    return answer(200, {"id": "job_1", "state": "failed", "updated_at": updated_at})


def test_a_retry_whose_answer_was_lost_is_not_asked_twice() -> None:
    asking, service, _ = api(failed("1"), requests.ReadTimeout(), answer(200, {**JOB, "updated_at": "2"}))
    assert asking.retry("job_1")["state"] == "queued"
    assert [method for method, _, _ in service.asked] == ["GET", "POST", "GET"]


def test_a_retry_that_was_never_heard_may_be_repeated_by_hand() -> None:
    asking, _, _ = api(failed("1"), requests.ConnectionError(), failed("1"))
    with pytest.raises(Failure) as caught:
        asking.retry("job_1", accept_double_charge=True)
    assert (caught.value.code, "may be repeated" in str(caught.value.hint)) == (failures.UNREACHABLE, True)


def test_a_retry_that_was_asked_too_fast_is_asked_again() -> None:
    asking, service, _ = api(failed("1"), answer(429, {}, {"Retry-After": "1"}), answer(202, JOB))
    assert asking.retry("job_1", accept_double_charge=True) == JOB
    assert service.asked[-1][2]["json"] == {"accept_double_charge": True}


def test_watching_asks_to_be_told_of_the_next_change() -> None:
    states = [("queued", "1"), ("generating", "2"), ("archived", "3")]
    told = [answer(200, {"id": "job_1", "state": s, "updated_at": u}, {"ETag": f'"{u}"'}) for s, u in states]
    asking, service, time = api(told[0], told[1], answer(304, b""), told[2])
    assert [job["state"] for job in asking.watch("job_1", timeout_s=None)] == ["queued", "generating", "archived"]
    asked = [(what.get("params"), what["headers"].get("If-None-Match")) for _, _, what in service.asked]
    assert asked == [({}, None), ({"wait": 20}, '"1"'), ({"wait": 20}, '"2"'), ({"wait": 20}, '"2"')]
    assert time.now == 0.5  # the 304 came at once, so there was no room for a long poll


def test_a_long_poll_ends_with_the_patience_of_who_asked() -> None:
    unchanged = answer(200, JOB, {"ETag": '"1"'})
    asking, service, time = api(unchanged, answer(304, b"", {"Retry-After": "9"}), unchanged)
    with pytest.raises(Failure):
        list(asking.watch("job_1", timeout_s=2.5))
    assert [what["params"] for _, _, what in service.asked] == [{}, {"wait": 3}, {}]
    assert time.now == 2.5


def test_every_page_of_a_list_is_asked_for() -> None:
    first = {"data": [{"id": "a"}], "has_more": True, "next_cursor": "c1"}
    asking, service, _ = api(answer(200, first), answer(200, {"data": [{"id": "b"}], "has_more": False}))
    assert [row["id"] for row in asking.each("/v1/jobs", {"state": "failed"})] == ["a", "b"]
    assert service.asked[-1][2]["params"] == {"limit": 100, "state": "failed", "cursor": "c1"}


def test_where_a_redirect_leads_is_told_and_not_followed() -> None:
    asking, service, _ = api(answer(302, b"", {"Location": "https://bucket/v.mp4?X-Amz-Expires=3600"}))
    assert asking.link("/v1/jobs/job_1/video") == "https://bucket/v.mp4?X-Amz-Expires=3600"
    assert service.asked[-1][2]["allow_redirects"] is False
    with pytest.raises(Failure, match="not as Rushes does"):
        api(answer(200, {}))[0].link("/v1/jobs/job_1/video")


def test_while_no_answer_comes_it_is_said_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    asking, _, time = api(requests.ConnectionError())
    for _ in range(2):
        with pytest.raises(Failure):
            asking.get("/v1/jobs")
        said = capsys.readouterr().err.splitlines()
        assert said == ["http://service does not answer (ConnectionError); trying again"] * 2
        time.now += 10


def test_an_answer_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    asking, _, _ = api(answer(200, JOB))
    asking.get("/v1/jobs/job_1")
    assert capsys.readouterr().err == ""
