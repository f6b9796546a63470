import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from rushes.cli import failures
from rushes.cli.api import Api, connect
from rushes.cli.failures import Failure

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


def answer(status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
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


def test_without_a_folder_the_usual_address_is_asked(tmp_path: Path) -> None:
    assert _connected(tmp_path / "none", {}) == ("http://127.0.0.1:8080", None)


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text("{")
    with pytest.raises(Failure, match=r"local\.json"):
        connect(tmp_path, {})
